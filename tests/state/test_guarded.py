"""A store that fails, in any way: what goes on, what it costs, and that nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hardening.errors import StateError, StoreAway
from hardening.facts import Account, Charge, Limit
from hardening.state import GuardedStore, MemoryStore, guarded
from hardening.state.local import LocalShare

DAY = Limit("day", "tokens", amount=1000.0, per_s=86_400_000.0, burst=1000.0)
MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=60.0)
SLIDING = Limit("hour", "tokens", amount=60.0, per_s=60.0, burst=60.0, window="sliding")
OPEN = Limit("open", "streams", amount=2.0, per_s=1.0, burst=2.0)
ANNE = Account("anne", org="acme")
STRANGER = Account("x", proven=False, network="net_1")


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, account.scope, amount)


class Shared:
    """The memory store as another machine would be: awaited, and at times it does not answer or does not say so."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.away = False
        self.mute = False
        self.asked = 0
        self.lanes: dict[str, str] = {}

    async def _answer(self, act: Callable[[], Any]) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StateError("no answer")
        answer = act()
        if self.mute:
            raise StateError("the answer was lost")
        return answer

    def admit(self, *arguments: Any) -> Any:
        return self._answer(lambda: self.inner.admit(*arguments))

    def extend(self, *arguments: Any) -> Any:
        return self._answer(lambda: self.inner.extend(*arguments))

    def settle(self, *arguments: Any) -> Any:
        return self._answer(lambda: self.inner.settle(*arguments))

    def left(self, account: Account = ANNE, limit: Limit = DAY) -> float:
        answer = self.inner.admit(account, (of(limit, 0.0, account),), 0.0)
        if answer.lease is not None:
            self.inner.settle(answer.lease, (), None, 0.0)
        return round(answer.limits[0].remaining)


def run(act: Coroutine[Any, Any, None]) -> None:
    asyncio.run(act)


def guard(shared: Any, on_change: Callable[[int], None] = lambda away: None, **more: Any) -> GuardedStore:
    """Guarded, on a clock that begins at 0; the tests call it at about that time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return GuardedStore(shared, lambda: loop.time() - began, on_change, **more)


async def heard(store: GuardedStore) -> None:
    """Wait until the store was told all that it missed."""
    for _ in range(400):
        if not (store._late or store.local.owes or store._round):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the store is not told")


async def fail(store: GuardedStore, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(StateError):
            await store.admit(ANNE, (of(DAY, 1.0),), 0.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_PAUSE_S", 0.01)


def test_a_dead_store_is_asked_once_an_interval_and_not_by_every_request() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.away = True
        await fail(store)
        for _ in range(100):
            with pytest.raises(StoreAway):
                store.admit(ANNE, (of(DAY, 1.0),), 0.0)
        assert shared.asked == 3

    run(act())


def test_what_answers_at_once_is_given_back_as_it_is() -> None:
    """Catches a task, or an await, before a store that needs none."""
    inner = MemoryStore()
    store = GuardedStore(inner, lambda: 0.0)
    lease = store.admit(ANNE, (of(DAY, 10.0),), 0.0).lease
    assert store.extend(lease, (of(DAY, 10.0),), 0.0).granted
    assert store.settle(lease, (of(DAY, 5.0),), None, 0.0) is None
    assert inner.open_leases == 0


def test_a_store_that_hangs_is_given_up() -> None:
    class Hanging(Shared):
        async def _answer(self, act: Callable[[], Any]) -> Any:
            await asyncio.sleep(3600)

    async def act() -> None:
        store = guard(Hanging(), deadline_s=0.05)
        with pytest.raises(StateError, match="no answer within"):
            await store.admit(ANNE, (of(DAY, 1.0),), 0.0)

    run(act())


@pytest.mark.parametrize("fault", ["away", "mute"])
def test_a_settlement_that_failed_is_repeated_and_counts_once(fault: str) -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        leases = [(await store.admit(ANNE, (of(DAY, 10.0),), 0.0)).lease for _ in range(50)]
        setattr(shared, fault, True)
        for lease in leases:
            with pytest.raises(StateError):
                answer = store.settle(lease, (of(DAY, 7.0),), None, 0.0)
                await answer
        await asyncio.sleep(0.1)
        setattr(shared, fault, False)
        await heard(store)
        assert shared.left() == 1000 - 50 * 7
        assert shared.inner.open_leases == 0

    run(act())


@pytest.mark.parametrize("account", [ANNE, STRANGER])
def test_what_was_spent_locally_is_charged_once_when_the_store_is_back(account: Account) -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.away = True
        await fail(store)
        for n in range(10):
            charges = (of(DAY, 50.0, account), of(OPEN, 1.0, account))
            lease = store.local.admit(account, charges, 0.0).lease
            store.local.settle(lease, (of(DAY, float(n), account), of(OPEN, 0.0, account)), None, 0.0)
            store.local.settle(lease, (of(DAY, 99.0, account),), None, 0.0)
        shared.away = False
        await heard(store)
        assert shared.left(account) == 1000 - sum(range(10))
        assert shared.inner.open_leases == 0

    run(act())


def test_a_debt_is_charged_also_where_it_exceeds_the_limit() -> None:
    """Two processes spent the same rest: the second is not refused to say so."""

    async def act() -> None:
        shared = Shared()
        stores = [guard(shared), guard(shared)]
        shared.away = True
        for store in stores:
            await fail(store)
            lease = store.local.admit(ANNE, (of(DAY, 900.0),), 0.0).lease
            store.local.settle(lease, (of(DAY, 900.0),), None, 0.0)
        shared.away = False
        for store in stores:
            await heard(store)
        answer = shared.inner.admit(ANNE, (of(DAY, 0.0),), 0.0)
        assert not answer.granted
        assert answer.limits[0].reset_s == pytest.approx(1800 * 86_400, rel=1e-3)

    run(act())


def test_an_answer_that_is_lost_while_the_store_is_told_doubles_nothing() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.away = True
        await fail(store)
        lease = store.local.admit(ANNE, (of(DAY, 50.0),), 0.0).lease
        store.local.settle(lease, (of(DAY, 40.0),), None, 0.0)
        shared.away, shared.mute = False, True
        await asyncio.sleep(2.5)
        assert shared.asked > 4
        shared.mute = False
        await heard(store)
        assert shared.left() == 960

    run(act())


def test_one_servers_outage_is_not_that_of_another() -> None:
    class Cluster(Shared):
        def lane(self, asked: Any) -> str:
            return "a" if asked == ANNE else "b"

        async def _answer(self, act: Callable[[], Any]) -> Any:
            return act()

        def admit(self, account: Account, *arguments: Any) -> Any:
            if account == ANNE and self.away:
                raise StateError("no answer")
            return self._answer(lambda: self.inner.admit(account, *arguments))

    async def act() -> None:
        changes: list[int] = []
        shared = Cluster()
        store = guard(shared, changes.append)
        shared.away = True
        for _ in range(3):
            with pytest.raises(StateError):
                store.admit(ANNE, (), 0.0)
            await store.admit(STRANGER, (), 0.0)
        with pytest.raises(StoreAway):
            store.admit(ANNE, (), 0.0)
        assert (await store.admit(STRANGER, (), 0.0)).granted
        assert changes == [1]

    run(act())


# -- the share of one process


def test_it_begins_where_the_store_was_last_seen() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.inner.admit(Account("other", org="acme"), (of(DAY, 700.0),), 0.0)
        seen = await store.admit(ANNE, (of(DAY, 100.0),), 0.0)
        assert round(seen.limits[0].remaining) == 200
        local = store.local.admit(ANNE, (of(DAY, 150.0),), 0.0)
        assert local.granted
        assert round(local.limits[0].remaining) == 50
        assert not store.local.admit(ANNE, (of(DAY, 100.0),), 0.0).granted
        assert store.local.admit(Account("bob"), (of(DAY, 1000.0, Account("bob")),), 0.0).granted

    run(act())


@pytest.mark.parametrize(("limit", "left"), [(MINUTE, 40.0), (SLIDING, 10.0)])
def test_what_came_back_meanwhile_is_there(limit: Limit, left: float) -> None:
    """Evenly by the second; of a sliding window nothing before it is whole, which is the stricter guess."""
    store = MemoryStore()
    share = LocalShare()
    lease = store.admit(ANNE, (of(limit, 50.0),), 120.0).lease
    store.settle(lease, (of(limit, 50.0),), None, 120.0)
    answer = store.admit(ANNE, (of(limit, 0.0),), 120.0)
    share.saw(ANNE, (of(limit, 0.0),), answer, 120.0)
    assert share.admit(ANNE, (of(limit, 0.0),), 150.0).limits[0].remaining == pytest.approx(left)
    share.saw(ANNE, (of(limit, 0.0),), answer, 120.0)
    assert share.admit(ANNE, (of(limit, 0.0),), 260.0).limits[0].remaining == pytest.approx(60.0)


def test_an_account_keeps_its_standing() -> None:
    """Catches an outage that makes every caller a newcomer."""
    store = MemoryStore()
    share = LocalShare()
    for _ in range(8):
        share.saw(ANNE, (), store.admit(ANNE, (), 0.0), 0.0)
    assert share.admit(ANNE, (), 0.0).standing.requests == 7
    assert share.admit(Account("new"), (), 0.0).standing.requests == 0


def test_an_account_pays_the_price_of_the_band_that_it_was_last_seen_in() -> None:
    """Catches an outage in which those who are flagged ask at the price of everybody."""

    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.inner.flag(ANNE.id, "harden", 0.9, 1000.0, 0.0)
        dear = of(DAY, 10.0)._replace(by_band={"harden": 25.0})
        lease = (await store.admit(ANNE, (dear,), 0.0)).lease
        shared.away = True
        await fail(store)
        local = store.local.admit(ANNE, (dear,), 0.0)
        assert round(local.limits[0].remaining) == 500
        assert store.local.extend(local.lease, (dear,), 0.0).granted
        longer = store.local.extend(lease, (dear,), 0.0)
        assert round(longer.limits[0].remaining) == 0
        store.local.settle(local.lease, (dear,), None, 0.0)
        shared.away = False
        await heard(store)
        assert shared.left() == 500

    run(act())


def test_a_stream_of_the_store_goes_on_within_the_share() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        lease = (await store.admit(ANNE, (of(DAY, 700.0),), 0.0)).lease
        shared.away = True
        longer = store.local.extend(lease, (of(DAY, 200.0),), 0.0)
        assert (longer.granted, longer.lease) == (True, lease)
        assert not store.local.extend(lease, (of(DAY, 200.0),), 0.0).granted
        assert store.local.extend(lease, (of(DAY, 50.0),), 0.0).granted
        with pytest.raises(StateError):
            await store.settle(lease, (of(DAY, 900.0),), None, 0.0)
        assert not store.local._lent
        assert not store.local.admit(ANNE, (of(DAY, 100.0),), 0.0).granted
        shared.away = False
        await heard(store)
        assert shared.left() == 100

    run(act())


def test_a_local_stream_that_outlives_the_outage_is_charged_at_its_end() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.away = True
        await fail(store)
        lease = store.local.admit(ANNE, (of(DAY, 10.0),), 0.0).lease
        quick = store.local.admit(ANNE, (of(DAY, 10.0),), 0.0).lease
        store.local.settle(quick, (of(DAY, 10.0),), None, 0.0)
        shared.away = False
        await heard(store)
        longer = store.local.extend(lease, (of(DAY, 20.0),), 0.0)
        assert longer.granted
        store.local.settle(longer.lease, (of(DAY, 25.0),), None, 0.0)
        await heard(store)
        assert shared.left() == 1000 - 10 - 25

    run(act())


def test_the_next_outage_begins_with_what_the_store_then_says() -> None:
    """Catches what was counted here being counted twice: it is in what the store says, once it was told."""

    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        for _ in range(2):
            shared.away = True
            await fail(store)
            lease = store.local.admit(ANNE, (of(DAY, 300.0),), 0.0).lease
            store.local.settle(lease, (of(DAY, 300.0),), None, 0.0)
            shared.away = False
            await heard(store)
            await asyncio.sleep(0.05)
            answer = await store.admit(ANNE, (of(DAY, 0.0),), 0.0)
            await store.settle(answer.lease, (), None, 0.0)
        assert round(answer.limits[0].remaining) == 400
        assert round(store.local.admit(ANNE, (of(DAY, 0.0),), 0.0).limits[0].remaining) == 400

    run(act())


def test_a_store_that_comes_and_goes_gives_each_process_one_limit_and_no_more() -> None:
    """Catches an outage that forgets what was granted in the one before, to an account that did not ask between."""

    async def act() -> None:
        shared = Shared()
        stores = [guard(shared), guard(shared)]
        granted = 0.0
        for _ in range(5):
            shared.away = True
            for store in stores:
                await fail(store)
                for _ in range(5):
                    lease = store.local.admit(ANNE, (of(DAY, 300.0),), 0.0).lease
                    if lease is not None:
                        store.local.settle(lease, (of(DAY, 300.0),), None, 0.0)
                        granted += 300.0
            shared.away = False
            for store in stores:
                await heard(store)
        assert granted == 1800.0  # 3 of 300 of the 1000 of each, once
        answer = shared.inner.admit(ANNE, (of(DAY, 0.0),), 0.0)
        assert answer.limits[0].reset_s == pytest.approx(1800 * 86_400, rel=1e-3)

    run(act())


@pytest.mark.parametrize(
    ("later_s", "lost", "is_reset", "left"),
    [(61.0, 0, True, 1000), (61.0, 0, False, 400), (59.0, 0, True, 400), (61.0, 1, True, 400)],
    ids=["reset", "not reset", "just told", "something was lost"],
)
def test_what_an_operator_gave_back_is_there_in_the_next_outage(
    later_s: float, lost: int, is_reset: bool, left: int
) -> None:
    """Catches a process that knows better than the store what was spent, and one that believes it too early."""

    async def act() -> None:
        shared, later = Shared(), 0.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        store = GuardedStore(shared, lambda: loop.time() - began + later)
        shared.away = True
        await fail(store)
        lease = store.local.admit(ANNE, (of(DAY, 600.0),), store._now()).lease
        store.local.settle(lease, (of(DAY, 600.0),), None, store._now())
        shared.away = False
        await heard(store)
        store.local.lost = lost
        if is_reset:
            shared.inner.reset("anne", 0.0)
        later = later_s
        assert (await store.admit(ANNE, (of(DAY, 0.0),), store._now())).granted
        again = store.local.admit(ANNE, (of(DAY, 0.0),), store._now())
        assert round(again.limits[0].remaining) == left

    run(act())


def test_what_is_still_to_be_told_is_not_taken_for_given_back() -> None:
    """Catches a share that forgets what the store has not heard yet."""

    async def act() -> None:
        shared, now = Shared(), 0.0
        store = GuardedStore(shared, lambda: now)
        lease = store.local.admit(ANNE, (of(DAY, 600.0),), now).lease
        store.local.settle(lease, (of(DAY, 600.0),), None, now)
        now = 100.0
        assert (await store.admit(ANNE, (of(DAY, 0.0),), now)).granted
        assert round(store.local.admit(ANNE, (of(DAY, 0.0),), now).limits[0].remaining) == 400

    run(act())


def test_what_others_gave_back_to_the_store_is_there_in_the_next_outage() -> None:
    """Catches a share that keeps for spent what was only reserved when the store was last seen."""

    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        other = shared.inner.admit(Account("other", org="acme"), (of(DAY, 900.0),), 0.0).lease
        assert (await store.admit(ANNE, (of(DAY, 0.0),), 0.0)).granted
        shared.away = True
        await fail(store)
        assert not store.local.admit(ANNE, (of(DAY, 200.0),), 0.0).granted
        shared.away = False
        shared.inner.settle(other, (of(DAY, 10.0),), None, 0.0)
        await asyncio.sleep(0.6)
        assert (await store.admit(ANNE, (of(DAY, 0.0),), store._now())).granted
        assert store.local.admit(ANNE, (of(DAY, 900.0),), store._now()).granted

    run(act())


def test_memory_is_bounded_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardening.state.local._SEEN", 10)
    monkeypatch.setattr("hardening.state.local._OWED", 10)
    monkeypatch.setattr(guarded, "_LATE", 10)

    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        leases = [(await store.admit(ANNE, (of(DAY, 1.0),), 0.0)).lease for _ in range(15)]
        shared.away = True
        for lease in leases:
            with pytest.raises(StateError):
                await store.settle(lease, (), None, 0.0)
        assert (len(store._late), store.lost) == (10, 5)
        for n in range(15):
            account = Account(f"a{n}")
            admission = shared.inner.admit(account, (of(DAY, 5.0, account),), 0.0)
            store.local.saw(account, (of(DAY, 5.0, account),), admission, 0.0)
            lease = store.local.admit(account, (of(DAY, 5.0, account),), 0.0).lease
            store.local.settle(lease, (of(DAY, 5.0, account),), None, 0.0)
        assert (len(store.local._owed), store.local.lost) == (10, 5)
        assert len(store.local._limits) <= 10
        assert len(store.local._standings) <= 10

    run(act())


def test_what_a_blocked_account_owes_is_let_go_and_holds_nobody_up() -> None:
    """Catches a round that asks again for ever, or ends, for one whom the store refuses."""
    bob = Account("bob")

    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        for account in (ANNE, bob):
            lease = store.local.admit(account, (of(DAY, 50.0, account),), 0.0).lease
            store.local.settle(lease, (of(DAY, 40.0, account),), None, 0.0)
        shared.inner.block(ANNE.id, "scraping", 100.0, 0.0)
        await heard(store)
        assert store.local.lost == 1
        assert shared.left(bob) == 960
        shared.inner.unblock(ANNE.id, 0.0)
        assert shared.left() == 1000

    run(act())


def test_who_was_told_blocked_stays_so_without_the_store_until_he_is_told_otherwise() -> None:
    async def act() -> None:
        shared = Shared()
        store = guard(shared)
        shared.inner.block(ANNE.id, "scraping", 1000.0, 0.0)
        assert (await store.admit(ANNE, (), 0.0)).blocked_s is not None
        refused = store.local.admit(ANNE, (of(DAY, 1.0),), 1.0)
        assert (refused.granted, refused.lease) == (False, None)
        assert refused.blocked_s == pytest.approx(999.0, abs=1.0)
        assert store.local.admit(Account("bob"), (), 1.0).granted
        assert store.local.admit(ANNE, (), 1002.0).granted
        shared.inner.unblock(ANNE.id, 0.0)
        await store.admit(ANNE, (), 0.0)
        assert store.local.admit(ANNE, (), 1.0).granted

    run(act())
