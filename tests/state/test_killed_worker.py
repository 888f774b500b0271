"""A worker that is killed in mid-stream: what it held stays held, and is charged as reserved when it runs out."""

from __future__ import annotations

import asyncio
import sys
import time
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from hardening.facts import Account, Charge
from hardening.policy import load_policy
from hardening.state import AccountState, SqliteStore, open_accounts
from hardening.state.buckets import debt
from tests.asgi.processes import Server, started
from tests.state.on_a_clock import awaited
from tests.state.test_sqlite_processes import Shifted

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

POLICY = "version: 1\nlimits: {day: {tokens: 100k, per: 1000d}}\ndefaults: {limits: [day]}\n"
ANNE = Account("acct_7")
LEASE_S = 1800.0


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/state.db"
    return str(request.getfixturevalue("valkey").url)


def known(url: str) -> AccountState:
    async def ask() -> Any:
        accounts = open_accounts(url)
        try:
            answer = accounts.find(ANNE.id, time.time())
            return await answer if isawaitable(answer) else answer
        finally:
            if isawaitable(closing := getattr(accounts, "close", lambda: None)()):
                await closing

    found: AccountState = asyncio.run(ask())
    return found


def left_later(url: str, path: Path) -> float:
    """What is left when the lease has run out, by the clock of a store that is half an hour ahead."""
    (limit,) = load_policy(path).limits.values()
    charge = (Charge(limit, ANNE.scope, 0.0),)
    if url.startswith("sqlite"):
        store = SqliteStore(url.removeprefix("sqlite:///"), clock=Shifted(LEASE_S + 1.0))
        store.open()
        answer = awaited(store.admit(ANNE, charge, 0.0))
        store.close()
        return float(answer.limits[0].remaining)
    from hardening.state.redis import RedisStore

    async def ask() -> float:
        store = RedisStore(url, own_clock=False, deadline_s=20.0)
        answer = await store.admit(ANNE, charge, time.time() + LEASE_S + 1.0)
        await store.close()
        return answer.limits[0].remaining

    return asyncio.run(ask())


def streams(server: Server) -> None:
    """Ask for an answer, and read its beginning."""
    answer = server.ask()
    assert answer.status == 200
    assert answer.read(2000)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_worker_killed_in_mid_stream_leaves_what_it_held_and_it_is_charged_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path, url = tmp_path / "policy.yaml", url_of(kind, request, tmp_path)
    path.write_text(POLICY)
    environment = {
        "HARDENING_POLICY": str(path),
        "HARDENING_STATE": url,
        "HARDENING_KEY": "a key for tests, and for nothing else",
    }
    command = ["uvicorn", "tests.state.streaming:app", "--port", "0", "--no-access-log"]
    with started(command, "Uvicorn running", **environment) as other:
        with started(command, "Uvicorn running", **environment) as server:
            for _ in range(3):
                streams(server)
            held = sum(limit.held for limit in known(url).limits)
            assert held > 0
            server.process.kill()
            server.process.wait()
        (kept,) = known(url).limits
        assert (kept.held, kept.leases, kept.spent.until) == (held, 3, 0.0)
        streams(other)  # another worker goes on
        assert known(url).limits[0].leases == 4
    # The one that ended well has settled what it used; of the one that was killed nothing was told.
    after = known(url)
    (limit,) = load_policy(path).limits.values()
    (kept,) = after.limits
    used = debt(limit, kept.spent, after.now)
    assert (kept.leases, kept.held) == (3, held)
    assert 0 < used < held
    assert left_later(url, path) == pytest.approx(limit.burst - held - used, abs=20)
