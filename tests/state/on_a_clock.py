"""A SQLite store on a clock that the test sets, whose answers are there at once: for suites that many stores share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from inspect import isawaitable
from pathlib import Path
from typing import Any

from hardening.facts import Account, Admission, Charge, Lease
from hardening.state import SqliteStore


class SetClock:
    """Time as it is set; like a machine's it never goes back. The dates begin with it."""

    def __init__(self) -> None:
        self.now = 0.0

    def set(self, now: float) -> None:
        self.now = max(self.now, now)

    def monotonic(self) -> float:
        return self.now

    wall = monotonic


class SetStore:
    """A store whose clock stands where each call says."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.clock = SetClock()
        self.inner = SqliteStore(path, clock=self.clock, **options)
        self.inner.open()

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        self.clock.set(now)
        return awaited(self.inner.admit(account, charges, now))

    def look(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        self.clock.set(now)
        return awaited(self.inner.look(account, charges, now))

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        self.clock.set(now)
        return awaited(self.inner.extend(lease, charges, now))

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Any, now: float) -> None:
        self.clock.set(now)
        awaited(self.inner.settle(lease, actual, evidence, now))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def awaited(answer: Any) -> Any:
    """An answer, waited for where another thread or process was writing."""
    if not isawaitable(answer):
        return answer

    async def wait(answer: Awaitable[Any]) -> Any:
        return await answer

    return asyncio.run(wait(answer))
