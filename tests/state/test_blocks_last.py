"""A block outlasts what stores go through: a full one, a flood, an update, a kill, keys that expire, a cluster."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from hardening.facts import Account, Charge, Limit
from hardening.state import MemoryStore, SqliteAccounts, SqliteStore
from hardening.state.sqlite.keeper import Keeper
from tests.state.conftest import needs_valkey
from tests.state.on_a_clock import SetClock, SetStore, awaited
from tests.state.test_standing import said

DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)
SOON = Limit("soon", "requests", amount=10.0, per_s=0.1, burst=10.0)
ANNE, BOB = Account("anne"), Account("bob")


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, account.scope, amount)


def in_debt(store: Any, account: Account) -> None:
    store.settle(store.admit(account, (of(DAY, 1000.0, account),), 0.0).lease, (), None, 0.0)


# -- where there is no room


def test_where_all_are_in_debt_a_newcomer_who_is_blocked_is_refused_and_he_alone(tmp_path: Path) -> None:
    store = SetStore(tmp_path / "state.db", max_accounts=2)
    desk = SqliteAccounts(tmp_path / "state.db", clock=store.clock)
    full = MemoryStore(max_accounts=2)
    for one, accounts in ((store, desk), (full, full)):
        in_debt(one, Account("bob"))
        in_debt(one, Account("carl"))
        accounts.block("anne", "x", 100.0, 0.0)
        assert one.admit(ANNE, (of(DAY, 1.0),), 1.0).blocked_s == pytest.approx(99.0)
        assert one.admit(Account("dora"), (of(DAY, 1.0, Account("dora")),), 1.0).granted
    store.inner.close()


def test_scopes_that_are_forgotten_leave_their_blocks(tmp_path: Path) -> None:
    store = SetStore(tmp_path / "state.db", max_accounts=10)
    store.settle(store.admit(ANNE, (of(SOON, 1.0),), 0.0).lease, (), None, 0.0)
    SqliteAccounts(tmp_path / "state.db", clock=store.clock).block("anne", "x", math.inf, 0.0)
    for number in range(9):
        in_debt(store, Account(f"acct_{number}"))
    keeper = Keeper(store.inner._file, lambda: 1000.0, max_accounts=10)
    connection = store.inner._file.connect()
    keeper.look(connection)
    assert connection.execute("select count(*) from scopes where key = 'account:anne'").fetchone() == (0,)
    connection.close()
    assert store.admit(ANNE, (), 1000.0).blocked_s == math.inf
    found = SqliteAccounts(tmp_path / "state.db", clock=store.clock).page("", 100, 1000.0)
    assert [state.id for state in found if state.block] == ["anne"]
    store.inner.close()


# -- an update


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_an_earlier_version_is_brought_up_to_date_and_keeps_what_it_knew(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "state.db"
    store = SetStore(path)
    in_debt(store, ANNE)
    open_lease = store.admit(BOB, (of(SOON, 1.0, BOB),), 0.0).lease
    store.inner.close()
    connection = sqlite3.connect(path)
    for table in ("blocks", "flags")[version - 1 :]:
        connection.execute(f"drop table {table}")
    for column in ("record", "until", "clean_at"):
        connection.execute(f"alter table scopes drop column {column}")
    if version == 3:
        connection.execute("alter table flags drop column reason")
    (claim,) = connection.execute("select claim from leases").fetchone()
    connection.execute("update leases set claim = ?", (json.dumps(json.loads(claim)[:2]),))
    connection.execute(f"pragma user_version = {version}")
    connection.commit()
    connection.close()
    desk = SqliteAccounts(path, clock=SetClock())
    desk.block("anne", "x", 100.0, 0.0)
    again = SetStore(path)
    assert again.admit(ANNE, (), 1.0).blocked_s is not None
    assert desk.flag("anne", "harden", 0.8, 100.0, 0.0).flag is not None
    assert desk.find("anne", 0.0).requests == 1
    again.settle(open_lease, (), said(phrasing=1.0), 1.0)
    assert [one.leases for one in desk.find("bob", 1.0).limits] == [0]
    again.settle(again.admit(BOB, (), 1.0).lease, (), said(phrasing=1.0), 1.0)
    assert desk.find("bob", 1.0).record.weight == 1.0
    again.inner.close()


@needs_valkey
def test_a_state_that_an_earlier_release_wrote_is_read(valkey: Any, runner: asyncio.Runner) -> None:
    from tests.state.servers import waited

    until, never = 100.0, math.inf
    buckets = struct.pack("<B3sddddI", 3, b"day", 0.0, 0.0, 0.0, 0.0, 0)
    begun = struct.pack("<BddddIB", 3, 0.0, never, 0.0, 0.0, 7, 1) + buckets
    flagged = begun + struct.pack("<dB1s", until, 1, b"x") + struct.pack("<ddB6s", until, 0.9, 6, b"harden")
    store = waited(valkey, runner)
    with valkey.client() as client:
        client.set(f"{store.store._prefix}:{{all}}:account:anne", flagged)
    refused = store.admit(ANNE, (), 1.0)
    assert (refused.blocked_s, refused.standing.band, refused.standing.requests) == (99.0, "harden", 7)
    store.settle(store.admit(ANNE, (), until).lease, (), said(phrasing=1.0), until)
    assert store.look(ANNE, (), until).standing == (pytest.approx(0.02), None, 8, until, None, "")
    runner.run(store.store.close())


def test_no_file_is_made_for_an_operator_who_mistypes_it(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="does not exist"):
        SqliteAccounts(tmp_path / "stade.db").block("anne", "x", 100.0, 0.0)
    assert list(tmp_path.iterdir()) == []


# -- running stores on their own time


def test_a_block_is_seen_by_a_store_that_has_the_file_open(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.open()
    try:
        assert awaited(store.admit(ANNE, (), 0.0)).granted
        SqliteAccounts(tmp_path / "state.db").block("anne", "x", 100.0, 0.0)
        assert awaited(store.admit(ANNE, (), 0.0)).blocked_s == pytest.approx(100.0, abs=20.0)
    finally:
        store.close()


@needs_valkey
def test_a_key_lives_as_long_as_its_block_and_no_longer(valkey: Any, runner: asyncio.Runner) -> None:
    from hardening.state.redis import RedisStore
    from hardening.state.redis_accounts import RedisAccounts

    async def run() -> None:
        url = valkey.url
        prefix = url.partition("prefix=")[2]
        store, desk = RedisStore(url, deadline_s=20.0), RedisAccounts(url)
        with valkey.client() as client:
            await desk.block("anne", "x", 5000.0, 0.0)
            assert 4_900_000 < client.pttl(f"{prefix}:{{anne}}:account:anne") <= 5_000_000
            lease = (await store.admit(Account("bob"), (of(SOON, 1.0, Account("bob")),), 0.0)).lease
            await desk.block("bob", "x", math.inf, 0.0)
            await store.settle(lease, (), None, 0.0)
            await desk.reset("bob", 0.0)
            assert client.pttl(f"{prefix}:{{bob}}:account:bob") > 90 * 365 * 86_400_000
            await desk.block("anne", "x", 0.2, 0.0)
            await asyncio.sleep(0.3)
            assert client.keys(f"{prefix}:*anne*") == []
        assert (await store.admit(ANNE, (), 0.0)).granted
        assert (await store.admit(Account("bob"), (), 0.0)).blocked_s == math.inf
        await store.close()
        await desk.close()

    runner.run(run())


@needs_valkey
def test_what_was_granted_before_the_block_and_is_asked_again_stays_granted(
    valkey: Any, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is sent twice must find its lease: refused, it would be charged for nothing."""
    from hardening.state import redis
    from hardening.state.redis_accounts import RedisAccounts

    async def run() -> None:
        url = valkey.url
        store, desk = redis.RedisStore(url, deadline_s=20.0), RedisAccounts(url)
        monkeypatch.setattr(redis.os, "urandom", lambda count: b"twice..."[:count])
        assert (await store.admit(ANNE, (of(DAY, 100.0),), 0.0)).granted
        await desk.block("anne", "x", 100.0, 0.0)
        again = await store.admit(ANNE, (of(DAY, 100.0),), 0.0)
        assert again.granted
        await store.settle(again.lease, (of(DAY, 10.0),), None, 0.0)
        assert (await desk.find("anne", 0.0)).limits[0].leases == 0
        await store.close()
        await desk.close()

    runner.run(run())


@needs_valkey
def test_a_block_outlives_the_server_that_writes_every_call_to_disk(runner: asyncio.Runner) -> None:
    from hardening.state.redis import RedisStore
    from hardening.state.redis_accounts import RedisAccounts
    from tests.state.servers import served

    async def run(server: Any) -> None:
        url = server.url
        desk = RedisAccounts(url)
        await desk.block("anne", "scraping", math.inf, 0.0)
        await desk.close()
        server.kill()
        server.start()
        store = RedisStore(url, deadline_s=20.0)
        assert (await store.admit(ANNE, (), 0.0)).blocked_s == math.inf
        await store.close()

    with served(appendonly="yes", appendfsync="always") as server:
        runner.run(run(server))


@needs_valkey
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_accounts_of_a_cluster_are_found_on_whatever_master_they_lie(runner: asyncio.Runner) -> None:
    from hardening.state.redis import RedisStore
    from hardening.state.redis_accounts import RedisAccounts
    from tests.state.servers import clustered

    async def run(servers: list[Any]) -> None:
        url = f"redis+cluster://127.0.0.1:{servers[0].port}?prefix=here"
        store, desk = RedisStore(url, deadline_s=20.0), RedisAccounts(url)
        known = [Account(f"acct_{number}", org="acme" if number == 3 else None) for number in range(8)]
        for account in known:
            await store.settle(
                (await store.admit(account, (of(DAY, 9.0, account),), 0.0)).lease, (), None, 0.0
            )
        assert [state.id for state in await desk.page("acct_1", 4, 0.0)] == [
            f"acct_{n}" for n in (2, 3, 4, 5)
        ]
        for account in known:
            await desk.block(account.id, "x", 100.0, 0.0)
            assert (await store.admit(account, (), 0.0)).blocked_s is not None
            assert (await desk.reset(account.id, 0.0)).limits == ()
        await store.close()
        await desk.close()

    with clustered() as servers:
        runner.run(run(servers))
