"""The store in a file against the simulator: random schedules, by one worker and by several that take turns."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from hypothesis import given

from hardening.state import SqliteAccounts, SqliteStore
from tests.state.on_a_clock import SetClock
from tests.state.schedules import EFFORT, LEASE_S, Schedule, Subject, play, schedules

_MEMORY = Path("/dev/shm")


class TakingTurns:
    """Each call goes to the next of several stores."""

    def __init__(self, stores: list[SqliteStore]) -> None:
        self._next = cycle(stores)

    def __getattr__(self, act: str) -> Any:
        return getattr(next(self._next), act)


@contextmanager
def opened(workers: int) -> Iterator[tuple[list[SqliteStore], SetClock]]:
    """So many stores on one empty file and one clock."""
    clock = SetClock()
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        stores = [SqliteStore(Path(folder, "state.db"), clock=clock, lease_s=LEASE_S) for _ in range(workers)]
        try:
            for store in stores:
                store.open()
            yield stores, clock
        finally:
            for store in stores:
                store.close()


def desk_of(store: SqliteStore, clock: SetClock) -> SqliteAccounts:
    return SqliteAccounts(store._file.path, clock=clock)


def run(answer: Any) -> Any:
    async def wait() -> Any:
        return await answer

    return asyncio.run(wait())


@given(schedules)
@EFFORT
def test_one_worker_does_what_the_simulator_does(schedule: Schedule):
    with opened(1) as (stores, clock):
        play(Subject(stores[0], at=clock.set, wait=run, desk=desk_of(stores[0], clock)), schedule)


@given(schedules)
@EFFORT
def test_three_workers_that_take_turns_do_what_the_simulator_does(schedule: Schedule):
    """Catches what a process keeps for itself: leases that run out, ids of rows, tokens."""
    with opened(3) as (stores, clock):
        desk = desk_of(stores[0], clock)
        play(Subject(TakingTurns(stores), at=clock.set, wait=run, desk=desk), schedule)
