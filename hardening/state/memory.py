"""The store of one process: limits, leases and standing in its own memory, without waiting.

What is lost when the process ends: everything. Each worker process counts for itself. Not for
several threads at once; the event loop of one process is its place.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence

from hardening.facts import EVERYBODY, Account, Admission, Charge, Lease, Limit, Standing, quickly
from hardening.state import buckets, claims, standing
from hardening.state.accounts import OWN, AccountState, Block, Flag, Kept, belongs
from hardening.state.buckets import UNSPENT
from hardening.state.claims import Bucket, Part
from hardening.state.models import MOST_MODELS, spare_of
from hardening.state.standing import Evidence, Record

_LOOKS = 8
"""Accounts looked at for one to forget when a newcomer finds the store full."""

_NEW = Standing()


class _Scope:
    """What is known under one scope key: its buckets by limit, and the standing of a proven account.

    Before `clean_at` it is not forgotten for what its requests have said.
    """

    __slots__ = ("buckets", "clean_at", "first_seen", "record", "requests")

    def __init__(self, now: float) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.first_seen = now
        self.requests = 0
        self.record: Record | None = None
        self.clean_at = 0.0

    def bucket(self, limit_key: str) -> Bucket:
        found = self.buckets.get(limit_key)
        if found is None:
            found = self.buckets[limit_key] = Bucket()
        return found

    def is_idle(self, now: float) -> bool:
        """Whether all limits are whole, no lease is open and nothing speaks against it: forgetting gives nobody anything."""
        return self.clean_at <= now and all(bucket.is_idle(now) for bucket in self.buckets.values())


class _Open:
    """A lease that is neither settled nor expired, with the standing that it was priced by, and who may gain one."""

    __slots__ = ("expires_at", "home", "parts", "standing")

    def __init__(self, parts: list[Part], standing: Standing, expires_at: float, home: _Scope | None) -> None:
        self.parts = parts
        self.standing = standing
        self.home = home
        self.expires_at = expires_at


class MemoryStore:
    """A `StateStore` that answers at once; bounded in accounts, and a flood cannot wash anybody.

    When `max_accounts` is reached, the account longest unused goes whose limits are all whole
    again and whom nothing is held against. Where there is none, newcomers share the limits of one overflow scope until there is.
    """

    def __init__(self, *, max_accounts: int = 100_000, lease_s: float = 1800.0) -> None:
        self.expired_leases = 0
        """Leases that ran out and were spent as reserved."""
        self.late_settlements = 0
        """Settlements of leases that were settled or had expired; they changed nothing."""
        self._max_accounts = max_accounts
        self._lease_s = lease_s
        self._now = 0.0
        self._tokens = itertools.count(1)
        self._scopes: OrderedDict[str, _Scope] = OrderedDict()
        self._overflow = _Scope(0.0)
        self._models: dict[str, set[str]] = {}
        # All leases live equally long, so the order of their last extension is that of expiry.
        self._leases: OrderedDict[Hashable, _Open] = OrderedDict()
        self._due_at = 0.0  # no lease runs out before
        self._blocks: dict[str, tuple[str, float]] = {}
        self._flags: dict[str, tuple[str, float, float, str]] = {}

    def __len__(self) -> int:
        """Accounts, networks and other scopes that are remembered."""
        return len(self._scopes)

    @property
    def open_leases(self) -> int:
        """Leases that are neither settled nor expired, as of the last call."""
        return len(self._leases)

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        now = self._pass_time(now)
        if self._blocks and account.proven and (block := self._block_of(account.id)):
            return Admission(False, None, self._known_standing(account), blocked_s=block.left_s)
        home = self._scope(account.scope) if account.proven else self._overflow
        # Whoever shares the overflow is as new as can be, however long that has been in use.
        known = _NEW if home is self._overflow else self._standing(home)
        if self._flags and account.proven:
            known = self._flagged(account.id, known)
        parts = claims.reserve(charges, self._bucket, known, now)
        if isinstance(parts, Admission):
            return parts
        if not home.requests:
            home.first_seen = now  # a refusal makes nobody older
        home.requests += 1
        token = next(self._tokens)
        expires_at = now + self._lease_s
        self._leases[token] = _Open(parts, known, expires_at, None if home is self._overflow else home)
        lease = quickly(Lease, (token, charges, expires_at))
        left = claims.states(parts, now)
        return quickly(Admission, (True, lease, known, left, None, None, None))

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        now = self._pass_time(now)
        opened = self._leases.get(lease.token)
        if opened is None:
            return Admission(False, None, _NEW)
        parts = claims.reserve(charges, self._bucket, opened.standing, now)
        if isinstance(parts, Admission):
            return parts
        opened.parts += parts
        opened.expires_at = now + self._lease_s
        self._leases.move_to_end(lease.token)
        longer = Lease(lease.token, lease.charges + charges, opened.expires_at)
        return Admission(True, longer, opened.standing, claims.states(parts, now))

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float) -> None:
        """Replace what the lease reserved by what was used, once; see `StateStore.settle`."""
        now = self._pass_time(now)
        opened = self._leases.pop(lease.token, None)
        if opened is None:
            self.late_settlements += 1
            return
        claims.settle(opened.parts, actual, self._bucket, opened.standing, now)
        home = opened.home
        if evidence and home is not None:
            home.record = record = standing.settled(home.record, evidence, now)
            home.clean_at = standing.clean_at(record, evidence.scale)

    def look(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """What is left of these limits; see `ReadableStore.look`."""
        now = self._pass_time(now)
        known = self._known_standing(account) if account.proven else _NEW
        if account.proven and (block := self._block_of(account.id)):
            return Admission(False, None, known, blocked_s=block.left_s)

        def buckets_of(key: str) -> Mapping[str, Bucket]:
            scope = self._scopes.get(key)
            return {} if scope is None else scope.buckets

        return Admission(True, None, known, claims.seen(charges, buckets_of, now))

    def saw_spent(self, limit: Limit, scope_key: str, units: float, now: float) -> None:
        """Take so much of a limit for spent, whatever was: another store says so."""
        now = self._pass_time(now)
        scope = self._scope(scope_key)
        bucket = scope.bucket(limit.key)
        known = bucket.spent if scope is self._overflow else UNSPENT
        bucket.spent = buckets.spend(limit, known, units, now)

    def saw_at_most(self, limit: Limit, scope_key: str, units: float, now: float) -> None:
        """Take no more than so much of a limit for spent: another store says so."""
        now = self._pass_time(now)
        scope = self._scopes.get(scope_key)
        bucket = scope and scope.buckets.get(limit.key)
        if bucket and buckets.debt(limit, bucket.spent, now) > units:
            bucket.spent = buckets.spend(limit, UNSPENT, units, now)

    # -- what operators ask

    def page(self, after: str, count: int, now: float) -> tuple[AccountState, ...]:
        """The accounts that come next; see `Accounts.page`."""
        now = self._pass_time(now)
        own = {key for key in (*self._scopes, *self._blocks, *self._flags) if key.startswith(OWN)}
        ids = heapq.nsmallest(count, (id for key in own if (id := key.removeprefix(OWN)) > after))
        return tuple(self._state_of(id, self._own(id)) for id in ids)

    def find(self, id: str, now: float) -> AccountState | None:
        """One account; see `Accounts.find`."""
        self._pass_time(now)
        scopes = self._own(id)
        known = scopes or self._block_of(id) or self._flag_of(id)
        return self._state_of(id, scopes) if known else None

    def shared(self, now: float) -> AccountState:
        """Limits that all callers share; see `Accounts.shared`."""
        self._pass_time(now)
        scope = self._scopes.get(EVERYBODY.scope)
        return self._state_of("", {} if scope is None else {EVERYBODY.scope: scope})

    def reset(self, id: str, now: float) -> AccountState | None:
        """Make all limits of an account whole; see `Accounts.reset`."""
        self._pass_time(now)
        for scope in self._own(id).values():
            for bucket in scope.buckets.values():
                bucket.spent = UNSPENT
        return self.find(id, now)

    def forget(self, id: str, now: float) -> AccountState | None:
        """Forget what an account has asked; see `Accounts.forget`."""
        known = self.reset(id, now)
        home = self._scopes.get(OWN + id)
        if home is not None:
            home.record, home.clean_at, home.requests, home.first_seen = None, 0.0, 0, self._now
        for key, scope in self._own(id).items():
            if scope.is_idle(self._now):
                self._forget(key)
        return known and self._state_of(id, self._own(id))

    def grant(self, id: str, limits: Sequence[Limit], units: float, now: float) -> AccountState | None:
        """Give units of limits back to an account; see `Accounts.grant`."""
        now = self._pass_time(now)
        for scope in self._own(id).values():
            for limit in limits:
                if bucket := scope.buckets.get(limit.key):
                    bucket.spent = buckets.give_back(limit, bucket.spent, units, now)
        return self.find(id, now)

    def block(self, id: str, reason: str, for_s: float, now: float, org: str | None = None) -> AccountState:
        """Refuse an account from now on; see `Accounts.block`."""
        now = self._pass_time(now)
        self._blocks = {key: block for key, block in self._blocks.items() if block[1] > now}
        self._blocks[OWN + id] = reason, now + for_s
        return self._state_of(id, self._own(id))

    def unblock(self, id: str, now: float) -> AccountState | None:
        """Let an account ask again; see `Accounts.unblock`."""
        known = self.find(id, now)
        self._blocks.pop(OWN + id, None)
        return known and known._replace(block=None)

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
        now = self._pass_time(now)
        self._flags = {key: flag for key, flag in self._flags.items() if flag[2] > now}
        self._flags[OWN + id] = band, risk, now + for_s, reason
        return self._state_of(id, self._own(id))

    def unflag(self, id: str, now: float) -> AccountState | None:
        """Take an account out of its band; see `Accounts.unflag`."""
        known = self.find(id, now)
        self._flags.pop(OWN + id, None)
        return known and known._replace(flag=None)

    def _own(self, id: str) -> dict[str, _Scope]:
        """The scopes that are an account's alone."""
        return {key: scope for key, scope in self._scopes.items() if belongs(key, id)}

    def _state_of(self, id: str, scopes: Mapping[str, _Scope]) -> AccountState:
        home = scopes.get(OWN + id)
        known = _NEW if home is None else self._standing(home)
        kept = [
            Kept(key, limit_key, bucket.spent, bucket.held, bucket.leases)
            for key, scope in scopes.items()
            for limit_key, bucket in scope.buckets.items()
            if not bucket.is_idle(self._now)
        ]
        return AccountState(
            id,
            known.requests,
            known.age_s,
            self._now,
            tuple(kept),
            self._block_of(id),
            self._flag_of(id),
            None if home is None else self._record(home),
        )

    def _block_of(self, id: str) -> Block | None:
        reason, until = self._blocks.get(OWN + id, ("", 0.0))
        return Block(reason, until - self._now) if until > self._now else None

    def _flag_of(self, id: str) -> Flag | None:
        band, risk, until, reason = self._flags.get(OWN + id, ("", 0.0, 0.0, ""))
        return Flag(band, risk, until - self._now, reason) if until > self._now else None

    # -- time and scopes

    def _pass_time(self, now: float) -> float:
        """The store's time, which never goes back, after spending every lease that ran out by then."""
        if now < self._now:
            now = self._now
        self._now = now
        if now >= self._due_at:
            self._let_run_out(now)
        return now

    def _let_run_out(self, now: float) -> None:
        self._due_at = now + self._lease_s  # what is given out from now on runs out no earlier
        while self._leases:
            token, opened = next(iter(self._leases.items()))
            if opened.expires_at > now:
                self._due_at = opened.expires_at
                break
            del self._leases[token]
            self.expired_leases += 1
            claims.run_out(opened.parts, opened.expires_at)

    def _scope(self, key: str) -> _Scope:
        """The scope of this key, made if need be; the overflow where there is no room."""
        scope = self._scopes.get(key)
        if scope is not None:
            self._scopes.move_to_end(key)
            return scope
        if len(self._scopes) >= self._max_accounts and not self._forget_one():
            return self._overflow
        spare = spare_of(key)
        if spare is not None and not self._count_model(key, spare):
            return self._scope(spare)
        scope = self._scopes[key] = _Scope(self._now)
        return scope

    def _count_model(self, key: str, spare: str) -> bool:
        """Whether a new model of an account may be counted apart; if need be those that are whole make room."""
        known = self._models.setdefault(spare, set())
        if len(known) >= MOST_MODELS:
            for other in [one for one in known if self._scopes[one].is_idle(self._now)]:
                self._forget(other)
            known = self._models.setdefault(spare, set())
        if len(known) >= MOST_MODELS:
            return False
        known.add(key)
        return True

    def _bucket(self, charge: Charge) -> Bucket:
        key, limit_key = charge.scope_key, charge.limit.key
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scope(key)
        else:
            self._scopes.move_to_end(key)
        return scope.buckets.get(limit_key) or scope.bucket(limit_key)

    def _forget_one(self) -> bool:
        """Forget the longest unused idle scope among a few; those that must stay go to the back."""
        for _ in range(min(_LOOKS, len(self._scopes))):
            key, scope = next(iter(self._scopes.items()))
            if scope.is_idle(self._now):
                self._forget(key)
                return True
            self._scopes.move_to_end(key)
        return False

    def _forget(self, key: str) -> None:
        del self._scopes[key]
        if (spare := spare_of(key)) is not None:
            known = self._models[spare]
            known.discard(key)
            if not known:
                del self._models[spare]

    def _known_standing(self, account: Account) -> Standing:
        scope = self._scopes.get(account.scope)
        return self._flagged(account.id, _NEW if scope is None else self._standing(scope))

    def _flagged(self, id: str, known: Standing) -> Standing:
        """The standing with the band that an operator has put the account into."""
        flag = self._flag_of(id)
        if flag is None:
            return known
        return known._replace(risk=flag.risk, band=flag.band or None, due=None)

    def _standing(self, scope: _Scope) -> Standing:
        age_s = self._now - scope.first_seen if scope.requests else 0.0
        record = scope.record and self._record(scope)
        if record is None:
            return quickly(Standing, (0.0, None, scope.requests, age_s, None, None))
        due = record.due if record.is_ready else None
        return quickly(Standing, (record.risk, record.band or None, scope.requests, age_s, due, None))

    def _record(self, scope: _Scope) -> Record | None:
        """What is kept of the requests of an account, if that is not too long ago."""
        record = scope.record
        return None if record is None or record.until <= self._now else record
