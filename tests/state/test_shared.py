"""Limits that all callers share, in every store: exact over roots and servers, and of a refusal nothing stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from hardening.errors import StateError
from hardening.facts import EVERYBODY, Account, Charge, Limit
from hardening.state import GuardedStore, MemoryStore, SqliteStore
from tests.state.conftest import needs_valkey
from tests.state.proxy import Proxy

DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)
ALL = Limit("all", "tokens", amount=3000.0, per_s=259_200_000.0, burst=3000.0, by="all")
OPEN = Limit("open", "streams", amount=3.0, per_s=1.0, burst=3.0, by="all")
ANNE, BOB = Account("anne", org="acme"), Account("bob")
STRANGER = Account("x", proven=False, network="net_1")


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, EVERYBODY.scope if limit.by == "all" else account.scope, amount)


def both(amount: float, account: Account = ANNE) -> tuple[Charge, ...]:
    return of(DAY, amount, account), of(ALL, amount, account)


class Awaited:
    """Any store, each answer awaited if need be."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            answer = getattr(self.store, name)(*arguments, time.monotonic())
            return await answer if isawaitable(answer) else answer

        return call

    async def left(self, limit: Limit = DAY, account: Account = ANNE) -> float:
        answer = await self.admit(account, (of(limit, 0.0, account),))
        if answer.lease is not None:
            await self.settle(answer.lease, (), {})
        return round(answer.limits[0].remaining)


async def until(store: Awaited, own: float, shared: float) -> None:
    """Wait until so much is left."""
    for _ in range(200):
        found = await store.left(), await store.left(ALL)
        if found == (own, shared):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(found)


def on_redis(url: str, **more: Any) -> Any:
    from hardening.state.redis import RedisStore
    from hardening.state.shared import SharedLimits

    return SharedLimits(RedisStore(url, **{"deadline_s": 20.0, **more}))


@asynccontextmanager
async def closed(store: Any) -> AsyncIterator[Awaited]:
    try:
        yield Awaited(store)
    finally:
        if hasattr(store, "close"):
            closing = store.close()
            if isawaitable(closing):
                await closing


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        pytest.param("redis", marks=needs_valkey),
        pytest.param(
            "cluster",
            marks=[needs_valkey, pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")],
        ),
    ]
)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Makes a store; takes `lease_s`."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda **more: SqliteStore(tmp_path / "state.db", **more)
    if request.param == "redis":
        return lambda **more: on_redis(request.getfixturevalue("valkey").url, **more)
    servers = request.getfixturevalue("cluster")
    nodes = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return lambda **more: on_redis(f"redis+cluster://{nodes}?{servers[0].url.partition('?')[2]}", **more)


@pytest.fixture(scope="module")
def cluster() -> Any:
    from tests.state.servers import clustered

    with clustered() as servers:
        yield servers


def test_all_callers_together_are_granted_what_there_is_to_the_unit(make: Any, runner: Any) -> None:
    async def run() -> None:
        async with closed(make()) as store:
            callers = [Account(f"acct_{n}", org=f"org_{n % 7}" if n % 2 else None) for n in range(30)]
            callers += [Account("x", proven=False, network=f"net_{n}") for n in range(10)]
            answers = [await store.admit(one, both(100.0, one)) for one in callers]
            assert [answer.granted for answer in answers] == [True] * 30 + [False] * 10
            assert answers[-1].refused_by == "all"
            assert answers[-1].retry_after_s == pytest.approx(100 * 86_400, rel=1e-3)
            assert [state.limit.name for state in answers[0].limits] == ["day", "all"]
            for answer in answers[:30]:
                await store.settle(answer.lease, (of(DAY, 7.0), of(ALL, 7.0)), {})
            assert await store.left(ALL) == 3000 - 30 * 7

    runner.run(run())


def test_of_a_refusal_nothing_stays_neither_units_nor_a_request(make: Any, runner: Any) -> None:
    async def run() -> None:
        async with closed(make()) as store:
            for account, charges, refused_by in (
                (ANNE, (of(ALL, 3001.0), of(DAY, 500.0)), "all"),
                (BOB, (of(DAY, 1001.0, BOB), of(ALL, 2000.0)), "day"),
            ):
                answer = await store.admit(account, charges)
                assert (answer.granted, answer.lease, answer.refused_by) == (False, None, refused_by)
                await asyncio.sleep(0.1)
                assert await store.left(DAY, account) == 1000
                assert await store.left(ALL, STRANGER) == 3000
                known = await store.admit(account, ())
                assert known.standing.requests == 1  # the one that looked

    runner.run(run())


def test_a_lease_of_both_is_extended_settled_once_and_held_until_then(make: Any, runner: Any) -> None:
    async def run() -> None:
        async with closed(make()) as store:
            lease = (await store.admit(ANNE, (*both(100.0), of(OPEN, 3.0)))).lease
            assert not (await store.admit(BOB, (of(OPEN, 1.0),))).granted
            longer = await store.extend(lease, both(50.0))
            assert [round(state.remaining) for state in longer.limits] == [850, 2850]
            for _ in range(2):
                await store.settle(longer.lease, (*both(120.0), of(OPEN, 0.0)), {})
            assert (await store.left(), await store.left(ALL), await store.left(OPEN)) == (880, 2880, 3)
            assert not (await store.extend(longer.lease, both(1.0))).granted

    runner.run(run())


def test_a_lease_that_began_without_a_shared_limit_may_come_to_one(make: Any, runner: Any) -> None:
    """As an answer does that goes on slowly: its second lease begins with what is held alone."""

    async def run() -> None:
        async with closed(make()) as store:
            lease = (await store.admit(ANNE, ())).lease
            refused = await store.extend(lease, both(1001.0))
            assert (refused.granted, refused.refused_by) == (False, "day")
            await asyncio.sleep(0.1)
            assert await store.left(ALL) == 3000
            longer = await store.extend(lease, both(50.0))
            assert longer.granted
            await store.settle(longer.lease, both(30.0), {})
            assert (await store.left(), await store.left(ALL)) == (970, 2970)

    runner.run(run())


def test_a_lease_that_runs_out_is_spent_in_both(make: Any, runner: Any) -> None:
    async def run() -> None:
        async with closed(make(lease_s=0.3)) as store:
            assert (await store.admit(ANNE, both(400.0))).granted
            await asyncio.sleep(0.5)
            assert (await store.left(), await store.left(ALL)) == (600, 2600)

    runner.run(run())


# -- on Redis


@needs_valkey
def test_one_round_trip_before_and_one_after(valkey: Any, runner: Any) -> None:
    async def run() -> None:
        async with (
            Proxy(valkey.port) as proxy,
            closed(on_redis(f"redis://127.0.0.1:{proxy.port}?prefix=shared_trips")) as store,
        ):
            await store.left()
            before = proxy.trips
            lease = (await store.admit(ANNE, both(10.0))).lease
            assert proxy.trips - before == 1
            await store.settle(lease, both(1.0), {})
            assert proxy.trips - before == 2

    runner.run(run())


@needs_valkey
def test_who_stops_waiting_leaves_no_reservation(valkey: Any, runner: Any) -> None:
    async def run() -> None:
        url = valkey.url
        async with (
            Proxy(valkey.port) as proxy,
            closed(on_redis(url)) as looking,
            closed(on_redis(url.replace(str(valkey.port), str(proxy.port)))) as store,
        ):
            await store.left()
            proxy.delay_s = 2.0
            asking = asyncio.ensure_future(store.admit(ANNE, both(400.0)))
            await until(looking, 600, 2600)
            asking.cancel()
            await asyncio.wait([asking])
            await until(looking, 1000, 3000)

    runner.run(run())


@needs_valkey
def test_what_was_spent_without_the_store_is_charged_to_both_when_it_is_back(
    valkey: Any, runner: Any
) -> None:
    async def run() -> None:
        url = valkey.url
        async with (
            Proxy(valkey.port) as proxy,
            closed(on_redis(url)) as looking,
        ):
            store = GuardedStore(
                on_redis(url.replace(str(valkey.port), str(proxy.port)), deadline_s=0.3), time.monotonic
            )
            lease = (await store.admit(ANNE, both(100.0), time.monotonic())).lease
            proxy.closed = proxy.deaf = True
            with pytest.raises(StateError):
                await store.admit(ANNE, both(100.0), time.monotonic())
            for account in (ANNE, STRANGER):
                local = store.local.admit(account, both(50.0, account), time.monotonic()).lease
                store.local.settle(local, both(40.0, account), None, time.monotonic())
            with pytest.raises(StateError):
                await store.settle(lease, both(70.0), None, time.monotonic())
            proxy.closed = proxy.deaf = False
            for _ in range(200):
                if not (store._late or store.local.owes or store._round):
                    break
                await asyncio.sleep(0.05)
            assert (await looking.left(), await looking.left(ALL)) == (890, 2850)
            await store.close()

    runner.run(run())
