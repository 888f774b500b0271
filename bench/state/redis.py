"""What the store on Redis costs beside a bare script call and the package `limits`.

Starts a Valkey of its own on loopback. All calls of a round follow one another, so that each meets the
machine at the same speed; `x` is the median of the ratios to the bare call of the same round.

Run: .venv/bin/python -m bench.state.redis [--quick]
Output: one table.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from hardening.facts import Account, Charge, Limit
from hardening.state.redis import RedisStore
from tests.state.servers import Server

BARE = "return redis.call('SET', KEYS[1], ARGV[1])"
MINUTE = Limit("minute", "tokens", 1e9, 60.0, 1e9)
MONTH = Limit("month", "tokens", 1e12, 2_592_000.0, 1e12)
CALLS = Limit("calls", "requests", 1e9, 60.0, 1e9)
HOUR = Limit("hour", "tokens", 1e9, 3600.0, 1e9, window="sliding")
LIMITS = (MINUTE, MONTH, CALLS, HOUR)
AT_ONCE = 50

Act = Callable[[int], Awaitable[Any]]


def charges_of(number: int, limits: tuple[Limit, ...], amount: float) -> tuple[Account, tuple[Charge, ...]]:
    """An account, and so much of each limit."""
    account = Account(f"acct_{number:020d}")
    return account, tuple(Charge(limit, account.scope, amount) for limit in limits)


def acts_of(server: Server, store: RedisStore) -> dict[str, Act]:
    """What is compared, each a call for one of a thousand accounts."""
    client = Redis(port=server.port, protocol=2)
    uri = f"async+redis://127.0.0.1:{server.port}"
    counted = RedisStorage(uri, implementation="redispy")
    item = RateLimitItemPerMinute(1_000_000)
    fixed, moving = FixedWindowRateLimiter(counted), MovingWindowRateLimiter(counted)
    bare = client.register_script(BARE)
    leases: dict[int, Any] = {}

    async def admit(limits: tuple[Limit, ...], number: int) -> None:
        account, charges = charges_of(number % 1000, limits, 900.0)
        leases[number] = (await store.admit(account, charges, 0.0)).lease

    async def settle(limits: tuple[Limit, ...], number: int) -> None:
        _, charges = charges_of(number % 1000, limits, 700.0)
        await store.settle(leases.pop(number), charges, None, 0.0)

    return {
        "a bare EVALSHA with one SET": lambda number: bare([f"bare:{number % 1000}"], [b"x" * 88]),
        "limits 5, fixed window, hit": lambda number: fixed.hit(item, "fixed", str(number % 1000)),
        "limits 5, moving window, hit": lambda number: moving.hit(item, "moving", str(number % 1000)),
        "admit, one limit": lambda number: admit(LIMITS[:1], number),
        "settle, one limit": lambda number: settle(LIMITS[:1], number),
        "admit, four limits": lambda number: admit(LIMITS, number),
        "settle, four limits": lambda number: settle(LIMITS, number),
    }


async def _timed(act: Act, numbers: range, at_once: int) -> list[float]:
    """Microseconds of each call; of many at once, the time of all over their number."""
    times: list[float] = []
    for first in range(numbers.start, numbers.stop, at_once):
        began = perf_counter()
        if at_once == 1:
            await act(first)
        else:
            await asyncio.gather(*[act(number) for number in range(first, first + at_once)])
        times.append((perf_counter() - began) / at_once * 1e6)
    return times


async def times(server: Server, table: Table, *, quick: bool) -> None:
    """Rows of the table: one call after the other, and fifty at once."""
    store = RedisStore(server.url, deadline_s=10.0)
    acts = acts_of(server, store)
    rounds, calls = (5, 200) if quick else (40, 500)
    for at_once in (1, AT_ONCE):
        all_times: dict[str, list[float]] = {what: [] for what in acts}
        medians: dict[str, list[float]] = {what: [] for what in acts}
        for _ in range(rounds + 1):
            for what, act in acts.items():
                took = await _timed(act, range(calls), at_once)
                all_times[what] += took
                medians[what].append(median(took))
        bare = next(iter(medians.values()))
        for what, took in all_times.items():
            cut = len(took) // (rounds + 1)  # the first round warms up
            ratio = median(mine / other for mine, other in zip(medians[what][1:], bare[1:], strict=True))
            p = quantiles(took[cut:], n=100)
            table.add_row(f"{what}, {at_once} at once", f"{p[49]:.0f}", f"{p[98]:.0f}", f"{ratio:.2f} x")
    await store.close()


def main(arguments: list[str]) -> int:
    """Print the table."""
    quick = "--quick" in arguments
    table = Table("redis store", "p50 us", "p99 us", "of bare")
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Server(Path(folder)).start()
        try:
            asyncio.run(times(server, table, quick=quick))
        finally:
            server.kill()
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
