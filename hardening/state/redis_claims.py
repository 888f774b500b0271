"""What a request claims on the Redis store: charges merged and priced on their way there, and the answer read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hardening.facts import NEW, Admission, Charge, Lease, Limit, LimitState, NewPrice, Standing
from hardening.state import buckets
from hardening.state.claims import units_of
from hardening.state.redis_wire import Reply, Told, priced

Claim = dict[tuple[str, str], tuple[Limit, float]]
"""Units by scope and key of limit."""


def merged(charges: Iterable[Charge], standing: Standing) -> Claim:
    """Charges on the same limit of the same scope as one, in the units that they come to for this standing."""
    claim: Claim = {}
    for charge in charges:
        at = charge.scope_key, charge.limit.key
        known = claim.get(at)
        claim[at] = charge.limit, units_of(charge, standing) + (known[1] if known else 0.0)
    return claim


def prices(charges: Sequence[Charge], scopes: Sequence[str]) -> bytes:
    """What the server needs to price a claim by the standing that it reads: the units of each that pays otherwise.

    The claim as it is sent is that of a new account in no band.
    """
    bands = {band: None for charge in charges for band, factor in charge.by_band.items() if factor != 1.0}
    new = next((charge.new for charge in charges if charge.new is not None), None)
    units = {band: _units(charges, scopes, _known(new, band)) for band in bands}
    if new is None:
        return priced(units)
    new_bands = dict.fromkeys(band for band in (*bands, *new.by_band) if band)
    units = {"": _units(charges, scopes, _known(new, None)), **units}
    units |= {NEW + band: _units(charges, scopes, Standing(band=band)) for band in new_bands}
    return priced(units, new.prior)


def _known(new: NewPrice | None, band: str | None) -> Standing:
    """The standing of an account in a band that is new by no measure."""
    requests, age_s = (0, 0.0) if new is None else (new.prior.requests, new.prior.age_s)
    return Standing(0.0, band, requests, age_s)


def _units(charges: Sequence[Charge], scopes: Sequence[str], standing: Standing) -> list[float]:
    """What a claim comes to for a standing, in the order of the scopes; below 0 where a limit is not for it."""
    claim = merged(charges, standing)
    counts = {(one.scope_key, one.limit.key) for one in charges if one.factor(standing)}
    return [
        asked if at in counts else -1.0
        for scope in scopes
        for at, (_, asked) in claim.items()
        if at[0] == scope
    ]


def admission_of(
    reply: Reply,
    lease: Lease | None,
    standing: Standing,
    charges: tuple[Charge, ...],
    claim: Claim,
    scopes: tuple[str, ...],
) -> Admission:
    """The answer to what was asked; the server tells the buckets in the order of the scopes."""
    order = sorted(claim, key=lambda at: scopes.index(at[0]))
    told = dict(zip(order, reply.buckets, strict=True))
    states = tuple(
        [state_of(charge, told[charge.scope_key, charge.limit.key], reply.now) for charge in charges]
    )
    if lease is not None:
        return Admission(True, lease, standing, states)
    waits = [
        (_wait_s(*claim[at], told[at], reply.now), claim[at][0].name) for at in claim if not told[at].fits
    ]
    wait_s, name = max(waits, key=lambda wait: math.inf if wait[0] is None else wait[0])
    return Admission(False, None, standing, states, refused_by=name, retry_after_s=wait_s)


def state_of(charge: Charge, told: Told, now: float) -> LimitState:
    """What is left of a limit, by the caller's own arithmetic."""
    return buckets.state_of(charge.limit, told.spent, told.held, now)


def _wait_s(limit: Limit, asked: float, told: Told, now: float) -> float | None:
    """Seconds until all that this request asks of a bucket would fit."""
    return buckets.retry_after_s(limit, told.spent, told.held, asked, now)
