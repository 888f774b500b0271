"""The store on a real Valkey: equal to the simulator, one round trip a call, what is sent twice counts once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from hypothesis import given

from hardening.errors import StateError
from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import open_store
from hardening.state.models import MOST_MODELS
from hardening.state.redis import RedisStore
from hardening.state.redis_accounts import RedisAccounts
from tests.state.conftest import needs_valkey
from tests.state.proxy import Proxy
from tests.state.schedules import EFFORT, LEASE_S, Schedule, Subject, play, schedules
from tests.state.servers import PATIENT_S, Server, Waited

pytestmark = needs_valkey

DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)
"""Hardly anything comes back while a test runs: what is left tells what was spent and what is held."""
SECOND = Limit("second", "requests", amount=50.0, per_s=1.0, burst=50.0)
OPEN = Limit("open", "streams", amount=2.0, per_s=1.0, burst=2.0)
TEAM = Limit("team", "tokens", amount=1500.0, per_s=86_400_000.0, burst=1500.0, by="org")
ANNE = Account("anne")


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    scope = f"org:{account.org}" if limit.by == "org" else account.scope
    return Charge(limit, scope, amount)


@asynccontextmanager
async def opened(url: str, **more: Any) -> AsyncIterator[RedisStore]:
    """A store on the server's own time, closed at the end."""
    store = RedisStore(url, **{"deadline_s": PATIENT_S, **more})
    try:
        yield store
    finally:
        await store.close()


async def left(store: RedisStore, limit: Limit = DAY, account: Account = ANNE) -> float:
    """What is left of a limit, in whole units."""
    answer = await store.admit(account, (of(limit, 0.0, account),), 0.0)
    if answer.lease is not None:
        await store.settle(answer.lease, (), None, 0.0)
    return round(answer.limits[0].remaining)


async def admitted_at_last(store: RedisStore, account: Account = ANNE, *charges: Charge) -> Admission:
    """The answer of a store with a short deadline on a machine that does other things."""
    for _ in range(100):
        try:
            return await store.admit(account, charges, 0.0)
        except StateError:
            await asyncio.sleep(0.05)
    raise AssertionError("the store does not answer")


@contextmanager
def prefixed(server: Server, url: str) -> Iterator[Any]:
    """A plain client, and a function that lists the keys of one store."""
    with server.client() as client:
        client.own = lambda: sorted(client.scan_iter(match=f"{url.partition('prefix=')[2]}:*"))
        yield client


# -- arithmetic


def test_it_does_what_the_simulator_does(valkey: Server, runner: asyncio.Runner) -> None:
    """Catches arithmetic of the script that differs from `state.buckets`, and any call that is not all or nothing."""
    url = valkey.url
    store = RedisStore(url, lease_s=LEASE_S, deadline_s=PATIENT_S, own_clock=False)
    desk = RedisAccounts(url, own_clock=False)
    wait = runner.get_loop().run_until_complete

    @given(schedules)
    @EFFORT
    def run(schedule: Schedule) -> None:
        with valkey.client() as client:
            client.flushdb()  # keys stay for ever here, and each would be walked over by whoever puts into a band
        play(Subject(Waited(store, runner), wait=wait, desk=desk), schedule)

    try:
        run()
    finally:
        runner.run(store.close())
        runner.run(desk.close())


def test_many_at_once_are_never_granted_more_than_there_is(valkey: Server, runner: asyncio.Runner) -> None:
    """Two workers, 200 requests at once, one account: what fits is granted to the unit, and all is settled."""

    async def run() -> None:
        url = valkey.url
        async with opened(url) as one, opened(url) as other:
            asked = [store.admit(ANNE, (of(DAY, 10.0),), 0.0) for store in (one, other) for _ in range(100)]
            answers = await asyncio.gather(*asked)
            leases = [answer.lease for answer in answers if answer.lease is not None]
            assert len(leases) == 100
            assert await left(one) == 0
            settles = [
                (one, other)[n % 2].settle(lease, (of(DAY, n % 10),), None, 0.0)
                for n, lease in enumerate(leases)
            ]
            await asyncio.gather(*settles)
            assert await left(other) == 1000 - sum(n % 10 for n in range(100))

    runner.run(run())


def test_an_organisation_and_its_account_are_charged_together_or_not_at_all(
    valkey: Server, runner: asyncio.Runner
) -> None:
    anne, bob = Account("anne", org="acme"), Account("bob", org="acme")

    async def run() -> None:
        async with opened(valkey.url) as store:
            assert (await store.admit(anne, (of(TEAM, 800.0, anne), of(DAY, 800.0, anne)), 0.0)).granted
            refused = await store.admit(bob, (of(DAY, 800.0, bob), of(TEAM, 800.0, bob)), 0.0)
            assert (refused.granted, refused.refused_by) == (False, "team")
            assert await left(store, DAY, bob) == 1000
            assert await left(store, TEAM, bob) == 700

    runner.run(run())


# -- time


def test_time_is_the_servers_own(valkey: Server, runner: asyncio.Runner) -> None:
    """Catches a store that believes a worker whose clock is wrong."""

    async def run() -> None:
        async with opened(valkey.url) as store:
            lease = (await store.admit(ANNE, (of(DAY, 10.0),), 0.0)).lease
            with valkey.client() as client:
                seconds, _ = client.time()
            assert abs(lease.expires_at - 1800 - seconds) < 60
            assert (await store.admit(ANNE, (of(DAY, 0.0),), 4e9)).limits[0].remaining < 991

    runner.run(run())


def test_a_lease_that_nobody_settles_is_spent_as_last_extended(
    valkey: Server, runner: asyncio.Runner
) -> None:
    async def run() -> None:
        async with opened(valkey.url, lease_s=0.3) as store:
            charges = (of(DAY, 100.0), of(OPEN, 1.0))
            lease = (await store.admit(ANNE, charges, 0.0)).lease
            longer = (await store.extend(lease, (of(DAY, 50.0),), 0.0)).lease
            assert (await left(store), await left(store, OPEN)) == (850, 1)
            await asyncio.sleep(0.4)
            assert (await left(store), await left(store, OPEN)) == (850, 2)
            await store.settle(longer, (of(DAY, 1.0),), None, 0.0)
            assert await left(store) == 850
            assert store.late_settlements == 1

    runner.run(run())


def test_nothing_is_kept_of_who_owes_nothing_and_has_no_standing(
    valkey: Server, runner: asyncio.Runner
) -> None:
    """A flood of unproven callers leaves no key behind once their pools are whole."""
    stranger = Account("x", proven=False, network="net_9")
    url = valkey.url

    async def run() -> None:
        async with opened(url) as store:
            lease = (await store.admit(stranger, (of(SECOND, 1.0, stranger),), 0.0)).lease
            with prefixed(valkey, url) as client:
                assert [client.pttl(key) > 0 for key in client.own()] == [True, True]
                await store.settle(lease, (of(SECOND, 5.0, stranger),), None, 0.0)
                (key,) = client.own()
                assert 0 < client.pttl(key) <= 100
                await asyncio.sleep(0.15)
                assert client.own() == []
                refunded = (await store.admit(stranger, (of(SECOND, 1.0, stranger),), 0.0)).lease
                await store.settle(refunded, (of(SECOND, 0.0, stranger),), None, 0.0)
                assert client.own() == []

    runner.run(run())


def test_a_standing_outlives_the_limits(valkey: Server, runner: asyncio.Runner) -> None:
    url = valkey.url

    async def run() -> None:
        async with opened(url) as store:
            assert (await store.admit(ANNE, (of(SECOND, 1.0),), 0.0)).standing.requests == 0
            await asyncio.sleep(0.05)
            standing = (await store.admit(ANNE, (), 0.0)).standing
            assert standing.requests == 1
            assert 0.04 < standing.age_s < 30
            with prefixed(valkey, url) as client:
                state = next(key for key in client.own() if not key.endswith(b"leases"))
                assert 29 * 86_400 < client.ttl(state) <= 30 * 86_400

    runner.run(run())


def test_the_state_outlives_every_lease_that_it_must_still_charge(
    valkey: Server, runner: asyncio.Runner
) -> None:
    """Catches a key that is gone before its leases are due: they would never be paid."""
    stranger = Account("x", proven=False, network="net_9")
    url = valkey.url

    async def run() -> None:
        async with opened(url, lease_s=0.3) as store:
            await store.admit(stranger, (of(DAY, 400.0, stranger),), 0.0)
            with prefixed(valkey, url) as client:
                assert min(client.ttl(key) for key in client.own()) > 86_400 * 300
            await asyncio.sleep(0.4)
            assert await left(store, DAY, stranger) == 600

    runner.run(run())


def test_made_up_models_leave_a_bounded_number_of_keys_and_none_when_all_is_whole(
    valkey: Server, runner: asyncio.Runner
) -> None:
    stranger = Account("x", proven=False, network="net_9")
    limit, url = Limit("model", "requests", amount=100.0, per_s=1.0, burst=1000.0), valkey.url

    async def run() -> None:
        async with opened(url) as store:
            for number in range(3 * MOST_MODELS):
                charge = Charge(limit, f"model:x\nm{number}", 1.0)
                answer = await store.admit(stranger, (charge,), 0.0)
                used = 400.0 if number < MOST_MODELS else 5.0
                await store.settle(answer.lease, (charge._replace(amount=used),), None, 0.0)
            with prefixed(valkey, url) as client:
                keys = client.own()
                assert MOST_MODELS < len(keys) <= MOST_MODELS + 2
                assert all(0 < client.pttl(key) <= 30_000 for key in keys)
            lease = (await store.admit(stranger, (of(SECOND, 0.0, stranger),), 0.0)).lease
            await store.settle(lease, (), None, 0.0)
            with prefixed(valkey, url) as client:
                for _ in range(200):
                    if not client.own():
                        return
                    await asyncio.sleep(0.1)
                raise AssertionError(client.own())

    runner.run(run())


def test_a_debt_beyond_all_time_does_not_break_the_keys(valkey: Server, runner: asyncio.Runner) -> None:
    """Catches an expiry that the server cannot read, after which the account could never be settled again."""

    async def run() -> None:
        async with opened(valkey.url) as store:
            lease = (await store.admit(ANNE, (of(DAY, 1.0),), 0.0)).lease
            await store.settle(lease, (of(DAY, float("inf")),), None, 0.0)
            answer = await store.admit(ANNE, (of(DAY, 1.0), of(OPEN, 1.0)), 0.0)
            assert (answer.granted, answer.refused_by) == (False, "day")
            assert (await store.admit(ANNE, (of(OPEN, 1.0),), 0.0)).granted

    runner.run(run())


# -- what is sent twice, never arrives, or arrives late


def test_one_round_trip_before_one_after(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with (
            Proxy(valkey.port) as proxy,
            opened(f"redis://127.0.0.1:{proxy.port}?prefix=trips") as store,
        ):
            await left(store)
            before = proxy.trips
            lease = (await store.admit(ANNE, (of(DAY, 10.0), of(OPEN, 1.0)), 0.0)).lease
            assert proxy.trips - before == 1
            await store.settle(lease, (of(DAY, 1.0),), None, 0.0)
            assert proxy.trips - before == 2

    runner.run(run())


def test_calls_of_one_tick_travel_together(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with (
            Proxy(valkey.port) as proxy,
            opened(f"redis://127.0.0.1:{proxy.port}?prefix=tick") as store,
        ):
            leases = [(await store.admit(ANNE, (of(DAY, 1.0),), 0.0)).lease for _ in range(50)]
            before = proxy.trips
            await asyncio.gather(*[store.extend(lease, (of(DAY, 2.0),), 0.0) for lease in leases])
            assert proxy.trips - before == 1
            assert await left(store) == 850

    runner.run(run())


def test_who_stops_waiting_leaves_no_reservation(valkey: Server, runner: asyncio.Runner) -> None:
    """The client went away while the store was asked; catches a lease that stays until it expires."""

    async def run() -> None:
        url = valkey.url
        async with (
            Proxy(valkey.port) as proxy,
            opened(url) as looking,
            opened(url.replace(str(valkey.port), str(proxy.port))) as store,
        ):
            await left(store)
            proxy.delay_s = 0.5
            asking = asyncio.ensure_future(store.admit(ANNE, (of(DAY, 400.0),), 0.0))
            async with asyncio.timeout(30):
                while await left(looking) != 600:  # noqa: ASYNC110  a server does not ring
                    await asyncio.sleep(0.02)
                assert not asking.done()
                asking.cancel()
                await asyncio.wait([asking])
                while await left(looking) != 1000:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    runner.run(run())


def test_a_reservation_whose_answer_was_lost_is_undone(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        url = valkey.url
        async with (
            Proxy(valkey.port) as proxy,
            opened(url) as looking,
            opened(url.replace(str(valkey.port), str(proxy.port)), deadline_s=0.2) as store,
        ):
            await left(store)
            proxy.answered = 0
            with pytest.raises(StateError, match="ConnectionError"):
                await store.admit(ANNE, (of(DAY, 400.0),), 0.0)
            assert await left(looking) == 600
            proxy.answered = None
            await left(store)
            await asyncio.sleep(0.1)
            assert await left(looking) == 1000

    runner.run(run())


def test_a_store_that_is_closed_takes_back_what_it_may_have_reserved(
    valkey: Server, runner: asyncio.Runner
) -> None:
    async def run() -> None:
        url = valkey.url
        async with Proxy(valkey.port) as proxy, opened(url) as looking:
            async with opened(url.replace(str(valkey.port), str(proxy.port)), deadline_s=0.3) as store:
                await left(store)
                proxy.answered = 0
                with pytest.raises(StateError):
                    await store.admit(ANNE, (of(DAY, 400.0),), 0.0)
                proxy.answered = None
            assert await left(looking) == 1000

    runner.run(run())


def test_a_busy_loop_is_not_taken_for_a_store_that_is_away(valkey: Server, runner: asyncio.Runner) -> None:
    """Catches a deadline by the clock alone: the answer lay in the socket while the process did other things."""

    async def run() -> None:
        async with opened(valkey.url, deadline_s=0.1) as store:
            await admitted_at_last(store)
            asking = asyncio.ensure_future(store.admit(ANNE, (of(DAY, 1.0),), 0.0))
            for _ in range(3):
                await asyncio.sleep(0)
                time.sleep(0.11)  # noqa: ASYNC251  what a worker does that is busy
            assert (await asking).granted

    runner.run(run())


def test_a_call_that_comes_after_it_was_undone_reserves_nothing(
    valkey: Server, runner: asyncio.Runner
) -> None:
    """A stopped server runs what lies in its sockets when it goes on, in any order."""

    async def run() -> None:
        async with opened(valkey.url) as store:
            answer = await store.admit(ANNE, (of(DAY, 400.0),), 0.0)
            token = answer.lease.token
            claim = {(ANNE.scope, DAY.key): (DAY, 400.0)}
            await store._call("undo", token, {}, 0.0)
            late = await store._call("admit", token, claim, 0.0, proven=True)
            assert not late.granted
            assert await left(store) == 1000
            refused = await store.extend(answer.lease, (of(DAY, 1.0),), 0.0)
            assert (refused.granted, refused.refused_by) == (False, None)
            await store.settle(answer.lease, (of(DAY, 9.0),), None, 0.0)
            assert await left(store) == 1000

    runner.run(run())


def test_what_is_sent_twice_counts_once(valkey: Server, runner: asyncio.Runner) -> None:
    """As a client library does that repeats a call whose answer it lost."""

    async def run() -> None:
        async with opened(valkey.url) as store:
            answer = await store.admit(ANNE, (of(DAY, 100.0),), 0.0)
            claim = {(ANNE.scope, DAY.key): (DAY, 100.0)}
            again = await store._call("admit", answer.lease.token, claim, 0.0, proven=True)
            assert (again.granted, await left(store)) == (True, 900)
            longer = await store.extend(answer.lease, (of(DAY, 50.0),), 0.0)
            await store.extend(answer.lease, (of(DAY, 50.0),), 0.0)
            assert await left(store) == 850
            for _ in range(2):
                await store.settle(longer.lease, (of(DAY, 120.0),), None, 0.0)
            assert await left(store) == 880

    runner.run(run())


def test_what_is_sent_twice_counts_once_also_where_another_lease_runs_out(
    valkey: Server, runner: asyncio.Runner
) -> None:
    """Catches a repeated call that is written down together with what was due."""

    async def run() -> None:
        async with opened(valkey.url, lease_s=1.0) as store:
            await store.admit(ANNE, (of(DAY, 100.0),), 0.0)
            await asyncio.sleep(0.6)
            answer = await store.admit(ANNE, (of(DAY, 50.0),), 0.0)
            await asyncio.sleep(0.5)
            claim = {(ANNE.scope, DAY.key): (DAY, 50.0)}
            await store._call("admit", answer.lease.token, claim, 0.0, proven=True)
            assert await left(store) == 850

    runner.run(run())


def test_a_slow_answer_is_not_taken_for_that_of_the_next_call(valkey: Server, runner: asyncio.Runner) -> None:
    """Catches a connection that is used again although an answer is still on its way."""

    async def run() -> None:
        async with (
            Proxy(valkey.port) as proxy,
            opened(f"redis://127.0.0.1:{proxy.port}?prefix=slow", deadline_s=0.15) as store,
        ):
            await admitted_at_last(store)
            proxy.delay_s = 5.0
            accounts = [Account(f"a{n}") for n in range(3)]
            slow = [store.admit(account, (of(DAY, 500.0, account),), 0.0) for account in accounts]
            answers = await asyncio.gather(*slow, return_exceptions=True)
            assert {str(answer) for answer in answers} == {"redis: no answer within 150 ms"}
            proxy.delay_s = 0.0
            await admitted_at_last(store)
            for n in range(20):
                account = Account(f"b{n}")
                answer = await admitted_at_last(store, account, of(DAY, float(n), account))
                assert round(answer.limits[0].remaining) in {
                    1000 - n,
                    1000 - 2 * n,
                }  # one that failed may hold

    runner.run(run())


@pytest.mark.parametrize("fault", [{"deaf": True}, {"closed": True}, {"answered": 3}], ids=str)
def test_a_dead_end_costs_one_deadline(fault: dict[str, Any], valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with (
            Proxy(valkey.port) as proxy,
            opened(f"redis://127.0.0.1:{proxy.port}?prefix=dead", deadline_s=0.2) as store,
        ):
            await left(store)
            for name, value in fault.items():
                setattr(proxy, name, value)
            began = asyncio.get_running_loop().time()
            calls = [store.admit(ANNE, (of(DAY, 1.0),), 0.0) for _ in range(300)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            if not fault.get("closed"):  # a connection that stands is still good
                assert all(isinstance(answer, StateError) for answer in answers)
            assert asyncio.get_running_loop().time() - began < PATIENT_S / 4

    runner.run(run())


# -- the server forgets, or does not want


def test_a_script_that_is_flushed_is_sent_again(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with opened(valkey.url) as store:
            lease = (await store.admit(ANNE, (of(DAY, 100.0),), 0.0)).lease
            with valkey.client() as client:
                client.script_flush()
            await asyncio.gather(*[store.extend(lease, (), 0.0) for _ in range(5)])
            with valkey.client() as client:
                client.script_flush()
            await store.settle(lease, (of(DAY, 7.0),), None, 0.0)
            assert await left(store) == 993

    runner.run(run())


def test_after_a_flush_everybody_begins_anew(valkey: Server, runner: asyncio.Runner) -> None:
    """What the server forgot is lost, and nothing else: no lease of before is charged or given back."""

    async def run() -> None:
        url = valkey.url
        async with opened(url) as store:
            lease = (await store.admit(ANNE, (of(DAY, 100.0),), 0.0)).lease
            with prefixed(valkey, url) as client:
                client.delete(*client.own())
            assert not (await store.extend(lease, (of(DAY, 1.0),), 0.0)).granted
            await store.settle(lease, (of(DAY, 7.0),), None, 0.0)
            assert await left(store) == 1000

    runner.run(run())


def test_leases_that_were_evicted_hold_nothing_for_ever(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        url = valkey.url
        async with opened(url, lease_s=0.3) as store:
            await store.admit(ANNE, (of(DAY, 100.0), of(OPEN, 2.0)), 0.0)
            with prefixed(valkey, url) as client:
                client.delete(*[key for key in client.own() if key.endswith(b"leases")])
            assert (await store.admit(ANNE, (of(OPEN, 0.0),), 0.0)).limits[0].remaining == 0
            await asyncio.sleep(0.4)
            assert await left(store, OPEN) == 2

    runner.run(run())


def test_state_of_a_later_release_is_left_alone(valkey: Server, runner: asyncio.Runner) -> None:
    async def run() -> None:
        url = valkey.url
        async with opened(url) as store:
            await store.admit(ANNE, (of(DAY, 100.0),), 0.0)
            with prefixed(valkey, url) as client:
                state = next(key for key in client.own() if not key.endswith(b"leases"))
                later = b"\x05" + client.get(state)[1:]
                client.set(state, later)
                with pytest.raises(StateError, match="later release"):
                    await store.admit(ANNE, (of(DAY, 1.0),), 0.0)
                assert client.get(state) == later

    runner.run(run())


# -- addresses


@pytest.mark.parametrize("name", ["anne}", "{", "}{x", "anne", "a:b\nleases", "ünïcode", "x" * 256])
def test_any_name_of_an_account_has_keys_of_its_own(
    name: str, valkey: Server, runner: asyncio.Runner
) -> None:
    account = Account(name, org="}{")

    async def run() -> None:
        async with opened(valkey.url) as store:
            await store.admit(account, (of(DAY, 10.0, account), of(TEAM, 10.0, account)), 0.0)
            assert await left(store, DAY, account) == 990
            assert await left(store, DAY, ANNE) == 1000

    runner.run(run())


def test_without_the_client_library_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from hardening.state import open_store\n"
        "try: open_store('redis://:secret@cache')\n"
        "except Exception as fault: print(type(fault).__name__, fault)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "StateError state: redis:// needs the package redis: pip install 'hardening[redis]'"
    )


def test_the_client_library_is_only_imported_where_it_is_used() -> None:
    code = "import sys, hardening, hardening.state; hardening.state.open_store('memory://'); print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_store_serves_one_event_loop_after_the_other(valkey: Server) -> None:
    """Catches a connection of a loop that is over; nothing is opened before the first call."""
    store = open_store(valkey.url)
    store._store._link._deadline_s = PATIENT_S

    async def run() -> float:
        try:
            return await left(store)
        finally:
            await store.close()

    assert [asyncio.run(run()), asyncio.run(run())] == [1000, 1000]
