"""Rows of the tables as objects and back: scopes with their buckets, leases with their parts."""

from __future__ import annotations

import functools
from typing import Any

import orjson

from hardening.facts import Charge, Limit, Standing, quickly
from hardening.state.buckets import Spent
from hardening.state.claims import Bucket, Part
from hardening.state.standing import Record, record_of

_WITHOUT_PEAK = Record._fields.index("peak")

COLUMNS = (
    "id, key, requests, first_seen, buckets, record,"
    " exists(select 1 from flags where flags.key = scopes.key) or exists(select 1 from blocks where blocks.key = scopes.key)"
)


class Scope:
    """One row of `scopes`; `id` is None until it is written, `record` is text until it is asked for.

    `is_marked` says that an operator may have said something of its account.
    """

    __slots__ = ("buckets", "first_seen", "id", "is_marked", "key", "record_text", "requests")

    def __init__(
        self,
        id: int | None,
        key: str,
        requests: int,
        first_seen: float,
        buckets: dict[str, Bucket],
        record: str | None = None,
        is_marked: int = True,
    ) -> None:
        self.id = id
        self.key = key
        self.requests = requests
        self.first_seen = first_seen
        self.buckets = buckets
        self.record_text = record
        self.is_marked = is_marked

    def record(self, now: float) -> Record | None:
        """What is kept of the requests of an account, if that is not too long ago."""
        if self.record_text is None:
            return None
        record = record_of(*orjson.loads(self.record_text))
        return record if record.until > now else None

    def bucket(self, limit_key: str) -> Bucket:
        """What is kept of a limit; what says nothing is made."""
        found = self.buckets.get(limit_key)
        if found is None:
            found = self.buckets[limit_key] = Bucket()
        return found


class Scopes:
    """The rows that one call touches, by the scope key that asked for them."""

    def __init__(self) -> None:
        self.by_key: dict[str, Scope] = {}

    def bucket(self, charge: Charge) -> Bucket:
        """What is kept of the limit that a charge is on."""
        return self.by_key[charge.scope_key].bucket(charge.limit.key)


@functools.cache
def select(column: str, count: int) -> str:
    """The statement that reads so many scopes, of which only a few kinds exist."""
    return f"select {COLUMNS} from scopes where {column} in ({', '.join('?' * count)})"  # noqa: S608


def read_scope(row: tuple[int, str, int, float, str, str | None, int]) -> Scope:
    """A scope as its row says, in the order of `COLUMNS`."""
    id, key, requests, first_seen, text, record, is_marked = row
    buckets = {
        limit_key: Bucket(quickly(Spent, (until, used, before)), held, leases)
        for limit_key, (until, used, before, held, leases) in orjson.loads(text).items()
    }
    return Scope(id, key, requests, first_seen, buckets, record, is_marked)


def noted(parts: list[Part], scopes: Scopes) -> list[list[Any]]:
    """Parts as a lease row keeps them: the scope's id, its key where that is the overflow's, limit, units."""
    notes: list[list[Any]] = []
    for charge, _, units in parts:
        scope, limit = scopes.by_key[charge.scope_key], charge.limit
        alias = None if scope.key == charge.scope_key else charge.scope_key
        notes.append(
            [
                scope.id,
                alias,
                limit.name,
                limit.unit,
                limit.amount,
                limit.per_s,
                limit.burst,
                limit.window,
                units,
            ]
        )
    return notes


def folded(notes: list[list[Any]], parts: list[Part], scopes: Scopes) -> list[Part]:
    """The parts that are new to a lease; the others join its notes, so it stays as small as it began."""
    known = {}
    for note in notes:
        scope, _, name, unit, _, per_s, _, window, _ = note
        known[scope, name, unit, per_s, window] = note
    fresh = []
    for part in parts:
        charge, bucket, units = part
        limit, id = charge.limit, scopes.by_key[charge.scope_key].id
        joined = known.get((id, limit.name, limit.unit, limit.per_s, limit.window))
        if joined is None:
            fresh.append(part)
        else:
            joined[-1] += units
            bucket.leases -= 1
    return fresh


def claim_of(standing: Standing, notes: list[list[Any]], home: int | None) -> str:
    """What a lease row keeps: the standing that it was priced by, its notes, and the row of its proven account."""
    return orjson.dumps((tuple(standing), notes, home)).decode()


def read_claim(text: str) -> tuple[Standing, list[list[Any]], int | None]:
    """What a lease row keeps; one of an earlier release knows no account."""
    standing, notes, *home = orjson.loads(text)
    return Standing(*standing), notes, home[0] if home else None


def record_text(record: Record) -> str:
    """What a row keeps of the requests of an account."""
    # Most were in no band, and are kept as an earlier release reads them.
    kept = tuple(record) if record.peak else record[:_WITHOUT_PEAK]
    return orjson.dumps(kept).decode()


@functools.lru_cache(maxsize=1024)
def limit_of(name: str, unit: str, amount: float, per_s: float, burst: float, window: str) -> Limit:
    """A limit as a note has it."""
    return Limit(name, unit, amount, per_s, burst, window)  # type: ignore[arg-type]
