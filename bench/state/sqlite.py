"""What the store in a file costs beside the one in memory: time, a whole request before the app, a flood.

Run: .venv/bin/python -m bench.state.sqlite [--quick]
Output: one table; exit 1 where a budget is not kept.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from inspect import isawaitable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import streams
from bench.apps import EmptyAsgi, Playback, Player, one_core, started
from bench.state.line import Line
from hardening.facts import Account, Charge, Limit
from hardening.state import MemoryStore, SqliteStore, StateStore
from hardening.state.sqlite.file import StateFile
from hardening.state.sqlite.keeper import Keeper
from hardening.testing import harden

ROUNDS, REQUESTS = 21, 400
BEFORE_US, BYTES = 45.0, 2048.0

LIMITS = (
    Limit("minute", "tokens", 1e9, 60.0, 1e9),
    Limit("month", "tokens", 1e12, 2_592_000.0, 1e12),
    Limit("calls", "requests", 1e9, 60.0, 1e9),
    Limit("hour", "tokens", 1e9, 3600.0, 1e9, window="sliding"),
)


@contextmanager
def opened(**options: Any) -> Iterator[tuple[SqliteStore, Path]]:
    """A store on an empty file, and where that is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        store = SqliteStore(path, **options)
        try:
            store.open()
            yield store, path
        finally:
            store.close()


def times(limits: int) -> Iterator[Line]:
    """Percentiles of each call, memory and file in turns, over a thousand accounts."""
    with opened() as (file, _):
        stores: dict[str, StateStore] = {"memory": MemoryStore(), "file": file}
        admits: dict[str, list[float]] = {name: [] for name in stores}
        settles: dict[str, list[float]] = {name: [] for name in stores}
        waited = 0
        for number in range(-2, ROUNDS):
            for name, store in stores.items():
                for request in range(REQUESTS):
                    admit_s, settle_s = _turn(store, number * REQUESTS + request, LIMITS[:limits])
                    if number < 0:
                        continue
                    if admit_s is None or settle_s is None:
                        waited += 1
                        continue
                    admits[name].append(admit_s)
                    settles[name].append(settle_s)
    for what, samples in (("admit", admits), ("settle", settles)):
        for name, seconds in samples.items():
            for percentile in (50, 99):
                value = quantiles(seconds, n=100)[percentile - 1] * 1e6
                yield Line(f"{what}, {limits} limits, {name}, p{percentile}", value, "us")
    yield Line("calls that found the keeper writing", waited, f"of {2 * ROUNDS * REQUESTS:,}")


def _turn(store: StateStore, number: int, limits: Sequence[Limit]) -> tuple[float | None, float | None]:
    """Seconds of one request's calls; None for one that had to wait."""
    account = Account(f"acct_{number % 1000:020d}")
    reserved = tuple(Charge(limit, account.scope, 900.0) for limit in limits)
    actual = tuple(charge._replace(amount=700.0) for charge in reserved)
    began = perf_counter()
    answer = store.admit(account, reserved, 1000.0)
    admit_s = perf_counter() - began
    if isawaitable(answer):
        lease = asyncio.run(_finished(answer)).lease
        asyncio.run(_finished(store.settle(lease, actual, None, 1000.0)))
        return None, None
    assert answer.lease is not None
    began = perf_counter()
    done = store.settle(answer.lease, actual, None, 1000.0)
    settle_s = perf_counter() - began
    if done is not None:
        asyncio.run(_finished(done))
        return admit_s, None
    return admit_s, settle_s


async def _finished(answer: Any) -> Any:
    return await answer if isawaitable(answer) else answer


def before() -> Iterator[Line]:
    """What a request of 2 kB waits for us before its app is called, medians of rounds in turns."""
    with opened() as (file, _):
        added = asyncio.run(_before(file))
    yield Line("a request before the app, memory", added["memory"], "us")
    yield Line("a request before the app, file", added["file"], "us", BEFORE_US)


async def _before(file: SqliteStore) -> dict[str, float]:
    plain = Playback([b'{"ok":true}'])
    apps: dict[str, Any] = {
        "empty": EmptyAsgi(plain),
        "memory": harden(plain, "baseline"),
        "file": harden(plain, "baseline", state=file),
    }
    body = streams.request(2_000)
    rounds: dict[str, list[float]] = {name: [] for name in apps}
    async with AsyncExitStack() as stack:
        for name in ("memory", "file"):
            await stack.enter_async_context(started(apps[name]))
        for number in range(-2, ROUNDS):
            for name, app in apps.items():
                player, seconds = Player(f"sk-bench-{number}", body), []
                for _ in range(41):
                    await player.play(app)
                    seconds.append(plain.called_at - player.began)
                if number >= 0:
                    rounds[name].append(median(seconds[1:]) * 1e6)
    return {
        name: median([one - empty for one, empty in zip(rounds[name], rounds["empty"], strict=True)])
        for name in ("memory", "file")
    }


def flood(ids: int) -> Iterator[Line]:
    """Accounts that are seen once, beside a hundred that come often; the keeper looks a hundred times."""
    most = ids // 20
    honest = [Account(f"honest_{number}") for number in range(100)]
    with opened(max_accounts=most) as (file, path):
        for _ in range(5):
            for account in honest:
                _spend(file, account, LIMITS[:2])
        keeper = Keeper(StateFile(path), lambda: file._at_desk().ledger.now(), max_accounts=most)  # noqa: SLF001
        with closing(StateFile(path).connect()) as connection:
            connection.execute("pragma busy_timeout = 5000")
            for number in range(ids):
                _spend(file, Account(f"made_up_{number * 7919 % ids}"), LIMITS[:2])
                if number % (ids // 100) == 0:
                    keeper.look(connection)
            keeper.look(connection)
            (known,) = connection.execute("select count(*) from scopes").fetchone()
        kept = sum(_standing(file, account) == 5 for account in honest)
        file.close()
        yield Line(f"accounts that are kept of {ids:,}", known, "", most)
        yield Line("bytes of the file", path.stat().st_size, "bytes", most * BYTES)
        yield Line("honest accounts that lost their standing", 100 - kept, "", 0)


def _spend(store: SqliteStore, account: Account, limits: Sequence[Limit]) -> None:
    charges = tuple(Charge(limit, account.scope, 900.0) for limit in limits)
    answer = store.admit(account, charges, 0.0)
    admission = asyncio.run(_finished(answer)) if isawaitable(answer) else answer
    done = store.settle(admission.lease, tuple(one._replace(amount=7.0) for one in charges), None, 0.0)
    if done is not None:
        asyncio.run(_finished(done))


def _standing(store: SqliteStore, account: Account) -> int:
    answer = store.admit(account, (), 0.0)
    return int((asyncio.run(_finished(answer)) if isawaitable(answer) else answer).standing.requests)


def main(arguments: list[str]) -> int:
    """Print the table; 1 where a budget is not kept."""
    quick = "--quick" in arguments
    parts: list[Callable[[], Iterator[Line]]] = [
        lambda: times(2),
        lambda: times(4),
        before,
        lambda: flood(20_000 if quick else 1_000_000),
    ]
    with one_core():
        lines = [line for part in parts for line in part()]
    table = Table("store in a file", "figure", "", "budget")
    for line in lines:
        goal = "" if line.budget is None else f"<= {line.budget:,.0f}" + ("" if line.holds else "  MISSED")
        table.add_row(line.what, f"{line.value:,.1f}", line.unit, goal)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
