"""What a request claims from which limits before its standing is known, and what it settles with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hardening.facts import Account, Charge, Limit, Refusal, RequestFacts, Unit, Usage
from hardening.policy.compiled import Plan, Policy
from hardening.policy.matching import remember
from hardening.policy.unbuilt import withheld

RESERVE_TOKENS = 1024
"""Completion tokens reserved per choice at first; longer answers extend their lease as they come."""


@dataclass(frozen=True, slots=True)
class Charges:
    """Either a refusal, or what to reserve.

    `completion_reserve` is how many completion tokens the charges cover, `factor` by how much the
    policy multiplies what this request counts. Not `enforced`: what a limit says is only reported.
    """

    refusal: Refusal | None
    charges: tuple[Charge, ...]
    completion_reserve: int
    factor: float = 1.0
    enforced: bool = True


def charges(policy: Policy, facts: RequestFacts, account: Account, prompt_tokens: int, now: float) -> Charges:
    """The walk without standing: a refusal, which is never charged, or the charges to reserve.

    `prompt_tokens` is an estimate that `settled` corrects; `now` is in seconds since 1970. Requests of
    an account that nobody vouched for are charged to the pool of its network.
    """
    plan = _plan(policy, facts, account, now)
    walk = plan.walk
    enforced = policy.mode == "enforce"
    if walk.refusal is not None:
        return Charges(walk.refusal if enforced else None, (), 0, enforced=enforced)
    if walk.exempt:
        return Charges(None, (), 0, enforced=enforced)
    terms = withheld(walk.terms)
    reserve = _reserve(facts, terms.max_tokens, plan, prompt_tokens)
    rows = facts.top_logprobs or 0
    values = reserve * (rows if terms.top in (None, "all") else min(rows, int(terms.top)))
    amounts = _amounts(Usage(prompt_tokens, reserve, reserve), values)
    amounts["requests"] = 1
    amounts["streams"] = int(facts.stream)
    amounts["embeddings"] = facts.choices if facts.format.endswith(("_embeddings", "_embed")) else 0
    factor = terms.charge or 1.0
    scope = f"account:{account.id}" if account.proven else f"network:{account.network}"
    claimed = tuple(
        Charge(limit, scope, amounts[limit.unit] * (1.0 if limit.unit == "streams" else factor), by_band)
        for limit, by_band in plan.claims
        if amounts[limit.unit]
    )
    return Charges(None, claimed, reserve, factor, enforced)


def settled(reserved: Charges, usage: Usage, logprob_values: int = 0) -> tuple[Charge, ...]:
    """What the exchange truly used, on the limits that were reserved; streams are given back."""
    amounts = _amounts(usage, logprob_values)
    return tuple(
        Charge(charge.limit, charge.scope_key, _true_amount(charge, amounts, reserved.factor), charge.by_band)
        for charge in reserved.charges
    )


def extended(reserved: Charges, tokens: int) -> tuple[Charge, ...]:
    """The charges for `tokens` more completion tokens on the limits that count them."""
    return tuple(
        Charge(charge.limit, charge.scope_key, tokens * reserved.factor, charge.by_band)
        for charge in reserved.charges
        if charge.limit.unit in ("tokens", "completion", "reasoning")
    )


def _true_amount(charge: Charge, amounts: Mapping[Unit, int], factor: float) -> float:
    if charge.limit.unit in ("requests", "embeddings"):
        return charge.amount
    return amounts.get(charge.limit.unit, 0) * factor


def _amounts(usage: Usage, values: int) -> dict[Unit, int]:
    return {
        "tokens": usage.prompt + usage.completion,
        "prompt": usage.prompt,
        "completion": usage.completion,
        "reasoning": usage.reasoning,
        "logprob_values": values,
    }


def _reserve(facts: RequestFacts, bound: int | None, plan: Plan, prompt_tokens: int) -> int:
    """Completion tokens to reserve: what the bounds allow, and no more than a full limit could grant."""
    bounds = [value for value in (facts.max_tokens, bound) if value is not None]
    wanted = min([RESERVE_TOKENS, *bounds]) * max(facts.choices, 1)
    factor = plan.walk.terms.charge or 1.0
    for limit, _ in plan.claims:
        if limit.unit in ("tokens", "completion", "reasoning"):
            prompt = prompt_tokens if limit.unit == "tokens" else 0
            wanted = min(wanted, int(limit.burst / factor) - prompt)
    return max(wanted, 1)


def _plan(policy: Policy, facts: RequestFacts, account: Account, now: float) -> Plan:
    """The walk of this request and the limits it claims from."""
    rules, layers = policy.enforced_for(account)
    key = (policy.hits(facts, account, now) & rules, layers, account.proven)
    plan = policy.memory.plans.get(key)
    if plan is None:
        hits, layers, proven = key
        walk = policy.rulebook.walk(hits, proven=proven)
        names = (walk.terms.limits or ()) if proven else policy.unproven_limits
        claims = tuple(
            (policy.limits[name], _by_band(policy, policy.limits[name], walk.terms.charge, layers))
            for name in names
        )
        plan = Plan(walk, claims)
        remember(policy.memory.plans, key, plan)
    return plan


def _by_band(policy: Policy, limit: Limit, charge: float | None, layers: int) -> Mapping[str, float]:
    """How much more each band pays than the walk says; a band pays at least what those below it pay."""
    if limit.unit == "streams":
        return MappingProxyType({})
    base = highest = charge or 1.0
    factors: dict[str, float] = {}
    for index, layer in enumerate(policy.layers):
        if layer.band is not None:
            if layers >> index & 1:
                highest = max(highest, layer.terms.charge or 0.0)
            factors[layer.band] = highest / base
    return MappingProxyType(factors)
