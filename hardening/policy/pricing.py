"""What the rules that a request hits charge, and how often each unit counts in each standing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hardening.facts import Account, Limit, NewPrice, RequestFacts, Unit
from hardening.policy.compiled import Claim, Layer, Plan, Policy
from hardening.policy.matching import remember
from hardening.policy.terms import Terms, stricter

COMPLETION_UNITS = frozenset(("tokens", "completion", "reasoning", "logprob_values"))
"""Units that an answer spends as it grows."""

_NO_BANDS: Mapping[str, float] = MappingProxyType({})


def plan_of(policy: Policy, facts: RequestFacts, account: Account, now: float) -> Plan:
    """What the rules that this request hits charge, worked out once for each combination."""
    key = (*policy.acting(facts, account, now), account.proven)
    plan = policy.memory.plans.get(key)
    if plan is None:
        plan = _worked_out(policy, *key)
        remember(policy.memory.plans, key, plan)
    return plan


def _worked_out(policy: Policy, hits: int, layers: int, proven: bool) -> Plan:
    walk = policy.rulebook.walk(hits, proven=proven)
    if walk.exempt or walk.refusal is not None:
        return Plan(walk.refusal, walk.exempt)
    terms, prior = walk.terms, policy.prior_among(layers)
    if prior is not None and not proven:
        terms = stricter(terms, prior.terms)  # nobody is newer
        prior = None
    names = (terms.limits or ()) if proven else policy.unproven_limits
    own = () if prior is None else prior.terms.limits or ()
    alone = tuple(name for name in own if name not in names)
    standings = _standings(policy, terms, layers, prior)
    claims = [_claim(policy, policy.limits[name], terms, standings) for name in names]
    claims += [_claim(policy, policy.limits[name], terms, standings, alone=True) for name in alone]
    return Plan(
        refusal=None,
        exempt=False,
        claims=tuple(claims),
        rooms=tuple(
            (claim.limit.unit, int(claim.limit.burst / claim.factor))
            for claim in claims
            if claim.limit.unit in COMPLETION_UNITS and not claim.alone
        ),
        factor=_price("tokens", terms),
        max_tokens=terms.max_tokens,
        top=terms.top if isinstance(terms.top, int) else None,
        alone=bool(alone),
    )


@dataclass(frozen=True, slots=True)
class _Standings:
    """The terms of a walk under each band, and the same for new accounts; `""` is no band."""

    known: Mapping[str, Terms]
    new: Mapping[str, Terms]


def _standings(policy: Policy, terms: Terms, layers: int, prior: Layer | None) -> _Standings:
    """What holds in each standing; a band pays at least what the walk and the bands below it pay."""
    known, highest = {"": terms}, terms
    for index, layer in enumerate(policy.layers):
        if layer.band is not None:
            if layers >> index & 1:
                highest = stricter(highest, layer.terms)
            known[layer.band] = highest
    new = {band: stricter(held, prior.terms) for band, held in known.items()} if prior is not None else {}
    return _Standings(known, new)


def _claim(
    policy: Policy, limit: Limit, terms: Terms, standings: _Standings, *, alone: bool = False
) -> Claim:
    """The claim on one limit, and how often it counts in each standing."""
    factor = _price(limit.unit, terms)
    if limit.by == "all":
        return Claim(limit, factor, _NO_BANDS)  # whoever is flagged must not use up sooner what all share
    known = {band: _price(limit.unit, held) / factor for band, held in standings.known.items()}
    new = {band: _price(limit.unit, held) / factor for band, held in standings.new.items()}
    del known[""]
    by_band = MappingProxyType(known) if any(one != 1.0 for one in known.values()) else _NO_BANDS
    if policy.prior is None or not (alone or (new and new != {"": 1.0, **known})):
        return Claim(limit, factor, by_band)
    return Claim(limit, factor, by_band, NewPrice(policy.prior, MappingProxyType(new), alone))


def _price(unit: Unit, terms: Terms) -> float:
    """How often a unit counts under these terms; streams are held, and no `charge` multiplies them."""
    charge = 1.0 if unit == "streams" else terms.charge or 1.0
    return charge / (terms.scale or 1.0)
