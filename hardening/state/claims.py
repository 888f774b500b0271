"""What a lease does to the buckets that it touches: reserve all or nothing, settle, run out.

Pure over buckets that a store finds for it; a store keeps them, and keeps two callers apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from hardening.facts import Admission, Charge, Limit, LimitState, Standing
from hardening.state import buckets
from hardening.state.buckets import UNSPENT, Spent, fits, state_of

_MOST = 1e18
"""Units that one charge can come to: infinity would never come back, and not every store can write it."""


class Bucket:
    """One limit of one scope, in the numbers of `state.buckets`; `leases` are the open ones on it."""

    __slots__ = ("held", "leases", "spent")

    def __init__(self, spent: Spent = UNSPENT, held: float = 0.0, leases: int = 0) -> None:
        self.spent = spent
        self.held = held
        self.leases = leases

    def release(self, units: float) -> None:
        """End a reservation of `units`."""
        self.leases -= 1
        self.held = buckets.release(self.held, units) if self.leases else 0.0

    def spend(self, limit: Limit, units: float, now: float) -> None:
        """Use `units`."""
        self.spent = buckets.spend(limit, self.spent, units, now)

    def is_idle(self, now: float) -> bool:
        """Whether all is back and no lease is open, so that forgetting it gives nobody anything."""
        return self.leases == 0 and self.spent.until <= now


Part = tuple[Charge, Bucket, float]
"""One reservation of a lease: a charge, its bucket, and the units that it came to in the band."""

Find = Callable[[Charge], Bucket]


Buckets = Callable[[str], Mapping[str, Bucket]]
"""The buckets of a scope, by key of limit."""


def units_of(charge: Charge, standing: Standing) -> float:
    """What a charge comes to for this standing; a negative amount or a NaN counts as nothing."""
    units = charge.amount
    if standing.band is not None or charge.new is not None:
        units *= charge.factor(standing)
    return units if 0.0 <= units <= _MOST else min(max(0.0, units), _MOST)


def reserve(charges: Iterable[Charge], find: Find, standing: Standing, now: float) -> list[Part] | Admission:
    """All charges held, or the refusal with nothing held."""
    parts: list[Part] = []
    refusing: list[Part] = []
    for charge in charges:
        bucket, units = find(charge), units_of(charge, standing)
        bucket.held = held = bucket.held + units
        bucket.leases += 1
        part = (charge, bucket, units)
        parts.append(part)
        if not fits(charge.limit, bucket.spent, held, now) and charge.factor(standing):
            refusing.append(part)
    if not refusing:
        return parts
    for _, bucket, units in parts:
        bucket.release(units)
    waits = [(_wait_s(part, parts, now), part[0].limit.name) for part in refusing]
    wait_s, name = max(waits, key=lambda wait: math.inf if wait[0] is None else wait[0])
    return Admission(False, None, standing, states(parts, now), refused_by=name, retry_after_s=wait_s)


def settle(
    parts: Sequence[Part], actual: Iterable[Charge], find: Find, standing: Standing, now: float
) -> None:
    """Release every part, and spend what was used; what `actual` does not name is spent as reserved."""
    homes: dict[tuple[str, str], Bucket] = {}
    for charge, bucket, units in parts:
        bucket.release(units)
        homes[charge.limit.name, charge.scope_key] = bucket
    named = set()
    for charge in actual:
        key = (charge.limit.name, charge.scope_key)
        named.add(key)
        bucket = homes.get(key) or find(charge)
        bucket.spend(charge.limit, units_of(charge, standing), now)
    if not named.issuperset(homes):
        for charge, bucket, units in parts:
            if (charge.limit.name, charge.scope_key) not in named:
                bucket.spend(charge.limit, units, now)


def run_out(parts: Iterable[Part], expires_at: float) -> None:
    """Spend every part as reserved, at the moment at which its lease expired."""
    for charge, bucket, units in parts:
        bucket.release(units)
        bucket.spend(charge.limit, units, expires_at)


def states(parts: Iterable[Part], now: float) -> tuple[LimitState, ...]:
    """What is left of each limit that was asked."""
    return tuple([state_of(charge.limit, bucket.spent, bucket.held, now) for charge, bucket, _ in parts])


def seen(charges: Iterable[Charge], buckets_of: Buckets, now: float) -> tuple[LimitState, ...]:
    """What is left of each limit; a scope of which nothing is kept, or not of this limit, is whole."""
    whole = Bucket()
    found = [(charge, buckets_of(charge.scope_key).get(charge.limit.key, whole), 0.0) for charge in charges]
    return states(found, now)


def _wait_s(part: Part, parts: list[Part], now: float) -> float | None:
    """Seconds until all that this request asks of the part's bucket would fit."""
    charge, bucket, _ = part
    asked = sum(units for _, other, units in parts if other is bucket)
    return buckets.retry_after_s(charge.limit, bucket.spent, bucket.held, asked, now)
