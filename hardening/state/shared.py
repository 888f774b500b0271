"""Limits that all callers share, beside those below one root, on a store whose calls touch one root each.

A limit `by: all` lies above every root, in a cluster on another server than most accounts. So a request that
is charged to one makes two calls at the same time, which is one round trip and on a single server one message.
Each is exact. Where one is refused what the other reserved is taken back; until then another request may find
the limit a little fuller than it is, never emptier.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, NamedTuple

from hardening.facts import EVERYBODY, Account, Admission, Charge, Lease, LimitState
from hardening.state.redis import RedisStore
from hardening.state.standing import Evidence

_ALL = EVERYBODY.scope


class Pair(NamedTuple):
    """The token of a lease that lies below two roots: that of the account, and the one above all."""

    own: Lease
    shared: Lease


class SharedLimits:
    """A `StateStore` that sends charges on limits of all callers to their root, and all others to the account's."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    @property
    def late_settlements(self) -> int:
        """Settlements of leases that were settled or had expired; they changed nothing."""
        return self._store.late_settlements

    async def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        own, shared = _apart(charges)
        if not shared or account.scope == _ALL:
            return await self._store.admit(account, charges, now)
        answers = await self._both(
            self._store.admit(account, own, now), self._store.admit(EVERYBODY, shared, now), (0, 1)
        )
        answer = _together(charges, *answers)
        if answer.granted:
            return answer
        for one in answers:
            if one.lease is not None:
                self._store.take_back(one.lease)
        return answer

    async def look(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """What is left of these limits; see `ReadableStore.look`."""
        return await self._store.look(account, charges, now)

    async def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve more on a lease; see `StateStore.extend`.

        Where one limit refuses another may hold what was asked until the lease is settled.
        """
        own, shared = _apart(charges)
        token = lease.token
        if not isinstance(token, Pair) and not shared:
            return await self._store.extend(lease, charges, now)
        known, other = token if isinstance(token, Pair) else (lease, None)
        if other is None:
            more = self._store.admit(EVERYBODY, shared, now)
        else:
            more = self._store.extend(other, shared, now)
        answers = await self._both(self._store.extend(known, own, now), more, () if other else (1,))
        answer = _together(charges, *answers)
        if not answer.granted and other is None and answers[1].lease is not None:
            self._store.take_back(answers[1].lease)
        if answer.lease is None:
            return answer
        return answer._replace(lease=answer.lease._replace(charges=lease.charges + charges))

    async def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> None:
        """Replace what the lease reserved by what was used, once; see `StateStore.settle`."""
        token = lease.token
        if not isinstance(token, Pair):
            await self._store.settle(lease, actual, evidence, now)
            return
        own, shared = _apart(actual)
        # Each of the two counts once, also where the other fails and both are repeated.
        done = await asyncio.gather(
            self._store.settle(token.own, own, evidence, now),
            self._store.settle(token.shared, shared, None, now),
            return_exceptions=True,
        )
        for fault in done:
            if fault is not None:
                raise fault

    def lane(self, asked: Account | Lease) -> str:
        """Which server answers for an account or a lease: what fails together."""
        if isinstance(asked, Lease) and isinstance(asked.token, Pair):
            asked = asked.token.own
        return self._store.lane(asked)

    def open(self) -> None:
        """Open the store."""
        self._store.open()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _both(
        self,
        one: Coroutine[Any, Any, Admission],
        other: Coroutine[Any, Any, Admission],
        new: tuple[int, ...],
    ) -> tuple[Admission, Admission]:
        """Both answers; where there is a fault, or whoever asked is gone, nothing of the `new` leases stays reserved."""
        calls = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
        try:
            await asyncio.wait(calls)
            return calls[0].result(), calls[1].result()
        except BaseException:
            for call in calls:
                call.cancel()
            for place in new:
                calls[place].add_done_callback(self._unheard)
            raise

    def _unheard(self, call: asyncio.Future[Admission]) -> None:
        if not call.cancelled() and call.exception() is None and (lease := call.result().lease):
            self._store.take_back(lease)


def _apart(charges: tuple[Charge, ...]) -> tuple[tuple[Charge, ...], tuple[Charge, ...]]:
    """Charges on limits of one root, and those on limits of all callers."""
    shared = tuple([charge for charge in charges if charge.scope_key == _ALL])
    if not shared:
        return charges, ()
    return tuple([charge for charge in charges if charge.scope_key != _ALL]), shared


def _together(charges: tuple[Charge, ...], own: Admission, shared: Admission) -> Admission:
    """Two answers as one, with the limits in the order of the charges; the longer wait is the one told."""
    limits: tuple[LimitState, ...] = ()
    if len(own.limits) + len(shared.limits) == len(charges):  # else an account is blocked, or a lease is over
        each = {False: iter(own.limits), True: iter(shared.limits)}
        limits = tuple([next(each[charge.scope_key == _ALL]) for charge in charges])
    if own.lease is not None and shared.lease is not None:
        lease = Lease(
            Pair(own.lease, shared.lease), charges, min(own.lease.expires_at, shared.lease.expires_at)
        )
        return own._replace(lease=lease, limits=limits)
    refusing = max(
        (one for one in (own, shared) if not one.granted),
        key=lambda one: math.inf if one.retry_after_s is None else one.retry_after_s,
    )
    return own._replace(
        granted=False,
        lease=None,
        limits=limits,
        refused_by=refusing.refused_by,
        retry_after_s=refusing.retry_after_s,
    )
