"""Three real masters: every account on one of them, one that dies, one that is replaced, slots that move."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from hardening.errors import StateError, StoreAway
from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import GuardedStore
from hardening.state.redis import RedisStore
from tests.state.conftest import needs_valkey
from tests.state.schedules import LEASE_S, Admit, Extend, Settle, Subject, Wait, play
from tests.state.servers import PATIENT_S, Server, Waited, clustered

pytestmark = [
    needs_valkey,
    pytest.mark.slow,
    # The library lets go of the servers of an older layout without closing what it had open to them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)
TEAM = Limit("team", "tokens", amount=1500.0, per_s=86_400_000.0, burst=1500.0, by="org")


def of(limit: Limit, amount: float, account: Account) -> Charge:
    return Charge(limit, f"org:{account.org}" if limit.by == "org" else account.scope, amount)


def url_of(servers: list[Server]) -> str:
    nodes = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"redis+cluster://{nodes}?{servers[0].url.partition('?')[2]}"


def account_on(number: int, masters: int = 3) -> Account:
    """An account whose keys lie on this master."""
    for n in range(1000):
        slot = key_slot(f"acct_{n}".encode())
        if 16384 * number // masters <= slot < 16384 * (number + 1) // masters:
            return Account(f"acct_{n}")
    raise AssertionError


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left of an older layout goes here, and not in the midst of another module's tests."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[Server]]:
    with clustered() as servers:
        yield servers


async def admitted(store: RedisStore | GuardedStore, account: Account, *charges: Charge) -> Admission:
    """The answer of a server that may need some tries: it is loaded, or has just become master."""
    for _ in range(100):
        try:
            return await store.admit(account, charges, 0.0)
        except StateError:
            await asyncio.sleep(0.05)
    raise AssertionError("the store does not answer")


async def left(store: RedisStore | GuardedStore, account: Account, limit: Limit = DAY) -> float:
    answer = await admitted(store, account, of(limit, 0.0, account))
    assert answer.lease is not None
    await store.settle(answer.lease, (), None, 0.0)
    return round(answer.limits[0].remaining)


def test_it_counts_like_one_server(cluster: list[Server], runner: asyncio.Runner) -> None:
    """An organisation, its accounts and their leases lie together; a script with keys of two servers would fail."""
    schedule = (
        Admit(0, ((0, 60), (1, 30), (5, 1))),
        Admit(1, ((0, 50), (6, 20))),
        Wait(4),
        Extend(0, ((1, 20),)),
        Admit(1, ((0, 60),)),
        Settle(0, 5),
        Wait(40),
        Admit(2, ((0, 60), (4, 3)), obey=True),
        Settle(1, 8, silent=1),
        Wait(200),
        Admit(2, ((4, 2),)),
    )
    store = RedisStore(url_of(cluster), lease_s=LEASE_S, deadline_s=PATIENT_S, own_clock=False)
    try:
        play(Subject(Waited(store, runner)), schedule)
    finally:
        runner.run(store.close())


def test_accounts_spread_over_the_servers_and_an_organisation_stays_together(
    cluster: list[Server], runner: asyncio.Runner
) -> None:
    async def run() -> None:
        store = RedisStore(url_of(cluster), deadline_s=PATIENT_S)
        accounts = [account_on(number) for number in range(3)]
        members = [Account(f"m{n}", org="acme") for n in range(20)]
        await asyncio.gather(*[store.admit(one, (of(DAY, 1.0, one),), 0.0) for one in accounts])
        assert len({store.lane(one) for one in accounts}) == 3
        assert len({store.lane(one) for one in members}) == 1
        granted = await asyncio.gather(*[store.admit(one, (of(TEAM, 100.0, one),), 0.0) for one in members])
        assert sum(answer.granted for answer in granted) == 15
        await store.close()

    runner.run(run())


@pytest.mark.parametrize("org", ["}{", "{", "}", "{}x", "plain"])
def test_no_name_takes_the_keys_of_a_request_apart(
    org: str, cluster: list[Server], runner: asyncio.Runner
) -> None:
    """Catches a brace that ends the hash tag early, or leaves it empty."""
    account = Account("anne", org=org)

    async def run() -> None:
        store = RedisStore(url_of(cluster), deadline_s=PATIENT_S)
        charges = (of(TEAM, 100.0, account), of(DAY, 50.0, account))
        assert (await store.admit(account, charges, 0.0)).granted
        assert (await left(store, account, TEAM), await left(store, account)) == (1400, 950)
        await store.close()

    runner.run(run())


def test_slots_that_move_are_followed(cluster: list[Server], runner: asyncio.Runner) -> None:
    """A resharding in the middle of a lease: ASK, then MOVED; nothing is lost or counted twice."""
    account = account_on(0)
    slot = key_slot(account.id.encode())
    source, target = (server.client(decode_responses=True) for server in cluster[:2])

    async def run() -> None:
        store = RedisStore(url_of(cluster), deadline_s=PATIENT_S)
        lease = (await store.admit(account, (of(DAY, 100.0, account),), 0.0)).lease
        ids = [client.execute_command("CLUSTER", "MYID") for client in (source, target)]
        target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        keys = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        source.execute_command("MIGRATE", "127.0.0.1", cluster[1].port, "", 0, 5000, "KEYS", *keys)
        longer = await store.extend(lease, (of(DAY, 50.0, account),), 0.0)
        assert longer.granted
        for client in (target, source):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        await store.settle(longer.lease, (of(DAY, 120.0, account),), None, 0.0)
        assert await left(store, account) == 880
        await store.close()

    try:
        runner.run(run())
    finally:
        source.close()
        target.close()


def test_a_dead_master_does_not_take_the_others_along(runner: asyncio.Runner) -> None:
    """Without a replica: its accounts get an error at once, those of other masters are served."""

    async def run(servers: list[Server]) -> None:
        inner = RedisStore(url_of(servers).replace("?", "?client_name=x&"), deadline_s=0.3)
        store = GuardedStore(inner, time.monotonic)
        dead, alive = account_on(0), account_on(1)
        for account in (dead, alive):
            await admitted(store, account, of(DAY, 10.0, account))
        servers[0].kill()
        for _ in range(3):
            with pytest.raises(StateError):
                await store.admit(dead, (of(DAY, 10.0, dead),), 0.0)
        with pytest.raises(StoreAway):
            await store.admit(dead, (of(DAY, 10.0, dead),), 0.0)
        served = 0
        for _ in range(30):
            try:
                served += (await store.admit(alive, (of(DAY, 1.0, alive),), 0.0)).granted
            except StateError:
                await asyncio.sleep(0.05)
        assert served >= 25
        await store.close()

    with clustered() as servers:
        for server in servers:
            with server.client() as client:
                client.config_set("cluster-require-full-coverage", "no")
        runner.run(run(servers))


def test_a_master_that_dies_is_replaced_by_its_replica(runner: asyncio.Runner) -> None:
    """What the replica had when the master died is there: with WAIT before the death, all of it."""

    async def run(servers: list[Server]) -> None:
        store = GuardedStore(RedisStore(url_of(servers), deadline_s=0.5), time.monotonic)
        account = account_on(0)
        lease = (await admitted(store, account, of(DAY, 100.0, account))).lease
        assert lease is not None
        with servers[0].client() as client:
            assert client.wait(1, 5000) == 1
        servers[0].kill()
        with pytest.raises(StateError):
            await store.admit(account, (of(DAY, 5.0, account),), 0.0)
        local = store.local.admit(account, (of(DAY, 50.0, account),), store._now())
        store.local.settle(local.lease, (of(DAY, 40.0, account),), None, store._now())
        with pytest.raises(StateError):
            await store.settle(lease, (of(DAY, 60.0, account),), None, store._now())
        for _ in range(400):
            await asyncio.sleep(0.05)
            if not (store._late or store.local.owes or store._round):
                break
        assert await left(store, account) == 1000 - 60 - 40
        await store.close()

    with clustered(3, 1) as servers:
        runner.run(run(servers))
