"""Several processes on one file: nothing lost or doubled, no limit passed, whoever of them is killed, forked or late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from hardening.clock import SystemClock
from hardening.errors import StateError
from hardening.state import SqliteStore
from hardening.state.sqlite import file as state_file
from tests.state.on_a_clock import SetClock, awaited
from tests.state.sqlite_worker import ACCOUNTS, AT_ONCE, TOTAL
from tests.state.test_sqlite import ANNE, MINUTE, MONTH, of, rows

ROOT = Path(__file__).parents[2]


class Workers:
    """Processes on one store; what each says goes to a file beside it."""

    def __init__(self, path: Path, count: int, requests: int, concurrent: int) -> None:
        self.outputs = [path.with_name(f"said{seed}") for seed in range(count)]
        command = [sys.executable, "-m", "tests.state.sqlite_worker", str(path)]
        self.processes = []
        for seed, output in enumerate(self.outputs):
            with output.open("wb") as stdout:
                arguments = [*command, str(seed), str(requests), str(concurrent)]
                self.processes.append(subprocess.Popen(arguments, stdout=stdout, cwd=ROOT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def said(self) -> list[Any]:
        """What was said in whole lines."""
        lines = [line for output in self.outputs for line in output.read_bytes().splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


@contextmanager
def opened(path: Path, clock: Any = None, **options: Any) -> Iterator[SqliteStore]:
    store = SqliteStore(path, clock=clock, **options)
    try:
        yield store
    finally:
        store.close()


def spent(store: SqliteStore) -> dict[str, float]:
    """What the accounts of the workers have used, as the store knows it."""
    found = {}
    for account in ACCOUNTS:
        answer = awaited(store.admit(account, (of(TOTAL, 0.0, account),), 0.0))
        awaited(store.settle(answer.lease, (), None, 0.0))
        found[account.id] = TOTAL.burst - answer.limits[0].remaining
    return found


_BUSY_WRITER = """
import sqlite3, sys, time
run = sqlite3.connect(sys.argv[1], timeout=30.0, isolation_level=None).execute
run("begin immediate")
print("writing", flush=True)
while True:
    time.sleep(0.0005)
    run("rollback")
    time.sleep(0.00005)
    run("begin immediate")
"""


@contextmanager
def busy_writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes nine tenths of the time."""
    command = [sys.executable, "-c", _BUSY_WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"writing\n"
            yield process
        finally:
            process.kill()


class Shifted(SystemClock):
    """The machine's clock, so many seconds later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:  # type: ignore[override]
        return time.monotonic() + self._seconds


@pytest.mark.slow
def test_four_workers_count_to_the_token_and_pass_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    used: Counter[str] = Counter()
    most = 0.0
    with Workers(path, count=4, requests=400, concurrent=8) as workers, opened(path) as store:
        store.open()
        while any(process.poll() is None for process in workers.processes):
            for (text,) in rows(path, "select buckets from scopes"):
                held = [bucket[3] for key, bucket in json.loads(text).items() if key.startswith("at_once/")]
                most = max([most, *held])
            time.sleep(0.0005)
        assert [process.returncode for process in workers.processes] == [0] * 4
        met = [one for one in workers.said() if isinstance(one, dict)]
        for account, tokens in (one for one in workers.said() if isinstance(one, list)):
            used[account] += tokens
        assert spent(store) == pytest.approx(dict(used), abs=0.5)
    assert rows(path, "select count(*) from leases") == [(0,)]
    assert len(workers.said()) == 4 + 1600 - sum(one["refused"] for one in met)
    assert sum(one["refused"] for one in met) > 0
    assert 0 < most <= AT_ONCE.burst


@pytest.mark.slow
def test_killed_workers_lose_no_settlement_and_their_leases_are_spent_as_reserved(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    used: Counter[str] = Counter()
    with Workers(path, count=3, requests=100_000, concurrent=4) as workers:
        while len(workers.said()) < 300:
            time.sleep(0.05)
        for process in workers.processes:
            process.send_signal(signal.SIGKILL)
    for account, tokens in workers.said():
        used[account] += tokens
    ((unsettled,),) = rows(path, "select count(*) from leases")
    with opened(path, Shifted(1801.0)) as store:
        found = sum(spent(store).values())
        assert store.expired_leases == unsettled
    assert rows(path, "pragma integrity_check") == [("ok",)]
    assert rows(path, "select count(*) from leases") == [(0,)]
    # Each client that holds no lease may have been killed between his settlement and the line about it.
    unsaid = found - used.total() - 100.0 * unsettled
    assert -0.5 <= unsaid <= 180.0 * (12 - unsettled)


def test_a_lease_of_a_killed_worker_is_held_until_it_runs_out(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with opened(path) as store:
        store.open()  # nothing is taken over from the parent by a fork
        child = os.fork()
        if child == 0:
            awaited(SqliteStore(path).admit(ANNE, (of(MONTH, 900.0),), 0.0))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        assert not awaited(store.admit(ANNE, (of(MONTH, 200.0),), 0.0)).granted
    with opened(path, Shifted(1801.0)) as store:
        answer = awaited(store.admit(ANNE, (of(MONTH, 0.0),), 0.0))
        assert answer.limits[0].remaining == pytest.approx(100.0, abs=1.0)
        assert rows(path, "select count(*) from leases") == [(1,)]


def test_a_fork_opens_for_itself_and_leaves_the_parent_what_is_his(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with opened(path) as store:
        store.open()
        assert awaited(store.admit(ANNE, (of(MONTH, 100.0),), 0.0)).granted
        child = os.fork()
        if child == 0:
            inherited = store._desk
            granted = awaited(store.admit(ANNE, (of(MONTH, 100.0),), 0.0)).granted
            of_its_own = store._desk is not inherited and inherited.ledger is not None
            store.close()
            os._exit(0 if granted and of_its_own else 1)
        assert os.waitpid(child, 0)[1] == 0
        answer = awaited(store.admit(ANNE, (of(MONTH, 100.0),), 0.0))
        assert answer.limits[0].remaining == pytest.approx(700.0, abs=0.1)


def test_a_worker_that_starts_waits_for_those_that_write(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with opened(path) as first:
        first.open()
        with busy_writer(path):
            for _ in range(40):
                with opened(path) as late:
                    late.open()


def test_a_worker_that_finds_the_file_locked_for_good_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "_OPENING_S", 0.05)
    path = tmp_path / "state.db"
    with opened(path) as first:
        first.open()
        with busy_writer(path) as process:
            process.send_signal(signal.SIGSTOP)
            with opened(path) as late, pytest.raises(StateError, match="is locked by another process"):
                late.open()


# -- time


class TwoClocks(SetClock):
    """A machine's clock, and dates that somebody sets."""

    def __init__(self, monotonic: float, wall: float) -> None:
        self.now = monotonic
        self.date = wall

    def wall(self) -> float:  # type: ignore[override]
        return self.date


def remaining(store: SqliteStore) -> float:
    answer = awaited(store.admit(ANNE, (of(MINUTE, 0.0),), 0.0))
    awaited(store.settle(answer.lease, (), None, 0.0))
    found: float = answer.limits[0].remaining
    return found


def exhaust(store: SqliteStore) -> None:
    answer = awaited(store.admit(ANNE, (of(MINUTE, 100.0),), 0.0))
    awaited(store.settle(answer.lease, (), None, 0.0))


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_dates_that_are_set_change_nothing_in_workers_that_run_and_in_those_that_start(
    tmp_path: Path, step_s: float
) -> None:
    path, clock = tmp_path / "state.db", TwoClocks(500.0, 1.8e9)
    with opened(path, clock) as running:
        running.open()
        exhaust(running)
        clock.date += step_s
        clock.now += 10.0
        assert remaining(running) == pytest.approx(10.0)
        with opened(path, clock) as late:
            late.open()
            assert remaining(late) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("down_s", "expected"), [(30.0, 30.0), (-3600.0, 0.0)], ids=["half a minute later", "an hour back"]
)
def test_after_a_boot_the_dates_say_how_long_it_took_and_nothing_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, down_s: float, expected: float
) -> None:
    path, clock = tmp_path / "state.db", TwoClocks(500.0, 1.8e9)
    with opened(path, clock) as store:
        store.open()
        exhaust(store)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n", encoding="ascii")
    monkeypatch.setattr(state_file, "_BOOT_ID", boot)
    rebooted = TwoClocks(3.0, 1.8e9 + down_s)
    with opened(path, rebooted) as store:
        store.open()
        assert remaining(store) == pytest.approx(expected, abs=0.01)
        rebooted.now += 20.0
        assert remaining(store) == pytest.approx(expected + 20.0, abs=0.01)


def test_without_a_name_for_the_boot_a_clock_that_began_anew_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "_BOOT_ID", tmp_path / "none")
    path, clock = tmp_path / "state.db", TwoClocks(500.0, 1.8e9)
    with opened(path, clock) as store:
        store.open()
        exhaust(store)
    with opened(path, TwoClocks(3.0, 1.8e9 + 30.0)) as store:
        store.open()
        assert remaining(store) == pytest.approx(30.0, abs=0.01)
