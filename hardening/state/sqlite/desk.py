"""What one process has open of the file, and the line in which calls wait that find somebody writing."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from hardening.clock import Clock
from hardening.state.sqlite.file import StateFile, clock_offset, is_busy
from hardening.state.sqlite.keeper import Keeper
from hardening.state.sqlite.ledger import Ledger

Act = Callable[..., Any]
"""A method of `Ledger`; it is called with a ledger and the arguments of a call."""

BUSY: Final = object()
"""The answer of a call that would have to wait."""

_TRIES = 3  # a transaction of another process takes some 20 us; to wait in line takes a millisecond
_PAUSE_S = 0.001
_BATCH = 8  # calls of the line in one transaction, which holds up the loop for less than a millisecond
_LONGEST_LINE = 10_000  # calls; beyond, the file is lost, and to say so is better than to collect


class Call(NamedTuple):
    """A call that waits for its turn; the answer belongs to the running loop."""

    act: Act
    arguments: tuple[Any, ...]
    answer: asyncio.Future[Any]


class Desk:
    """Does what is asked at once where nobody else writes; else as soon as it can, without blocking the loop.

    Making one opens nothing: `open` does, or the first call that waits.
    """

    def __init__(self, file: StateFile, clock: Clock, *, max_accounts: int, lease_s: float) -> None:
        self.pid = os.getpid()
        self.ledger: Ledger | None = None
        self._file = file
        self._clock = clock
        self._max_accounts = max_accounts
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._keeper: Keeper | None = None
        self._lines: WeakKeyDictionary[AbstractEventLoop, deque[Call]] = WeakKeyDictionary()

    def open(self) -> None:
        """Open the file, if that is not done; waits.

        Raises:
            StateError: it cannot be opened or written, or is none of ours.
        """
        with self._opening:
            if self.ledger is not None:
                return
            connection = self._file.connect()
            try:
                offset = clock_offset(connection, self._clock)
            except sqlite3.Error as fault:
                connection.close()
                raise self._file.explained(fault) from fault
            monotonic = self._clock.monotonic

            def now() -> float:
                return monotonic() + offset

            self._keeper = Keeper(self._file, now, max_accounts=self._max_accounts)
            self._keeper.start()
            self.ledger = Ledger(connection, now, max_accounts=self._max_accounts, lease_s=self._lease_s)

    def close(self) -> None:
        """Close the file and end its thread; waits."""
        with self._opening, self._lock:
            ledger, self.ledger = self.ledger, None
            keeper, self._keeper = self._keeper, None
            if ledger is not None:
                ledger.connection.close()
        if keeper is not None:
            keeper.stop()

    def at_once(self, act: Act, *arguments: Any) -> Any:
        """What `act` answers, or BUSY.

        Raises:
            StateError: the file failed.
        """
        ledger = self.ledger
        if ledger is None or not self._lock.acquire(blocking=False):
            return BUSY
        try:
            if not _begun(ledger):
                return BUSY
            if self._keeper is not None and self._keeper.has_lost_file:
                raise self._file.fault("was removed or replaced while it was open: restart the workers")
            answer = act(ledger, *arguments)
            ledger.commit()
        except sqlite3.Error as fault:
            _undo(ledger)
            raise self._file.explained(fault) from fault
        except BaseException:
            _undo(ledger)
            raise
        finally:
            self._lock.release()
        return answer

    async def in_line(self, call: Call, patience_s: float) -> Any:
        """The answer of a call, after those that wait already.

        Who is cancelled before it is his turn has asked for nothing.

        Raises:
            StateError: the file failed, or stayed busy for `patience_s`.
        """
        if self.ledger is None:
            await asyncio.to_thread(self.open)
        self.put(call)
        try:
            async with asyncio.timeout(patience_s):
                return await call.answer
        except TimeoutError:
            raise self._file.fault(f"is locked by another process since {patience_s:g} s") from None

    def put(self, call: Call) -> None:
        """Let a call wait for its turn. Raises StateError where too many do."""
        loop = call.answer.get_loop()
        line = self._lines.setdefault(loop, deque())
        if len(line) >= _LONGEST_LINE:
            raise self._file.fault(f"keeps {_LONGEST_LINE} calls waiting")
        line.append(call)
        if len(line) == 1:
            self._look_soon(loop, line)

    def _look_soon(self, loop: AbstractEventLoop, line: deque[Call]) -> None:
        loop.call_later(_PAUSE_S * random.uniform(0.5, 1.5), self._look, loop, line)

    def _look(self, loop: AbstractEventLoop, line: deque[Call]) -> None:
        """Answer the first of the line, if nobody else writes, and look again while somebody waits."""
        calls = [line.popleft() for _ in range(min(_BATCH, len(line)))]
        self._answer([call for call in calls if not call.answer.done()])
        line.extendleft(call for call in reversed(calls) if not call.answer.done())
        if line:
            self._look_soon(loop, line)

    def _answer(self, calls: Sequence[Call]) -> None:
        """Carry calls out in one transaction, or where one of them fails each in its own."""
        try:
            answers = self.at_once(_all, calls)
        except Exception as fault:  # noqa: BLE001  whatever it is, the caller shall hear it
            if len(calls) == 1:
                calls[0].answer.set_exception(fault)
            else:
                for call in calls:
                    self._answer([call])
            return
        if answers is not BUSY:
            for call, answer in zip(calls, answers, strict=True):
                call.answer.set_result(answer)


def call_of(act: Act, *arguments: Any) -> Call:
    """A call that may wait on the running loop."""
    return Call(act, arguments, asyncio.get_running_loop().create_future())


def _all(ledger: Ledger, calls: Sequence[Call]) -> list[Any]:
    return [call.act(ledger, *call.arguments) for call in calls]


def _begun(ledger: Ledger) -> bool:
    """Whether a transaction could begin within a few tries."""
    for _ in range(_TRIES):
        try:
            ledger.begin()
        except sqlite3.OperationalError as fault:
            if not is_busy(fault):
                raise
        else:
            return True
    return False


def _undo(ledger: Ledger) -> None:
    """Leave no transaction open; where even that fails, the file is lost and the next call says so."""
    with suppress(sqlite3.Error):
        ledger.rollback()
