"""A store that may fail, with what it takes to go on without it: breakers, late settlements, a local share.

What a policy's `on_failure.store` says is decided by who calls; here every failure is an exception.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from inspect import isawaitable
from typing import Any, NamedTuple

from hardening.errors import StateError, StoreAway
from hardening.facts import Account, Admission, Charge, Lease
from hardening.state.breaker import Breaker
from hardening.state.local import LocalShare
from hardening.state.standing import Evidence
from hardening.state.store import ReadableStore, StateStore

FOREIGN_DEADLINE_S = 3.0
"""How long a store that an app brings may take to answer; those of ours have deadlines of their own."""

_CLOSING_S = 2.0
"""How long a process that ends waits for the store to hear what it missed."""

_LATE = 20_000
"""Settlements that are kept until the store takes them; leases of those beyond expire there, as reserved."""

_AT_ONCE = 32
"""What is told the store at the same time once it is back."""

_PAUSE_S = 0.2
"""How long a round waits after one in which the store took nothing."""

_USELESS_S = 1800.0
"""After this no lease of ours lives, so that its settlement would change nothing."""


class _Late(NamedTuple):
    """A settlement that the store has not taken."""

    lease: Lease
    actual: tuple[Charge, ...]
    evidence: Evidence | None
    since: float


class GuardedStore:
    """A `StateStore` around another one; what it cannot do raises at once where the store is known to be away.

    Settlements that fail are kept and repeated, and what `local` spent is charged, as soon as the store
    answers again; a settlement that is repeated counts once. `on_change` hears how many servers are not
    asked at present. `now` is the clock of the callers, `deadline_s` how long the store may take to answer.
    """

    def __init__(
        self,
        store: StateStore,
        now: Callable[[], float],
        on_change: Callable[[int], None] = lambda away: None,
        deadline_s: float | None = None,
    ) -> None:
        self.inner = store
        self.local = LocalShare(self._tell)
        self.lost = 0
        """Settlements that the store will not hear of, for lack of room."""
        self._now = now
        self._on_change = on_change
        self._deadline_s = deadline_s
        self._lane: Callable[[Account | Lease], str] = getattr(store, "lane", lambda asked: "")
        self._breakers: dict[str, Breaker] = {}
        self._late: deque[_Late] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Future[None] | None = None

    def admit(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        breaker = self._asking(account, now)
        # As of now: what is told while the answer is under way it may not know of.
        told = self.local.is_in_use and self._has_told_all
        answer: Admission | Awaitable[Admission]
        answer = self._begun(breaker, self.inner.admit, account, charges, now)
        if not isinstance(answer, Admission):
            return self._admitted_later(breaker, answer, account, charges, told)
        self.local.saw(account, charges, answer, now, told=told)
        return answer

    async def _admitted_later(
        self,
        breaker: Breaker,
        answer: Awaitable[Admission],
        account: Account,
        charges: tuple[Charge, ...],
        told: bool,
    ) -> Admission:
        admission: Admission = await self._ended(breaker, answer)
        self.local.saw(account, charges, admission, self._now(), told=told)
        return admission

    def look(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """What is left of these limits; see `ReadableStore.look`. Raises StateError where the store cannot tell."""
        inner = self.inner
        if not isinstance(inner, ReadableStore):
            raise StateError("the store does not tell limits")
        breaker = self._asking(account, now)
        answer = self._begun(breaker, inner.look, account, charges, now)
        return self._ended(breaker, answer) if isawaitable(answer) else answer

    def extend(
        self, lease: Lease, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        breaker = self._asking(lease, now)
        answer = self._begun(breaker, self.inner.extend, lease, charges, now)
        return self._ended(breaker, answer) if isawaitable(answer) else answer

    def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> Awaitable[None] | None:
        """Replace what the lease reserved by what was used, once; what fails now is repeated later."""
        self.local.end(lease, now)
        late = _Late(lease, actual, evidence, self._now())
        try:
            breaker = self._asking(lease, now)
            answer = self._begun(breaker, self.inner.settle, lease, actual, evidence, now)
        except Exception:
            self._keep(late)
            raise
        return self._settled_later(breaker, answer, late) if isawaitable(answer) else None

    async def _settled_later(self, breaker: Breaker, answer: Awaitable[None], late: _Late) -> None:
        try:
            await self._ended(breaker, answer)
        except Exception:
            self._keep(late)
            raise

    def open(self) -> None:
        """Open the store, where there is anything to open."""
        if hasattr(self.inner, "open"):
            self.inner.open()

    async def close(self) -> None:
        """Give what the store was not told a last chance, and close it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while self._late or self.local.owes or self._round:  # noqa: ASYNC110  rounds come by timers
                    await asyncio.sleep(_PAUSE_S)
        if self._timer is not None:
            self._timer.cancel()
        if hasattr(self.inner, "close"):
            closing = await asyncio.to_thread(self.inner.close)
            if isawaitable(closing):
                await closing

    # -- whether the store answers

    def _asking(self, asked: Account | Lease, now: float) -> Breaker:
        """The breaker of who answers for it, which lets this call pass."""
        breaker = self._breaker(asked)
        if not breaker.lets_pass(now):
            raise StoreAway("the store did not answer, and is not asked again yet")
        return breaker

    def _breaker(self, asked: Account | Lease) -> Breaker:
        lane = self._lane(asked)
        breaker = self._breakers.get(lane)
        if breaker is None:
            breaker = self._breakers[lane] = Breaker()
        return breaker

    def _begun(self, breaker: Breaker, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            answer = act(*arguments)
        except Exception:
            self._failed(breaker)
            raise
        if answer is None or isinstance(answer, Admission) or not isawaitable(answer):
            self._worked(breaker)
        return answer

    async def _ended(self, breaker: Breaker, answer: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                got = await answer
        except Exception as fault:
            self._failed(breaker)
            if isinstance(fault, TimeoutError) and deadline.expired():
                raise StateError(f"no answer within {self._deadline_s:.1f} s") from None
            raise
        self._worked(breaker)
        return got

    def _failed(self, breaker: Breaker) -> None:
        was_open = breaker.is_open
        breaker.failed(self._now())
        if breaker.is_open and not was_open:
            self._on_change(self._away())

    def _worked(self, breaker: Breaker) -> None:
        if not breaker.failures:
            return  # as nearly always: it is closed
        was_open = breaker.is_open
        breaker.worked()
        if was_open:
            self._on_change(self._away())

    def _away(self) -> int:
        return sum(breaker.is_open for breaker in self._breakers.values())

    # -- what the store must still be told

    @property
    def _has_told_all(self) -> bool:
        """Whether the store knows of all that was spent without it, and nothing of that is lost or under way."""
        return not (self._late or self.local.owes or self._round or self.lost)

    def _keep(self, late: _Late) -> None:
        if len(self._late) < _LATE:
            self._late.append(late)
            self._tell()
        else:
            self.lost += 1

    def _tell(self) -> None:
        """See to it that the store is told soon, or when it is back; a timer waits, no task."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._timer, self._round = loop, None, None
        if self._timer is None and self._round is None:
            waits = [breaker.wait_s(self._now()) for breaker in self._breakers.values()]
            wait_s = max(_PAUSE_S, min((wait for wait in waits if wait), default=0.0))
            self._timer = loop.call_later(wait_s, self._begin_round)

    def _begin_round(self) -> None:
        self._timer = None
        self._round = asyncio.ensure_future(self._tell_all())

    async def _tell_all(self) -> None:
        """Tell the store as long as it takes anything; what is left waits for the next round."""
        try:
            while work := [*self._late_work(self._now()), *self._owed_work(self._now())]:
                if not any(await asyncio.gather(*work)):
                    break
        finally:
            self._round = None
        if self._late or self.local.owes:
            self._tell()

    def _late_work(self, now: float) -> list[Awaitable[bool]]:
        """Some of the settlements whose servers may be asked; each tells whether it was taken."""
        work: list[Awaitable[bool]] = []
        for _ in range(min(_AT_ONCE, len(self._late))):
            late = self._late.popleft()
            if now - late.since > _USELESS_S:
                self.lost += 1
                continue
            breaker = self._breaker(late.lease)
            if breaker.lets_pass(now):
                work.append(self._settle_late(breaker, late))
            else:
                self._late.append(late)
        return work

    async def _settle_late(self, breaker: Breaker, late: _Late) -> bool:
        try:
            await self._asked(
                breaker,
                lambda: self.inner.settle(late.lease, late.actual, late.evidence, self._now()),
            )
        except BaseException as fault:
            self._late.append(late)
            if not isinstance(fault, Exception):
                raise
            return False
        return True

    def _owed_work(self, now: float) -> list[Awaitable[bool]]:
        """Some of what accounts spent here whose servers may be asked; each tells whether it was taken."""
        work: list[Awaitable[bool]] = []
        back: list[tuple[Account, tuple[Charge, ...]]] = []
        while len(work) + len(back) < _AT_ONCE and (owed := self.local.take_owed()):
            breaker = self._breaker(owed[0])
            if breaker.lets_pass(now):
                work.append(self._charge(breaker, *owed))
            else:
                back.append(owed)
        for account, charges in back:
            self.local.owe(account, charges)
        return work

    async def _charge(self, breaker: Breaker, account: Account, charges: tuple[Charge, ...]) -> bool:
        """A lease of nothing, settled with all that was spent: whatever is repeated counts once."""
        try:
            admission = await self._asked(breaker, lambda: self.inner.admit(account, (), self._now()))
        except BaseException as fault:
            self.local.owe(account, charges)
            if not isinstance(fault, Exception):
                raise
            return False
        if admission.lease is None:
            self.local.lost += 1  # blocked meanwhile: he spends nothing any more
            return True
        return await self._settle_late(breaker, _Late(admission.lease, charges, None, self._now()))

    async def _asked(self, breaker: Breaker, act: Callable[[], Any]) -> Any:
        answer = self._begun(breaker, act)
        return await self._ended(breaker, answer) if isawaitable(answer) else answer
