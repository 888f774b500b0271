"""What was done to one request, as a Receipt."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

from hardening.asgi.case import Case
from hardening.asgi.service import Service
from hardening.exchange import Settlement
from hardening.facts import AddedTime, Outcome, PolicyId, Receipt, TokenCount, Usage
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


def receipt_of(case: Case, service: Service, spent: Spent) -> Receipt:
    """The receipt of a request that is over."""
    settlement, usage = spent.settlement, spent.usage
    standing, wall = case.admission.standing, service.clock.wall()
    shadow = would(service.policy, case.facts, case.account, standing, wall)
    if case.over_limit is not None:
        shadow = replace(shadow or case.decision, refusal=case.over_limit)
    policy = service.policy
    reserved = case.prompt_tokens + case.claim.completion_reserve if case.admission.lease else 0
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
        risk=standing.risk,
        reasons=tuple(dict.fromkeys([*case.reasons, *settlement.reasons])),
        decision=case.decision if case.refusal is None else replace(case.decision, refusal=case.refusal),
        would=shadow,
        changed=settlement.changed,
        tokens=TokenCount(
            prompt=usage.prompt,
            completion=usage.completion,
            reasoning=usage.reasoning,
            reserved=reserved,
            settled=usage.prompt + usage.completion,
            source=settlement.source,
        ),
        limits=case.admission.limits,
        added_us=AddedTime(case.before_s * 1e6, spent.body_s * 1e6, spent.after_s * 1e6),
        outcome=spent.outcome,
    )
