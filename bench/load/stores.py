"""The stores that can be put under load: where one is, and what it says when all is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any, NamedTuple

from bench.load.plan import accounts
from hardening.facts import Account, Charge, Limit
from hardening.state import StateStore


class Place(NamedTuple):
    """A store's address, and how many leases are open there; None where only the workers know."""

    url: str
    open_leases: Callable[[], int] | None


_MARK_AT = 8
"""Where a lease on the server says that it is such a mark (`LEASE` in hardening/state/lua/layout.lua)."""


@contextmanager
def _memory(folder: Path) -> Iterator[Place]:
    yield Place("memory://", None)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Place]:
    path = folder / "state.db"

    def open_leases() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("select count(*) from leases").fetchone()[0])

    yield Place(f"sqlite:///{path}", open_leases)


@contextmanager
def _valkey(folder: Path) -> Iterator[Place]:
    from tests.state.servers import Server  # the package of the server is one of development

    # With its log, so that a run that goes on finds what an earlier one left.
    server = Server(folder, appendonly="yes").start()
    try:
        with server.client() as client:

            def open_leases() -> int:
                # A mark that a call was undone stands among them for the life of a lease, and holds nothing.
                kept = [client.hvals(key) for key in client.scan_iter(match="*\nleases")]
                return sum(lease[_MARK_AT] == 0 for leases in kept for lease in leases)

            yield Place(f"redis://127.0.0.1:{server.port}?prefix=load", open_leases)
    finally:
        server.kill()


STORES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "valkey": _valkey,
}
"""By the name that `--state` takes: the place of an empty store, made with files in a folder."""


async def spent(store: StateStore, limits: dict[str, Limit]) -> dict[str, float]:
    """The tokens that each account has spent, as a store knows it; leaves nothing reserved."""
    found = {}
    for name in accounts():
        account = Account(name)
        limit = limits["tight" if name.startswith("tight") else "wide"]
        admission = await _finished(store.admit(account, (Charge(limit, account.scope, 0.0),), 0.0))
        # What is left is never below nothing; the time until all is back tells of a debt as well.
        found[name] = admission.limits[0].reset_s * limit.amount / limit.per_s
        if admission.lease is not None:
            await _finished(store.settle(admission.lease, (), None, 0.0))
    return found


async def _finished(answer: Any) -> Any:
    return await answer if isawaitable(answer) else answer
