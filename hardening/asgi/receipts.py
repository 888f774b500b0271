"""What was done to one request, as a Receipt."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

from hardening.asgi.case import Case
from hardening.asgi.service import Service
from hardening.exchange import Settlement
from hardening.facts import AddedTime, Decision, Outcome, PolicyId, Receipt, TokenCount, Usage
from hardening.policy import would


@dataclass(frozen=True, slots=True)
class Spent:
    """How a request ended, and what it cost; times are seconds that were added."""

    settlement: Settlement
    usage: Usage
    _: KW_ONLY
    status: int
    outcome: Outcome
    body_s: float
    after_s: float


def usage_of(case: Case, settlement: Settlement, status: int) -> Usage:
    """What is charged: the server's count, else ours, and no fewer vectors than were asked; a failed answer has cost none."""
    if status >= 400 and settlement.source == "none":
        return Usage()
    counted = settlement.usage
    if case.facts.embeds:
        counted = counted._replace(embeddings=max(counted.embeddings, case.facts.choices))
    if counted.prompt:
        return counted
    return counted._replace(prompt=case.prompt_tokens)


def receipt_of(case: Case, service: Service, spent: Spent) -> Receipt:
    """The receipt of a request that is over."""
    settlement = spent.settlement
    policy, wall = case.in_force.policy, service.clock.wall()
    return Receipt(
        time=wall,
        request_id=case.request_id,
        policy=PolicyId(policy.name, policy.digest),
        mode=policy.mode,
        account=case.account.id,
        proven=case.account.proven,
        door=case.door.name,
        format=case.codec.name,
        model=case.facts.model,
        status=spent.status,
        rule=case.decision.rule,
        band=case.decision.band,
        risk=case.standing.risk,
        reasons=tuple(dict.fromkeys([*case.reasons, *settlement.reasons])),
        decision=case.decision if case.refusal is None else replace(case.decision, refusal=case.refusal),
        would=_would(case, service, wall),
        changed=settlement.changed,
        tokens=_tokens(case, spent),
        limits=case.admission.limits,
        added_us=AddedTime(case.before_s * 1e6, spent.body_s * 1e6, spent.after_s * 1e6),
        outcome=spent.outcome,
    )


def _would(case: Case, service: Service, wall: float) -> Decision | None:
    """What the parts in shadow would have done, refusals that rest on no rule included."""
    decision = would(case.in_force.policy, case.facts, case.account, case.standing, wall)
    if case.would_refuse is not None:
        return replace(decision or case.decision, refusal=case.would_refuse)
    return decision


def _tokens(case: Case, spent: Spent) -> TokenCount:
    usage = spent.usage
    return TokenCount(
        prompt=usage.prompt,
        completion=usage.completion,
        reasoning=usage.reasoning,
        reserved=case.prompt_tokens + case.claim.completion_reserve if case.admission.lease else 0,
        settled=usage.prompt + usage.completion,
        source=spent.settlement.source,
    )
