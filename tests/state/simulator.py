"""Leases as a discrete-event simulation: exact fractions, plain lists, nothing shared with `state.buckets`.

Every unit that was ever spent stays in a list with its moment. What counts of it now is added up anew
for each question. Slow and obvious; every store is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from hardening.facts import Limit

Bucket = tuple[str, str]
"""A scope and the key of a limit."""


@dataclass(frozen=True, slots=True)
class Ask:
    """So many units of one limit, counted under one scope."""

    limit: Limit
    scope: str
    units: Fraction

    @property
    def bucket(self) -> Bucket:
        """Where it counts."""
        return self.scope, self.limit.key


@dataclass(frozen=True, slots=True)
class Entry:
    """Units that were spent at a moment."""

    at: Fraction
    units: Fraction


@dataclass(slots=True)
class Open:
    """A lease that lives: what it holds, and until when."""

    held: list[Ask]
    expires_at: Fraction


@dataclass(slots=True)
class Simulator:
    """Limits and leases by the definition.

    `ledger` is all that was spent, by bucket in the order of time; `overused` how much of it had
    never been reserved.
    """

    lease_s: Fraction
    now: Fraction = Fraction(0)
    ledger: dict[Bucket, list[Entry]] = field(default_factory=dict)
    overused: dict[Bucket, Fraction] = field(default_factory=dict)
    limits: dict[Bucket, Limit] = field(default_factory=dict)
    open: dict[int, Open] = field(default_factory=dict)

    def pass_time(self, now: Fraction) -> None:
        """Spend every lease that runs out until `now`, as it was reserved, at its own end."""
        self.now = max(self.now, now)
        for number, lease in sorted(self.open.items(), key=lambda item: (item[1].expires_at, item[0])):
            if lease.expires_at <= self.now:
                del self.open[number]
                for ask in lease.held:
                    self._spend(ask, lease.expires_at)

    def slack(self, asks: Sequence[Ask]) -> dict[Bucket, Fraction]:
        """For each bucket what would be left of it if all were reserved; below 0 it does not fit."""
        left: dict[Bucket, Fraction] = {}
        for ask in asks:
            left.setdefault(ask.bucket, self.left(ask.limit, ask.scope))
            left[ask.bucket] -= ask.units
        return left

    def left(self, limit: Limit, scope: str) -> Fraction:
        """Units that may be reserved now; below 0 in debt."""
        return Fraction(limit.burst) - self.held(limit, scope) - self.debt(limit, scope, self.now)

    def held(self, limit: Limit, scope: str) -> Fraction:
        """Units that are reserved and not yet spent."""
        asks = [ask for lease in self.open.values() for ask in lease.held]
        return sum((ask.units for ask in asks if ask.bucket == (scope, limit.key)), Fraction(0))

    def debt(self, limit: Limit, scope: str, now: Fraction) -> Fraction:
        """Units that were spent and are not back at `now`."""
        entries = self.ledger.get((scope, limit.key), [])
        return _sliding(limit, entries, now) if limit.window == "sliding" else _even(limit, entries, now)

    def reserve(self, number: int, asks: Sequence[Ask]) -> None:
        """Open a lease, or extend the one of this number."""
        lease = self.open.setdefault(number, Open([], Fraction(0)))
        lease.held += asks
        lease.expires_at = self.now + self.lease_s

    def settle(self, number: int, actual: Sequence[Ask]) -> None:
        """Spend what was used in the place of what was held; a lease that is over stays so."""
        lease = self.open.pop(number, None)
        if lease is None:
            return
        named = {ask.bucket for ask in actual}
        held: dict[Bucket, Fraction] = {}
        for ask in lease.held:
            held[ask.bucket] = held.get(ask.bucket, Fraction(0)) + ask.units
        for ask in [*actual, *(ask for ask in lease.held if ask.bucket not in named)]:
            self._spend(ask, self.now)
            over = ask.units - held.get(ask.bucket, Fraction(0))
            held[ask.bucket] = max(-over, Fraction(0))
            self.overused[ask.bucket] = self.overused.get(ask.bucket, Fraction(0)) + max(over, Fraction(0))

    def would_fit(self, asks: Sequence[Ask], at: Fraction) -> bool:
        """Whether all would fit at a later moment if all that is held were spent now."""
        later = Simulator(self.lease_s, self.now, {key: list(rows) for key, rows in self.ledger.items()})
        for lease in self.open.values():
            for ask in lease.held:
                later._spend(ask, self.now)
        later.now = at
        return all(left >= 0 for left in later.slack(asks).values())

    def _spend(self, ask: Ask, at: Fraction) -> None:
        if ask.limit.unit != "streams" and ask.units > 0:
            self.limits[ask.bucket] = ask.limit
            self.ledger.setdefault(ask.bucket, []).append(Entry(at, ask.units))


def _even(limit: Limit, entries: Sequence[Entry], now: Fraction) -> Fraction:
    """What is left of all entries when units come back evenly, one after the other."""
    rate = Fraction(limit.amount) / Fraction(limit.per_s)
    level, at = Fraction(0), Fraction(0)
    for entry in entries:
        level = max(Fraction(0), level - rate * (entry.at - at)) + entry.units
        at = entry.at
    return max(Fraction(0), level - rate * (now - at))


def _sliding(limit: Limit, entries: Sequence[Entry], now: Fraction) -> Fraction:
    """The entries of this window, and those of the last one by the share that still overlaps.

    What a window has beyond the amount is carried into the next one, as if it had been spent there.
    """
    amount, per_s = Fraction(limit.amount), Fraction(limit.per_s)
    window, here, last = 0, Fraction(0), Fraction(0)

    def pass_to(at: Fraction) -> None:
        nonlocal window, here, last
        while window < at // per_s and (here or last):
            window, here, last = window + 1, max(Fraction(0), here - amount), min(here, amount)
        window = int(at // per_s)

    for entry in entries:
        pass_to(entry.at)
        here += entry.units
    pass_to(now)
    return here + last * (window + 1 - now / per_s)
