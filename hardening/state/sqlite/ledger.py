"""The transactions: what `claims` does to buckets, with the rows of one connection under it."""

from __future__ import annotations

import functools
import itertools
import math
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Any

import orjson

from hardening.facts import Account, Admission, Charge, Lease, Limit, Standing
from hardening.state import claims
from hardening.state.buckets import Spent
from hardening.state.claims import Bucket, Part

OVERFLOW = "overflow"
"""The scope that newcomers share where there is no room for one more."""

_SWEPT = 16  # leases that one call lets run out; each takes some 20 us
_TICKS_PER_S = 100_000
_NUMBER_BITS = 15  # below 48 bits of ticks, until the year 2059
_NEW = Standing()
_COLUMNS = "id, key, requests, first_seen, buckets"
_UPDATE = "update scopes set requests = ?, seen_at = ?, whole_at = ?, leases = ?, buckets = ? where id = ?"

# What an operator has said of an account: in which band it is, or that it is blocked.
_MARKS = (
    "select until, band, risk from flags where key = ?1 and until > ?2"
    " union all select until, null, null from blocks where key = ?1 and until > ?2"
)


class _Scope:
    """One row of `scopes`; `id` is None until it is written."""

    __slots__ = ("buckets", "first_seen", "id", "key", "requests")

    def __init__(
        self, id: int | None, key: str, requests: int, first_seen: float, buckets: dict[str, Bucket]
    ) -> None:
        self.id = id
        self.key = key
        self.requests = requests
        self.first_seen = first_seen
        self.buckets = buckets

    def bucket(self, limit_key: str) -> Bucket:
        found = self.buckets.get(limit_key)
        if found is None:
            found = self.buckets[limit_key] = Bucket()
        return found


class _Scopes:
    """The rows that one call touches, by the scope key that asked for them."""

    def __init__(self) -> None:
        self.by_key: dict[str, _Scope] = {}

    def bucket(self, charge: Charge) -> Bucket:
        return self.by_key[charge.scope_key].bucket(charge.limit.key)


class Ledger:
    """Admits, extends, settles and lets leases run out on one connection, inside its caller's transaction.

    `now` gives the time of the database. Every method raises `sqlite3.Error`, and ValueError or
    TypeError where a row is none of ours.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        now: Callable[[], float],
        *,
        max_accounts: int,
        lease_s: float,
    ) -> None:
        self.expired = 0
        """Leases that ran out in calls of this ledger."""
        self.connection = connection
        self.now = now
        self._run = connection.execute
        self._max_accounts = max_accounts
        self._lease_s = lease_s
        # No lease of any process runs out before; so nobody looks for one until then.
        self._due_at = 0.0
        self._numbers = itertools.count(secrets.randbits(_NUMBER_BITS))

    def begin(self) -> None:
        """Begin to write; raises `sqlite3.OperationalError` where somebody else does."""
        self._run("begin immediate")

    def commit(self) -> None:
        """Keep what was written."""
        self._run("commit")

    def rollback(self) -> None:
        """Forget what was written since `begin`."""
        self._due_at = 0.0
        if self.connection.in_transaction:
            self._run("rollback")

    def admit(self, account: Account, charges: tuple[Charge, ...]) -> Admission:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        now = self._now()
        keys = dict.fromkeys([charge.scope_key for charge in charges])
        own = account.scope
        if account.proven:
            keys[own] = None
        scopes = self._scopes(keys, now)
        home = scopes.by_key[own] if account.proven else None
        standing = _NEW
        if home is not None and home.key != OVERFLOW:
            standing = Standing(0.0, None, home.requests, max(0.0, now - home.first_seen))
        if home is not None:
            for until, band, risk in self._run(_MARKS, (own, now)):
                if band is None:
                    return Admission(False, None, standing, blocked_s=until - now)
                standing = standing._replace(risk=risk, band=band)
        parts = claims.reserve(charges, scopes.bucket, standing, now)
        if isinstance(parts, Admission):
            return parts
        if home is not None:
            home.requests += 1
        self._save(scopes, now)
        token, expires_at = self._token(now), now + self._lease_s
        self._run(
            "insert into leases values (?, ?, ?)",
            (token, expires_at, _claim(standing, _noted(parts, scopes))),
        )
        return Admission(True, Lease(token, charges, expires_at), standing, claims.states(parts, now))

    def extend(self, lease: Lease, charges: tuple[Charge, ...]) -> Admission:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        now = self._now()
        found = self._run("select expires_at, claim from leases where token = ?", (lease.token,)).fetchone()
        if found is None or found[0] <= now:
            return Admission(False, None, _NEW)
        known, notes = orjson.loads(found[1])
        standing = Standing(*known)
        scopes = self._scopes(dict.fromkeys(charge.scope_key for charge in charges), now)
        parts = claims.reserve(charges, scopes.bucket, standing, now)
        if isinstance(parts, Admission):
            return parts
        fresh = _folded(notes, parts, scopes)
        self._save(scopes, now)
        expires_at = now + self._lease_s
        self._run(
            "update leases set expires_at = ?, claim = ? where token = ?",
            (expires_at, _claim(standing, notes + _noted(fresh, scopes)), lease.token),
        )
        longer = Lease(lease.token, lease.charges + charges, expires_at)
        return Admission(True, longer, standing, claims.states(parts, now))

    def settle(self, lease: Lease, actual: tuple[Charge, ...]) -> bool:
        """Replace what the lease reserved by what was used; False for a lease that is over.

        See `StateStore.settle`. Of a lease that has run out and was not swept yet nothing changes.
        """
        now = self._now()
        found = self._run(
            "delete from leases where token = ? and expires_at > ? returning claim", (lease.token, now)
        ).fetchall()
        if not found:
            return False
        known, notes = orjson.loads(found[0][0])
        scopes, parts = self._parts(notes)
        missing = {charge.scope_key for charge in actual} - scopes.by_key.keys()
        if missing:
            scopes.by_key |= self._scopes(dict.fromkeys(missing), now).by_key
        claims.settle(parts, actual, scopes.bucket, Standing(*known), now)
        self._save(scopes, now)
        return True

    def _let_run_out(self, now: float) -> None:
        """Spend leases that have run out as reserved, the earliest first; a few in one call."""
        expired = self._run(
            "delete from leases where token in"
            " (select token from leases where expires_at <= ? order by token limit ?)"
            " returning expires_at, claim",
            (now, _SWEPT),
        ).fetchall()
        for expires_at, claim in sorted(expired):
            scopes, parts = self._parts(orjson.loads(claim)[1])
            claims.run_out(parts, expires_at)
            self._save(scopes, now)
        self.expired += len(expired)
        if len(expired) == _SWEPT:
            return  # there may be more
        (first,) = self._run("select min(expires_at) from leases").fetchone()
        # What any process gives out from now on runs out later than that.
        self._due_at = min(math.inf if first is None else first, now + self._lease_s)

    def _now(self) -> float:
        """The time, after the leases that have run out by then were spent."""
        now = self.now()
        if now >= self._due_at:
            self._let_run_out(now)
        return now

    def _token(self, now: float) -> int:
        """What no other lease of any process is called, ever: it would be settled in that one's place.

        Only one process at a time is here, so the moment tells processes apart, and where a clock
        stands still a number. Tokens grow, so leases lie in the file as they were given out.
        """
        return int(now * _TICKS_PER_S) << _NUMBER_BITS | next(self._numbers) & ((1 << _NUMBER_BITS) - 1)

    # -- rows

    def _scopes(self, keys: dict[str, None], now: float) -> _Scopes:
        """The scopes of these keys; what is not known yet is new, or the overflow where there is no room."""
        scopes = self._known(keys)
        by_key = scopes.by_key
        if len(by_key) < len(keys):
            missing = [key for key in keys if key not in by_key]
            for key in missing[: self._room(len(missing))]:
                by_key[key] = _Scope(None, key, 0, now, {})
            rest = [key for key in missing if key not in by_key]
            if rest:
                overflow = self._overflow(now)
                by_key.update(dict.fromkeys(rest, overflow))
        return scopes

    def _known(self, keys: Collection[str]) -> _Scopes:
        """Those of these keys that there are."""
        scopes = _Scopes()
        if keys:
            for row in self._run(_select("key", len(keys)), (*keys,)):
                scope = _read(row)
                scopes.by_key[scope.key] = scope
        return scopes

    def _room(self, wanted: int) -> int:
        known: int = self._run("select value from facts where name = 'scopes'").fetchone()[0]
        return max(0, min(wanted, self._max_accounts - known))

    def _overflow(self, now: float) -> _Scope:
        row = self._run(_select("key", 1), (OVERFLOW,)).fetchone()
        return _Scope(None, OVERFLOW, 0, now, {}) if row is None else _read(row)

    def _parts(self, notes: Iterable[list[Any]]) -> tuple[_Scopes, list[Part]]:
        """The scopes and parts of a lease that was noted; they are all there, for a lease keeps its scopes."""
        scopes, parts = _Scopes(), []
        ids = {note[0] for note in notes}
        by_id = {row[0]: _read(row) for row in self._run(_select("id", len(ids)), (*ids,))} if ids else {}
        for id, scope_key, *limit, amount_held in notes:
            scope = by_id[id]
            scopes.by_key[scope_key or scope.key] = scope
            charge = Charge(_limit(*limit), scope_key or scope.key, amount_held)
            parts.append((charge, scope.bucket(charge.limit.key), amount_held))
        return scopes, parts

    def _save(self, scopes: _Scopes, now: float) -> None:
        """Write what changed; of each scope only the limits that say something."""
        for scope in scopes.by_key.values():
            whole_at, leases, kept = 0.0, 0, {}
            for limit_key, bucket in scope.buckets.items():
                until, used, before = bucket.spent
                if bucket.leases or until > now:
                    kept[limit_key] = (until, used, before, bucket.held, bucket.leases)
                    leases += bucket.leases
                    if until > whole_at:
                        whole_at = until
            text = orjson.dumps(kept).decode()
            if scope.id is not None:
                self._run(_UPDATE, (scope.requests, now, whole_at, leases, text, scope.id))
            else:
                new = (scope.key, scope.requests, scope.first_seen, now, whole_at, leases, text)
                scope.id = self._run("insert into scopes values (null, ?, ?, ?, ?, ?, ?, ?)", new).lastrowid


@functools.cache
def _select(column: str, count: int) -> str:
    """The statement that reads so many scopes, of which only a few kinds exist."""
    return f"select {_COLUMNS} from scopes where {column} in ({', '.join('?' * count)})"  # noqa: S608


def _read(row: tuple[int, str, int, float, str]) -> _Scope:
    id, key, requests, first_seen, text = row
    buckets = {
        limit_key: Bucket(Spent(until, used, before), held, leases)
        for limit_key, (until, used, before, held, leases) in orjson.loads(text).items()
    }
    return _Scope(id, key, requests, first_seen, buckets)


def _noted(parts: list[Part], scopes: _Scopes) -> list[list[Any]]:
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


def _folded(notes: list[list[Any]], parts: list[Part], scopes: _Scopes) -> list[Part]:
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


def _claim(standing: Standing, notes: list[list[Any]]) -> str:
    return orjson.dumps((tuple(standing), notes)).decode()


@functools.lru_cache(maxsize=1024)
def _limit(name: str, unit: str, amount: float, per_s: float, burst: float, window: str) -> Limit:
    return Limit(name, unit, amount, per_s, burst, window)  # type: ignore[arg-type]
