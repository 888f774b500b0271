"""The clock of a real server, set by an hour while accounts spend and leases are open."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from hardening.facts import Account, Admission, Charge, Limit
from hardening.state.redis import RedisStore
from tests.state.servers import PATIENT_S, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="a library that is loaded before others"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler for the stepped clock"),
]

HOUR_S = 3600
ANNE = Account("anne")
HOUR = Limit("hour", "tokens", amount=3600.0, per_s=3600.0, burst=3600.0)
DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)


class SetServer(Server):
    """A server whose clock the test sets, in seconds beside the machine's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        library, self._file = folder / "clock_step.so", folder / "step"
        source = Path(__file__).with_name("clock_step.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.step(0)
        self.environment = {"LD_PRELOAD": str(library), "STEP_FILE": str(self._file)}

    def step(self, seconds: int) -> None:
        self._file.write_text(str(seconds))


def charge(limit: Limit, units: float) -> Charge:
    return Charge(limit, ANNE.scope, units)


async def spend(store: RedisStore, limit: Limit, units: float) -> Admission:
    answer = await store.admit(ANNE, (charge(limit, units),), 0.0)
    if answer.lease is not None:
        await store.settle(answer.lease, (), None, 0.0)
    return answer


async def left(store: RedisStore, limit: Limit) -> float:
    return (await spend(store, limit, 0.0)).limits[0].remaining


async def step(server: SetServer, seconds: int) -> None:
    """Set the clock, and wait until the server, which looks at it some ten times a second, has seen it."""
    server.step(seconds)
    async with Redis.from_url(server.url.partition("?")[0]) as client:
        for _ in range(500):
            told, _ = await client.time()
            if abs(told - time.time() - seconds) < 60:
                return
            await asyncio.sleep(0.01)
    pytest.fail("the server does not see its clock")


def played(
    folder: Path, runner: asyncio.Runner, act: Callable[[SetServer, RedisStore], Awaitable[None]]
) -> None:
    server = SetServer(folder)

    async def run() -> None:
        store = RedisStore(server.start().url, deadline_s=PATIENT_S)
        await act(server, store)
        await store.close()

    try:
        runner.run(run())
    finally:
        server.kill()


def test_a_clock_set_an_hour_forwards_gives_back_an_hour_once_and_ends_leases_as_reserved(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def act(server: SetServer, store: RedisStore) -> None:
        lease = (await store.admit(ANNE, (charge(DAY, 400.0),), 0.0)).lease
        assert lease is not None
        await spend(store, HOUR, 3600.0)
        assert await left(store, HOUR) < 1800
        await step(server, HOUR_S)
        assert await left(store, HOUR) == 3600
        assert round(await left(store, DAY)) == 600
        await store.settle(lease, (charge(DAY, 1.0),), None, 0.0)
        assert round(await left(store, DAY)) == 600
        await spend(store, HOUR, 3600.0)
        await step(server, 0)
        assert not (await store.admit(ANNE, (charge(HOUR, 1800.0),), 0.0)).granted
        await step(server, HOUR_S)
        assert await left(store, HOUR) < 1800

    played(tmp_path, runner, act)


def test_a_clock_set_an_hour_back_gives_nothing_back_loses_nothing_and_locks_nobody(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    async def act(server: SetServer, store: RedisStore) -> None:
        lease = (await store.admit(ANNE, (charge(DAY, 400.0),), 0.0)).lease
        assert lease is not None
        await spend(store, HOUR, 3600.0)
        before = await left(store, HOUR)
        await step(server, -HOUR_S)
        for _ in range(3):
            await asyncio.sleep(0.5)
            assert await left(store, HOUR) == pytest.approx(before, abs=60)
        longer = await store.extend(lease, (charge(DAY, 100.0),), 0.0)
        assert longer.granted
        assert longer.lease is not None
        await store.settle(longer.lease, (charge(DAY, 450.0),), None, 0.0)
        assert round(await left(store, DAY)) == 550
        await spend(store, DAY, 50.0)
        await step(server, 0)
        assert round(await left(store, DAY)) == 500
        assert await left(store, HOUR) < 1800

    played(tmp_path, runner, act)
