"""`decide`: what shall happen to one request, as a value. Pure; a refusal is a Decision too."""

from __future__ import annotations

from dataclasses import replace

from hardening.facts import (
    Account,
    Decision,
    EmbeddingTerms,
    LogprobTerms,
    ReasoningTerms,
    RequestFacts,
    ScoreTerms,
    Standing,
)
from hardening.policy.compiled import Policy
from hardening.policy.matching import remember
from hardening.policy.terms import Terms
from hardening.policy.vectors import refused


def decide(policy: Policy, facts: RequestFacts, account: Account, standing: Standing, now: float) -> Decision:
    """What this policy does to this request; in shadow, what it would do, with `enforced` False.

    `now` is in seconds since 1970.
    """
    hits, layers = policy.acting(facts, account, now)
    return _for(facts, _standing(policy, facts, hits, layers, account, standing))


def would(
    policy: Policy, facts: RequestFacts, account: Account, standing: Standing, now: float
) -> Decision | None:
    """The Decision with every shadow part enforced, or None where nothing of it is in shadow."""
    rules, layers = policy.enforced_for(account)
    hits, over = policy.hits(facts, account, now), policy.layers_of(standing)
    if policy.mode == "enforce" and hits & rules == hits and over & layers == over:
        return None  # as for nearly every request: nothing that acts on it is in shadow
    decision = decide(policy, facts, account, standing, now)
    whole = _standing(policy, facts, hits, (1 << len(policy.layers)) - 1, account, standing)
    whole = replace(_for(facts, whole), enforced=True)
    return whole if whole != decision else None


def _standing(
    policy: Policy, facts: RequestFacts, hits: int, layers: int, account: Account, standing: Standing
) -> Decision:
    """The Decision for an account that stands so, of those of its layers that count."""
    now = policy.layers_of(standing)
    decision = _decision(policy, hits, now & layers, account.proven)
    before = policy.layers_before(standing) & layers if facts.kept else 0
    if not before & ~now:
        return decision
    return _as_then(decision, _decision(policy, hits, (now & layers) | before, account.proven))


def _as_then(now: Decision, then: Decision) -> Decision:
    """The Decision with what it says of an answer that was kept as it may have been when that was made."""
    return replace(now, reasoning=then.reasoning, logprobs=then.logprobs, usage=then.usage)


def _for(facts: RequestFacts, decision: Decision) -> Decision:
    """The Decision with a refusal where it cannot be kept in what this request asks for."""
    if not facts.embeds or decision.exempt or decision.refusal is not None:
        return decision
    refusal = refused(decision.embeddings, facts.packing)
    return decision if refusal is None else replace(decision, refusal=refusal)


def _decision(policy: Policy, hits: int, layers: int, proven: bool) -> Decision:
    """The Decision for these rules and layers, worked out once for each combination."""
    key = (hits, layers, proven)
    known = policy.memory.decisions.get(key)
    if known is None:
        known = _worked_out(policy, hits, layers, proven)
        remember(policy.memory.decisions, key, known)
    return known


def _worked_out(policy: Policy, hits: int, layers: int, proven: bool) -> Decision:
    walk = policy.rulebook.walk(hits, proven=proven)
    enforced = policy.mode == "enforce"
    if walk.exempt:
        return Decision(rule=walk.rule, enforced=enforced, exempt=True, disclose=policy.disclose)
    terms, band = policy.over(walk, layers)
    limits = (terms.limits or ()) if proven else policy.unproven_limits
    if walk.refusal is not None:
        limits = ()
    return replace(
        _from_terms(terms),
        rule=walk.rule,
        band=band,
        enforced=enforced,
        refusal=walk.refusal,
        limits=limits,
        disclose=policy.disclose,
    )


def _from_terms(terms: Terms) -> Decision:
    """The terms of a whole walk, in which only bounds may be unsaid, as a Decision."""
    return Decision(
        reasoning=ReasoningTerms(
            terms.show or "full",
            terms.summary_tokens or 160,
            bool(terms.seal),
            terms.inline or "tagged",
            terms.detail or "outline",
            terms.overlap or "report",
            terms.resent or "any",
        ),
        logprobs=LogprobTerms(
            None if terms.top in (None, "all") else int(terms.top),
            terms.logprob_step or 0.0,
            terms.logprob_noise or 0.0,
            terms.sampling or "plain",
        ),
        embeddings=EmbeddingTerms(
            terms.embedding_step or 0.0,
            terms.embedding_noise or 0.0,
            bool(terms.embedding_rotate),
            terms.embedding_adaptive or 0.0,
            terms.embedding_benign or 1.0,
            1.0 if terms.embedding_keep is None else terms.embedding_keep,
        ),
        pins=terms.pins or "allow",
        usage=terms.usage or "keep",
        at_limit=terms.at_limit or "cut",
        max_tokens=terms.max_tokens,
        scores=ScoreTerms(terms.score_step or 0.0),
        pace_per_s=terms.pace_per_s,
        charge=terms.charge or 1.0,
        scale=terms.scale or 1.0,
    )
