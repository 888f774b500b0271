"""Bytes that an account takes in each store: four limits that are partly spent, and a record of all that requests can say.

Run: .venv/bin/python -m bench.state.sizes [ACCOUNTS]    (100000)
Output: one table; exit 1 where a budget is not kept.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from bench.state.line import Line
from hardening.facts import Account, Charge, Lease, Limit
from hardening.state import MemoryStore, SqliteStore, StateStore
from hardening.state.redis import RedisStore
from hardening.state.standing import SLOTS, BandAt, Calibration, Evidence, Scale
from tests.state.servers import Server

BUDGET_BYTES = 2048.0

LIMITS = (
    Limit("minute", "tokens", 1e9, 60.0, 1e9),
    Limit("month", "tokens", 1e12, 2_592_000.0, 1e12),
    Limit("calls", "requests", 1e9, 60.0, 1e9),
    Limit("hour", "tokens", 1e9, 3600.0, 1e9, window="sliding"),
)
ALL = Evidence(
    tuple([0.1] * len(SLOTS)),
    Scale(Calibration(-3.0, dict.fromkeys(SLOTS, 0.1), least=0.0), (BandAt("watch", 0.01, 0.001),)),
)


def in_memory(accounts: int) -> Iterator[Line]:
    """By what Python has allocated."""
    store = MemoryStore(max_accounts=accounts)
    gc.collect()
    tracemalloc.start()
    asyncio.run(_settled(store, range(accounts)))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield Line("memory", used / accounts, "bytes", BUDGET_BYTES)


def in_file(accounts: int) -> Iterator[Line]:
    """By the length of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        store = SqliteStore(path)
        asyncio.run(_settled(store, range(accounts)))
        store.close()
        yield Line("SQLite", path.stat().st_size / accounts, "bytes", BUDGET_BYTES)


def on_server(accounts: int) -> Iterator[Line]:
    """By what the server says it uses."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Server(Path(folder)).start()
        try:
            settled, held = asyncio.run(_on_server(server, accounts))
        finally:
            server.kill()
    yield Line("Valkey", settled, "bytes", BUDGET_BYTES)
    yield Line("Valkey, with a request under way", held, "bytes", BUDGET_BYTES)


async def _on_server(server: Server, accounts: int) -> tuple[float, float]:
    async with _used(server) as used:
        store = RedisStore(server.url, deadline_s=60.0)
        await _settled(store, range(1))
        before = await used()
        await _settled(store, range(accounts))
        settled = (await used() - before) / accounts
        for first in range(0, accounts, 500):
            await asyncio.gather(*[_admitted(store, number) for number in range(first, first + 500)])
        held = (await used() - before) / accounts
        await store.close()
        return settled, held


@asynccontextmanager
async def _used(server: Server) -> AsyncIterator[Any]:
    async with Redis(port=server.port, protocol=2) as client:

        async def used() -> int:
            return int((await client.info("memory"))["used_memory"])

        yield used


async def _settled(store: StateStore, numbers: range) -> None:
    for number in numbers:
        lease = await _admitted(store, number)
        actual = tuple([charge._replace(amount=700.0) for charge in lease.charges])
        answer = store.settle(lease, actual, ALL, 1000.0)
        if isawaitable(answer):
            await answer


async def _admitted(store: StateStore, number: int) -> Lease:
    account = Account(f"acct_{number:020d}")
    answer = store.admit(account, tuple([Charge(limit, account.scope, 900.0) for limit in LIMITS]), 1000.0)
    lease = (await answer if isawaitable(answer) else answer).lease
    assert lease is not None
    return lease


def main(arguments: list[str]) -> int:
    """Print the table; 1 where a budget is not kept."""
    accounts = int(arguments[0]) if arguments else 100_000
    lines = [line for store in (in_memory, in_file, on_server) for line in store(accounts)]
    table = Table(f"bytes of an account, at {accounts:,}", "figure", "budget")
    for line in lines:
        goal = f"<= {line.budget:,.0f}" + ("" if line.holds else "  MISSED")
        table.add_row(line.what, f"{line.value:,.0f}", goal)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
