"""The store on a Redis or Valkey server, or a cluster of them: exact for all workers of all machines.

One script call before the app and one after it (`lua/`); time is the server's. All that a
request touches lies below one root, its organisation or else its account, whose name is the hash tag
of every key; so it lies on one server of a cluster. For each scope there are two keys: its state (one
packed string: the buckets, and the standing of an account) and its open leases (a hash). Both go by
themselves once all limits are whole again; a standing is remembered for 30 days.

What is sent twice counts once: a lease has an id that is made here, and the script knows it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from hardening.errors import StateError
from hardening.facts import Account, Admission, Charge, Lease, Limit, Standing
from hardening.state.accounts import OWN
from hardening.state.models import spare_of
from hardening.state.redis_claims import Claim, admission_of, merged, prices, state_of
from hardening.state.redis_link import DEADLINE_S, Link
from hardening.state.redis_script import script
from hardening.state.redis_url import read_url
from hardening.state.redis_wire import Act, Reply, Told, evidence_of, head, looked, packed, reply_of
from hardening.state.spent import UNSPENT
from hardening.state.standing import Evidence

REMEMBERED_S = 30 * 86_400.0
"""How long the standing of an account that asks nothing is kept."""

LEASES = "\nleases"
"""What ends the key of a scope's open leases."""

_DOUBTFUL = 10_000
"""Reservations that may or may not have been made, kept until they can be undone; beyond, they expire."""

_UNDONE_AT_ONCE = 64

_NEW = Standing()
_SERVER_TIME = -1.0


def tag_of(root: str) -> str:
    """The hash tag of a root, whose own braces would end it early, or make it empty."""
    return root.replace("{", "(").replace("}", ")")


def keys_of(prefix: str, root: str, scopes: Iterable[str]) -> list[str]:
    """The two keys of each of these scopes below one root."""
    tag = tag_of(root)
    return [f"{prefix}:{{{tag}}}:{scope}{suffix}" for scope in scopes for suffix in ("", LEASES)]


class Token(NamedTuple):
    """What a lease of this store goes by: its id, the root and scopes of its keys, the home first.

    `model` is the scope of a model, if there is one; where `is_spare`, another one is charged in its place.
    """

    id: bytes
    root: str
    scopes: tuple[str, ...]
    standing: Standing
    model: str = ""
    is_spare: bool = False

    def with_scopes(self, claim: Iterable[tuple[str, str]]) -> Token:
        """The same lease with every scope of a claim on it, that of a model apart."""
        known = dict.fromkeys(self.scopes)
        known |= dict.fromkeys(scope for scope, _ in claim if scope != self.model)
        return self._replace(scopes=tuple(known))

    @property
    def order(self) -> tuple[str, ...]:
        """The scopes in the order in which their charges go, by the names that charges have."""
        return (*self.scopes, self.model) if self.model else self.scopes


class RedisStore:
    """A `StateStore` on Redis or Valkey.

    Args:
        url: `redis://`, `rediss://`, `redis+cluster://` or `rediss+cluster://`.
        lease_s: how long a lease lives without word of its stream.
        deadline_s: how long a call may take.
        own_clock: False takes the caller's `now` for the time, and keeps every key: for tests.

    Raises:
        StateError: the address cannot be used; nothing is opened before the first call.
    """

    def __init__(
        self,
        url: str,
        *,
        lease_s: float = 1800.0,
        deadline_s: float = DEADLINE_S,
        own_clock: bool = True,
    ) -> None:
        place = read_url(url)
        self._link = Link(place, script(), deadline_s=deadline_s)
        self._prefix = place.prefix
        self._lease_s = lease_s
        self._own_clock = own_clock
        self._doubtful: deque[Token] = deque(maxlen=_DOUBTFUL)
        self.late_settlements = 0
        """Settlements of leases that were settled or had expired; they changed nothing."""

    async def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        claim = merged(charges, _NEW)
        models = dict.fromkeys(scope for scope, _ in claim if spare_of(scope))
        # Of several models in one request, which no policy makes, none is bounded.
        model = next(iter(models)) if len(models) == 1 else ""
        token = Token(os.urandom(8), self._root(account), (account.scope,), _NEW, model).with_scopes(claim)
        try:
            paid = prices(charges, token.order) if account.proven else b""
            reply = await self._call("admit", token, claim, now, proven=account.proven, more=paid)
        except (StateError, asyncio.CancelledError) as fault:
            # Whoever asked is gone, or goes on without an answer; the server may have reserved all the same.
            self._doubtful.append(token)
            if not isinstance(fault, StateError):
                self._undo(self.lane(account))
            raise
        standing = reply.standing if account.proven else _NEW
        if reply.blocked_s > 0.0:
            return Admission(False, None, standing, blocked_s=reply.blocked_s)
        token = token._replace(standing=standing, is_spare=reply.is_spare)
        lease = Lease(token, charges, reply.now + self._lease_s)
        if paid:
            claim = merged(charges, standing)
        return admission_of(reply, lease if reply.granted else None, standing, charges, claim, token.order)

    async def look(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """What is left of these limits; see `ReadableStore.look`."""
        scopes = tuple(dict.fromkeys((account.scope, *(charge.scope_key for charge in charges))))
        token = Token(bytes(8), self._root(account), scopes, _NEW)
        raw = await self._link.call(*self._arguments("look", token, {}, now))
        reply, state = looked(raw, account.id, scopes)
        standing = reply.standing if account.proven else _NEW
        if account.proven and reply.blocked_s > 0.0:
            return Admission(False, None, standing, blocked_s=reply.blocked_s)
        found = {(one.scope, one.key): Told(True, one.spent, one.held) for one in state.limits}
        whole = Told(True, UNSPENT, 0.0)
        return Admission(
            True,
            None,
            standing,
            tuple(
                [
                    state_of(charge, found.get((charge.scope_key, charge.limit.key), whole), reply.now)
                    for charge in charges
                ]
            ),
        )

    async def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        token = lease.token
        if not isinstance(token, Token):
            return Admission(False, None, _NEW)
        charges = tuple([charge for charge in charges if charge.factor(token.standing)])
        claim, held = merged(charges, token.standing), merged(lease.charges, token.standing)
        totals = {at: (limit, held.get(at, (limit, 0.0))[1] + more) for at, (limit, more) in claim.items()}
        token = token.with_scopes(claim)
        reply = await self._call("extend", token, totals, now)
        if not reply.known:
            return Admission(False, None, _NEW)
        longer = Lease(token, lease.charges + charges, reply.now + self._lease_s)
        granted = longer if reply.granted else None
        return admission_of(reply, granted, token.standing, charges, claim, token.order)

    async def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> None:
        """Replace what the lease reserved by what was used, once; see `StateStore.settle`."""
        token = lease.token
        if not isinstance(token, Token):
            self.late_settlements += 1
            return
        claim = merged(actual, token.standing)
        proven = token.scopes[0].startswith(OWN)
        said = evidence_of(evidence) if proven else b""
        reply = await self._call("settle", token.with_scopes(claim), claim, now, proven=proven, more=said)
        if not reply.granted:
            self.late_settlements += 1

    def take_back(self, lease: Lease) -> None:
        """Make a reservation that nobody heard of, or wants, as if it had not been; what fails is done later."""
        token = lease.token
        if isinstance(token, Token):
            proven = token.scopes[0].startswith(OWN)
            answer = self._link.call(*self._arguments("release", token, {}, 0.0, proven=proven))
            answer.add_done_callback(partial(self._undone, token, self.lane(lease)))

    def lane(self, asked: Account | Lease) -> str:
        """Which server answers for an account or a lease: what fails together."""
        if isinstance(asked, Account):
            return self._link.lane(self._keys(self._root(asked), (asked.scope,))[0])
        token = asked.token
        return self._link.lane(self._keys(token.root, token.scopes)[0]) if isinstance(token, Token) else ""

    def open(self) -> None:
        """Nothing: connections belong to an event loop and come with the first call."""

    async def close(self) -> None:
        """Take back what may be reserved for nobody, and let go of every connection; a later call opens new ones."""
        for _ in range(len(self._doubtful)):
            token = self._doubtful.popleft()
            answer = self._link.call(*self._arguments("undo", token, {}, 0.0))
            answer.add_done_callback(partial(self._undone, token, ""))
        await self._link.close()

    async def _call(
        self,
        act: Act,
        token: Token,
        claim: Claim,
        now: float,
        *,
        proven: bool = False,
        more: bytes = b"",
    ) -> Reply:
        keys, arguments = self._arguments(act, token, claim, now, proven=proven)
        if more:
            arguments.append(more)
        raw = await self._link.call(keys, arguments)
        if self._doubtful:
            self._undo(self._link.lane(keys[0]))
        return reply_of(raw)

    def _arguments(
        self, act: Act, token: Token, claim: Claim, now: float, *, proven: bool = False
    ) -> tuple[list[str], list[bytes | str]]:
        time = _SERVER_TIME if self._own_clock else now
        by_scope: dict[str, list[tuple[Limit, float]]] = {scope: [] for scope in token.order}
        for (scope, _), asked in claim.items():
            by_scope[scope].append(asked)
        first = head(token.id, time, self._lease_s, REMEMBERED_S, proven=proven)
        packs = [packed(charges) for charges in by_scope.values()]
        if not token.model:
            return self._keys(token.root, token.scopes), [act, first, *packs]
        spare = spare_of(token.model) or ""
        if token.is_spare:
            return self._keys(token.root, (*token.scopes, spare)), [act, first, *packs]
        keys = self._keys(token.root, (*token.order, spare))
        register = self._keys(token.root, (f"models:{spare}",))[0]
        return [*keys, register], [act, first, *packs, b""]

    def _root(self, account: Account) -> str:
        """The top of the hierarchy that an account's limits lie in."""
        return (account.org or account.id) if account.proven else account.network

    def _keys(self, root: str, scopes: Iterable[str]) -> list[str]:
        return keys_of(self._prefix, root, scopes)

    def _undo(self, lane: str) -> None:
        """Take back some of what may be reserved for nobody on this server, which answers."""
        for _ in range(min(len(self._doubtful), _UNDONE_AT_ONCE)):
            token = self._doubtful.popleft()
            keys, arguments = self._arguments("undo", token, {}, 0.0)
            if self._link.lane(keys[0]) == lane:
                answer = self._link.call(keys, arguments)
                answer.add_done_callback(partial(self._undone, token, lane))
            else:
                self._doubtful.append(token)

    def _undone(self, token: Token, lane: str, answer: asyncio.Future[bytes]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._doubtful.append(token)  # for the next call that this server answers
        elif self._doubtful:
            self._undo(lane)
