"""What operators ask of a SQLite file that workers have open; each act is one transaction of its own."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from hardening.clock import Clock, SystemClock
from hardening.facts import EVERYBODY, Limit
from hardening.state import buckets
from hardening.state.accounts import OWN, OWN_END, PARTS, AccountState, Block, Flag, Kept
from hardening.state.buckets import UNSPENT
from hardening.state.claims import Bucket
from hardening.state.sqlite.file import StateFile, clock_offset
from hardening.state.sqlite.ledger import Ledger

_BUSY_MS = 5000
_Answer = TypeVar("_Answer")


class SqliteAccounts:
    """`Accounts` of a file that exists; opens it for each act, and waits where others write.

    Raises:
        StateError: there is no such file, it cannot be used, or it stays locked for 5 s.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self._file = StateFile(Path(path).absolute())
        self._clock = SystemClock() if clock is None else clock

    def page(self, after: str, count: int, now: float) -> tuple[AccountState, ...]:
        """The accounts that come next; see `Accounts.page`."""
        return self._act(lambda desk: desk.page(after, count))

    def find(self, id: str, now: float) -> AccountState | None:
        """One account; see `Accounts.find`."""
        return self._act(lambda desk: desk.find(id))

    def shared(self, now: float) -> AccountState:
        """Limits that all callers share; see `Accounts.shared`."""
        return self._act(lambda desk: desk.shared())

    def reset(self, id: str, now: float) -> AccountState | None:
        """Make all limits of an account whole; see `Accounts.reset`."""

        def whole(key: str, bucket: Bucket, now: float) -> None:
            bucket.spent = UNSPENT

        return self._act(lambda desk: desk.change(id, whole))

    def forget(self, id: str, now: float) -> AccountState | None:
        """Forget what an account has asked; see `Accounts.forget`."""
        return self._act(lambda desk: desk.forget(id))

    def grant(self, id: str, limits: Sequence[Limit], units: float, now: float) -> AccountState | None:
        """Give units of limits back to an account; see `Accounts.grant`."""
        by_key = {limit.key: limit for limit in limits}

        def give_back(key: str, bucket: Bucket, now: float) -> None:
            if limit := by_key.get(key):
                bucket.spent = buckets.give_back(limit, bucket.spent, units, now)

        return self._act(lambda desk: desk.change(id, give_back))

    def block(self, id: str, reason: str, for_s: float, now: float, org: str | None = None) -> AccountState:
        """Refuse an account from now on; see `Accounts.block`."""
        return self._act(lambda desk: desk.block(id, reason, for_s))

    def flag(
        self,
        id: str,
        band: str,
        risk: float,
        for_s: float,
        now: float,
        org: str | None = None,
        reason: str = "",
    ) -> AccountState:
        """Put an account into a band from now on; see `Accounts.flag`."""
        return self._act(lambda desk: desk.flag(id, band, risk, for_s, reason))

    def unflag(self, id: str, now: float) -> AccountState | None:
        """Take an account out of its band; see `Accounts.unflag`."""
        return self._act(lambda desk: desk.unflag(id))

    def unblock(self, id: str, now: float) -> AccountState | None:
        """Let an account ask again; see `Accounts.unblock`."""
        return self._act(lambda desk: desk.unblock(id))

    def _act(self, act: Callable[[_Book], _Answer]) -> _Answer:
        if not self._file.path.exists():
            raise self._file.fault("does not exist; name the file that the workers have open")
        try:
            with closing(self._file.connect()) as connection:
                connection.execute(f"pragma busy_timeout = {_BUSY_MS}")
                offset = clock_offset(connection, self._clock)
                book = _Book(
                    connection,
                    lambda: self._clock.monotonic() + offset,
                    max_accounts=0,  # nobody new comes in this way
                    lease_s=math.inf,
                )
                book.begin()
                try:
                    answer = act(book)
                    book.commit()
                except BaseException:
                    book.rollback()
                    raise
                return answer
        except sqlite3.Error as fault:
            raise self._file.explained(fault) from fault


class _Book(Ledger):
    """A ledger that operators look into."""

    def page(self, after: str, count: int) -> tuple[AccountState, ...]:
        now = self._swept()
        # All three orders are those of an index; of each no more is read than is told.
        found = self._run(
            "select key from (select key from scopes where key > ?1 and key < ?2 order by key limit ?3) union"
            " select key from (select key from blocks where key > ?1 and until > ?4 order by key limit ?3) union"
            " select key from (select key from flags where key > ?1 and until > ?4 order by key limit ?3)"
            " order by key limit ?3",
            (OWN + after, OWN_END, count, now),
        )
        return tuple([self._state_of(key.removeprefix(OWN), [key], now) for (key,) in found.fetchall()])

    def find(self, id: str) -> AccountState | None:
        now = self._swept()
        keys = self._own(id)
        known = keys or self._block_of(id, now) or self._flag_of(id, now)
        return self._state_of(id, keys, now) if known else None

    def shared(self) -> AccountState:
        return self._state_of("", [EVERYBODY.scope], self._swept())

    def change(self, id: str, act: Callable[[str, Bucket, float], None]) -> AccountState | None:
        now = self._swept()
        for key in self._own(id):
            scopes = self._known([key])
            for limit_key, bucket in scopes.by_key[key].buckets.items():
                act(limit_key, bucket, now)
            self._save(scopes, now)
        return self.find(id)

    def block(self, id: str, reason: str, for_s: float) -> AccountState:
        now = self._swept()
        self._run("delete from blocks where until <= ?", (now,))
        self._run("insert or replace into blocks values (?, ?, ?)", (OWN + id, now + for_s, reason))
        return self._state_of(id, self._own(id), now)

    def forget(self, id: str) -> AccountState | None:
        def whole(key: str, bucket: Bucket, now: float) -> None:
            bucket.spent = UNSPENT

        known = self.change(id, whole)
        now = self._swept()
        for key in self._own(id):
            self._run("delete from scopes where key = ? and leases = 0 and whole_at <= ?", (key, now))
        self._run(
            "update scopes set record = null, until = 0, clean_at = 0, requests = 0, first_seen = ? where key = ?",
            (now, OWN + id),
        )
        return known and self._state_of(id, self._own(id), now)

    def flag(self, id: str, band: str, risk: float, for_s: float, reason: str) -> AccountState:
        now = self._swept()
        self._run("delete from flags where until <= ?", (now,))
        flag = (OWN + id, now + for_s, band, risk, reason)
        self._run(
            "insert or replace into flags (key, until, band, risk, reason) values (?, ?, ?, ?, ?)", flag
        )
        return self._state_of(id, self._own(id), now)

    def unflag(self, id: str) -> AccountState | None:
        known = self.find(id)
        self._run("delete from flags where key = ?", (OWN + id,))
        return known and known._replace(flag=None)

    def unblock(self, id: str) -> AccountState | None:
        known = self.find(id)
        self._run("delete from blocks where key = ?", (OWN + id,))
        return known and known._replace(block=None)

    def _swept(self) -> float:
        """The time, after every lease that has run out by then was spent."""
        now = self._now()
        while self._due_at <= now:
            now = self._now()
        return now

    def _own(self, id: str) -> list[str]:
        """The keys of the scopes that are an account's alone."""
        keys = self._run("select key from scopes where key = ?", (OWN + id,)).fetchall()
        for part in PARTS:
            between = (f"{part}{id}\n", f"{part}{id}\x0b")
            keys += self._run("select key from scopes where key > ? and key < ?", between).fetchall()
        return [key for (key,) in keys]

    def _state_of(self, id: str, keys: Sequence[str], now: float) -> AccountState:
        requests, age_s, record, kept = 0, 0.0, None, []
        for key in keys:
            scope = self._known([key]).by_key.get(key)
            if scope is None:
                continue  # a block of one that never asked
            if key == OWN + id:
                requests, age_s = scope.requests, max(0.0, now - scope.first_seen)
                record = scope.record(now)
            for limit_key, bucket in scope.buckets.items():
                if not bucket.is_idle(now):
                    kept.append(Kept(key, limit_key, bucket.spent, bucket.held, bucket.leases))
        marks = self._block_of(id, now), self._flag_of(id, now)
        return AccountState(id, requests, age_s, now, tuple(kept), *marks, record)

    def _block_of(self, id: str, now: float) -> Block | None:
        found = self._run(
            "select reason, until from blocks where key = ? and until > ?", (OWN + id, now)
        ).fetchone()
        return None if found is None else Block(found[0], found[1] - now)

    def _flag_of(self, id: str, now: float) -> Flag | None:
        found = self._run(
            "select band, risk, until, reason from flags where key = ? and until > ?", (OWN + id, now)
        ).fetchone()
        return None if found is None else Flag(found[0], found[1], found[2] - now, found[3])
