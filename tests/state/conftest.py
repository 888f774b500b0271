"""Every store that exists, behind one fixture: the contract suite runs over each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from inspect import isawaitable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hardening.state import MemoryStore, SqliteAccounts
from tests.state.on_a_clock import SetStore

Factory = Callable[..., Any]

needs_valkey = pytest.mark.skipif(
    sys.platform == "win32", reason="the package of the server is not built there"
)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Any]:
    """A real server, shared; each store on it has keys of its own."""
    from tests.state.servers import served

    with served() as server:
        yield server


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """An event loop for tests that wait for one call after the other."""
    with asyncio.Runner() as runner:
        yield runner


def _on_sqlite(request: pytest.FixtureRequest) -> Factory:
    folder: Path = request.getfixturevalue("tmp_path")
    numbers = count()

    def make(**options: Any) -> SetStore:
        store = SetStore(folder / f"state{next(numbers)}.db", **options)
        request.addfinalizer(store.inner.close)
        return store

    return make


def _on_valkey(request: pytest.FixtureRequest) -> Factory:
    from tests.state.servers import waited

    runner = request.getfixturevalue("runner")

    def make(**options: Any) -> Any:
        store = waited(request.getfixturevalue("valkey"), runner, **options)
        request.addfinalizer(lambda: runner.run(store.store.close()))
        return store

    return make


_FACTORIES: dict[str, Callable[[pytest.FixtureRequest], Factory]] = {
    "memory": lambda request: MemoryStore,
    "sqlite": _on_sqlite,
    "redis": _on_valkey,
}


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=needs_valkey)])
def make_store(request: pytest.FixtureRequest) -> Factory:
    """Makes a store; takes `lease_s`."""
    return _FACTORIES[request.param](request)


class Desk:
    """The accounts of a store, each call run to its end."""

    def __init__(self, accounts, run=None, clock=None) -> None:
        self._accounts = accounts
        self._run = run
        self._clock = clock

    def __getattr__(self, name: str):
        def call(*arguments, **more):
            if self._clock is not None:
                self._clock.set(arguments[{"block": 3, "flag": 4}.get(name, -1)])
            answer = getattr(self._accounts, name)(*arguments, **more)
            return self._run(answer) if isawaitable(answer) else answer

        return call


@pytest.fixture
def desk_of(request: pytest.FixtureRequest):
    """The operators' side of a store that `make_store` made."""

    def make(store) -> Desk:
        if isinstance(store, MemoryStore):
            return Desk(store)
        if hasattr(store, "clock"):
            return Desk(SqliteAccounts(store.inner._file.path, clock=store.clock), clock=store.clock)
        from hardening.state.redis_accounts import RedisAccounts

        runner = request.getfixturevalue("runner")
        accounts = RedisAccounts(store.url, own_clock=False)
        request.addfinalizer(lambda: runner.run(accounts.close()))
        return Desk(accounts, runner.run)

    return make
