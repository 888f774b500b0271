"""The transactions: what `claims` does to buckets, with the rows of one connection under it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import orjson

from hardening.facts import Account, Admission, Charge, Lease, Standing, quickly
from hardening.state import claims, standing
from hardening.state.claims import Bucket, Part
from hardening.state.models import MOST_MODELS, spare_of
from hardening.state.sqlite.rows import (
    Scope,
    Scopes,
    claim_of,
    folded,
    limit_of,
    noted,
    read_claim,
    read_scope,
    record_text,
    select,
)
from hardening.state.standing import Evidence

OVERFLOW = "overflow"
"""The scope that newcomers share where there is no room for one more."""

_SWEPT = 16  # leases that one call lets run out; each takes some 20 us
_TICKS_PER_S = 100_000
_GIVER_BITS = 15  # below 48 bits of ticks, until the year 2059
_NEW = Standing()
_UPDATE = "update scopes set requests = ?, seen_at = ?, whole_at = ?, leases = ?, buckets = ? where id = ?"

# What an operator has said of an account: in which band it is, or that it is blocked.
_RECORD = "update scopes set record = ?, until = ?, clean_at = ? where id = ?"
_MARKS = (
    "select until, band, risk from flags where key = ?1 and until > ?2"
    " union all select until, null, null from blocks where key = ?1 and until > ?2"
)
_NEXT_GIVER = "insert into facts values ('givers', 1) on conflict (name) do update set value = value + 1 returning value"
_MODELS = "select count(*) from scopes where key > ? and key < ?"
_FORGET_MODELS = "delete from scopes where key > ? and key < ? and leases = 0 and whole_at <= ?"


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
        self._run = connection.cursor().execute  # one for all: nothing is asked while rows are still to come
        self._max_accounts = max_accounts
        self._lease_s = lease_s
        # No lease of any process runs out before; so nobody looks for one until then.
        self._due_at = 0.0
        self._giver: int | None = None  # what tells the leases of this ledger from those of others
        self._tick = 0

    def begin(self) -> None:
        """Begin to write; raises `sqlite3.OperationalError` where somebody else does."""
        self._run("begin immediate")

    def commit(self) -> None:
        """Keep what was written."""
        self._run("commit")

    def rollback(self) -> None:
        """Forget what was written since `begin`."""
        self._due_at, self._giver = 0.0, None
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
        known, blocked_s = _NEW, None
        if home is not None:
            known, blocked_s = self._standing(home, own, now)
        if blocked_s is not None:
            return Admission(False, None, known, blocked_s=blocked_s)
        parts = claims.reserve(charges, scopes.bucket, known, now)
        if isinstance(parts, Admission):
            return parts
        if home is not None:
            home.requests += 1
        self._save(scopes, now)
        token, expires_at = self._token(now), now + self._lease_s
        judged = None if home is None or home.key == OVERFLOW else home.id
        self._run(
            "insert into leases values (?, ?, ?)",
            (token, expires_at, claim_of(known, noted(parts, scopes), judged)),
        )
        lease = quickly(Lease, (token, charges, expires_at))
        return quickly(Admission, (True, lease, known, claims.states(parts, now), None, None, None))

    def look(self, account: Account, charges: tuple[Charge, ...]) -> Admission:
        """What is left of these limits; see `ReadableStore.look`."""
        now, own = self._now(), account.scope
        scopes = self._known({own: None, **dict.fromkeys(charge.scope_key for charge in charges)}).by_key
        known, blocked_s = _NEW, None
        if account.proven:
            known, blocked_s = self._standing(scopes.get(own), own, now)
        if blocked_s is not None:
            return Admission(False, None, known, blocked_s=blocked_s)

        def buckets_of(key: str) -> Mapping[str, Bucket]:
            scope = scopes.get(key)
            return {} if scope is None else scope.buckets

        return Admission(True, None, known, claims.seen(charges, buckets_of, now))

    def extend(self, lease: Lease, charges: tuple[Charge, ...]) -> Admission:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        now = self._now()
        found = self._run("select expires_at, claim from leases where token = ?", (lease.token,)).fetchone()
        if found is None or found[0] <= now:
            return Admission(False, None, _NEW)
        known, notes, home = read_claim(found[1])
        scopes = self._scopes(dict.fromkeys(charge.scope_key for charge in charges), now)
        parts = claims.reserve(charges, scopes.bucket, known, now)
        if isinstance(parts, Admission):
            return parts
        fresh = folded(notes, parts, scopes)
        self._save(scopes, now)
        expires_at = now + self._lease_s
        self._run(
            "update leases set expires_at = ?, claim = ? where token = ?",
            (expires_at, claim_of(known, notes + noted(fresh, scopes), home), lease.token),
        )
        longer = Lease(lease.token, lease.charges + charges, expires_at)
        return Admission(True, longer, known, claims.states(parts, now))

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None = None) -> bool:
        """Replace what the lease reserved by what was used; False for a lease that is over.

        See `StateStore.settle`. Of a lease that has run out and was not swept yet nothing changes.
        """
        now = self._now()
        found = self._run(
            "delete from leases where token = ? and expires_at > ? returning claim", (lease.token, now)
        ).fetchall()
        if not found:
            return False
        known, notes, home = read_claim(found[0][0])
        scopes, parts = self._parts(notes)
        missing = {charge.scope_key for charge in actual} - scopes.by_key.keys()
        if missing:
            scopes.by_key |= self._scopes(dict.fromkeys(missing), now).by_key
        claims.settle(parts, actual, scopes.bucket, known, now)
        self._save(scopes, now)
        if evidence and home is not None:
            self._judge(home, evidence, now)
        return True

    def _judge(self, home: int, evidence: Evidence, now: float) -> None:
        """Merge evidence into the record of an account that there still is."""
        for row in self._run(select("id", 1), (home,)).fetchall():
            record = standing.settled(read_scope(row).record(now), evidence, now)
            clean_at = standing.clean_at(record, evidence.scale)
            self._run(_RECORD, (record_text(record), record.until, clean_at, home))

    def _standing(self, home: Scope | None, key: str, now: float) -> tuple[Standing, float | None]:
        """How an account stands, and for how long it is blocked, None where it is not."""
        known = _NEW
        if home is not None and home.key != OVERFLOW:
            age_s = max(0.0, now - home.first_seen)
            if record := home.record(now):
                due = record.due if record.is_ready else None
                band, peak = record.band or None, record.peak_at(now)
                known = quickly(Standing, (record.risk, band, home.requests, age_s, due, peak))
            else:
                known = Standing(0.0, None, home.requests, age_s)
            if not home.is_marked:
                return known, None
        for until, band, risk in self._run(_MARKS, (key, now)):
            if band is None:
                return known, until - now
            known = known._replace(risk=risk, band=band or None, due=None)
        return known, None

    def _let_run_out(self, now: float) -> None:
        """Spend leases that have run out as reserved, the earliest first; a few in one call."""
        expired = self._run(
            "delete from leases where token in"
            " (select token from leases where expires_at <= ? order by token limit ?)"
            " returning expires_at, claim",
            (now, _SWEPT),
        ).fetchall()
        for expires_at, claim in sorted(expired):
            scopes, parts = self._parts(read_claim(claim)[1])
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

        The number of the giver tells processes apart, and where a clock stands still ticks run ahead of it. Tokens
        of a process grow, so leases lie in the file nearly as they were given out.
        """
        if self._giver is None:
            ((number,),) = self._run(_NEXT_GIVER).fetchall()
            self._giver = number & ((1 << _GIVER_BITS) - 1)
        self._tick = max(int(now * _TICKS_PER_S), self._tick + 1)
        return self._tick << _GIVER_BITS | self._giver

    # -- rows

    def _scopes(self, keys: dict[str, None], now: float) -> Scopes:
        """The scopes of these keys; what is not known yet is new, or the overflow where there is no room."""
        scopes = self._known(keys)
        by_key = scopes.by_key
        if len(by_key) < len(keys):
            missing = self._counted_apart([key for key in keys if key not in by_key], scopes, now)
            for key in missing[: self._room(len(missing))]:
                by_key[key] = Scope(None, key, 0, now, {})
            rest = [key for key in missing if key not in by_key]
            if rest:
                overflow = self._overflow(now)
                by_key.update(dict.fromkeys(rest, overflow))
        return scopes

    def _counted_apart(self, missing: list[str], scopes: Scopes, now: float) -> list[str]:
        """Those of the missing that may have a scope; to others, models of an account that has too many, goes its spare one."""
        left = []
        for key in missing:
            spare = spare_of(key)
            if spare is None or self._models(spare, now) < MOST_MODELS:
                left.append(key)
            else:
                by_key = scopes.by_key
                by_key |= self._scopes({spare: None}, now).by_key if spare not in by_key else {}
                by_key[key] = by_key[spare]
        return left

    def _models(self, spare: str, now: float) -> int:
        """How many models of an account have a scope; where they are too many, of those that are not whole."""
        within = (spare, spare[:-1] + "\x0b")
        (known,) = self._run(_MODELS, within).fetchone()
        if known < MOST_MODELS:
            return int(known)
        gone = self._run(_FORGET_MODELS, (*within, now))
        return int(known - gone.rowcount)

    def _known(self, keys: Collection[str]) -> Scopes:
        """Those of these keys that there are."""
        scopes = Scopes()
        if keys:
            for row in self._run(select("key", len(keys)), (*keys,)):
                scope = read_scope(row)
                scopes.by_key[scope.key] = scope
        return scopes

    def _room(self, wanted: int) -> int:
        known: int = self._run("select value from facts where name = 'scopes'").fetchone()[0]
        return max(0, min(wanted, self._max_accounts - known))

    def _overflow(self, now: float) -> Scope:
        row = self._run(select("key", 1), (OVERFLOW,)).fetchone()
        return Scope(None, OVERFLOW, 0, now, {}) if row is None else read_scope(row)

    def _parts(self, notes: Iterable[list[Any]]) -> tuple[Scopes, list[Part]]:
        """The scopes and parts of a lease that was noted; they are all there, for a lease keeps its scopes."""
        scopes, parts = Scopes(), []
        ids = {note[0] for note in notes}
        by_id = {row[0]: read_scope(row) for row in self._run(select("id", len(ids)), (*ids,))} if ids else {}
        for id, scope_key, *limit, amount_held in notes:
            scope = by_id[id]
            scopes.by_key[scope_key or scope.key] = scope
            charge = Charge(limit_of(*limit), scope_key or scope.key, amount_held)
            parts.append((charge, scope.bucket(charge.limit.key), amount_held))
        return scopes, parts

    def _save(self, scopes: Scopes, now: float) -> None:
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
                scope.id = self._run(
                    "insert into scopes values (null, ?, ?, ?, ?, ?, ?, ?, null, 0, 0)", new
                ).lastrowid
