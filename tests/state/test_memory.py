"""What the store of one process adds: bounded memory, and forgetting that frees nobody."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hardening.errors import StateError
from hardening.facts import Account, Charge, Limit
from hardening.state import MemoryStore, open_store

MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=60.0)
DAY = Limit("day", "requests", amount=1000.0, per_s=86_400.0, burst=1000.0)


def spend(store: MemoryStore, name: str, amount: float, now: float) -> bool:
    answer = store.admit(Account(name), (Charge(MINUTE, f"account:{name}", amount),), now)
    if answer.lease is not None:
        store.settle(answer.lease, (), None, now)
    return answer.granted


def test_a_flood_of_accounts_forgets_no_debt():
    store = MemoryStore(max_accounts=10)
    assert spend(store, "debtor", 60.0, 0.0)
    for number in range(200):
        spend(store, f"new {number}", 0.0, 1.0)
    assert len(store) <= 10
    assert not spend(store, "debtor", 10.0, 1.0)


def test_a_limit_whose_amount_changes_keeps_the_share_that_is_spent_and_one_of_another_time_is_new():
    """Catches a month's debt that is owed to a limit of a minute, and locks its account out for weeks."""
    store = MemoryStore()

    def left(amount: float, per_s: float, spent: float) -> float:
        limit = Limit("calls", "requests", amount, per_s, amount)
        answer = store.admit(Account("a"), (Charge(limit, "account:a", spent),), 0.0)
        assert answer.lease is not None
        store.settle(answer.lease, (), None, 0.0)
        return answer.limits[0].remaining

    assert left(100.0, 2_592_000.0, 50.0) == 50.0
    assert left(200.0, 2_592_000.0, 0.0) == 100.0
    assert left(50.0, 2_592_000.0, 0.0) == 25.0
    assert left(100.0, 60.0, 0.0) == 100.0


def test_an_open_lease_keeps_its_account():
    store = MemoryStore(max_accounts=2)
    lease = store.admit(Account("a"), (Charge(MINUTE, "account:a", 0.0),), 0.0).lease
    assert lease is not None
    for number in range(50):
        spend(store, f"new {number}", 0.0, 1.0)
    store.settle(lease, (Charge(MINUTE, "account:a", 60.0),), None, 1.0)
    assert not spend(store, "a", 1.0, 1.0)


def test_where_all_are_in_debt_newcomers_share_one_pool_until_some_are_not():
    store = MemoryStore(max_accounts=3)
    for name in "abc":
        assert spend(store, name, 60.0, 0.0)
    assert [spend(store, f"new {number}", 20.0, 0.0) for number in range(5)] == [True] * 3 + [False] * 2
    assert len(store) == 3
    assert [spend(store, f"new {number}", 60.0, 60.0) for number in range(3)] == [True] * 3


def test_debtors_who_stand_first_do_not_keep_the_store_full():
    store = MemoryStore(max_accounts=12)
    for number in range(11):
        spend(store, f"debtor {number}", 60.0, 0.0)
    spend(store, "clean", 0.0, 0.0)
    assert spend(store, "first", 60.0, 0.0)  # takes the place of the clean one
    assert spend(store, "second", 60.0, 0.0)  # takes the overflow, which is whole
    assert not spend(store, "third", 60.0, 0.0)


def test_whoever_shares_the_overflow_looks_new_each_time():
    store = MemoryStore(max_accounts=1)
    spend(store, "a", 60.0, 0.0)
    for second in range(5):
        answer = store.admit(Account("late"), (Charge(MINUTE, "account:late", 1.0),), float(second))
        assert (answer.standing.requests, answer.standing.age_s) == (0, 0.0)


def test_the_longest_unused_goes_first():
    store = MemoryStore(max_accounts=2)
    spend(store, "regular", 0.0, 0.0)
    spend(store, "once", 0.0, 1.0)
    spend(store, "regular", 0.0, 2.0)
    spend(store, "new", 0.0, 3.0)
    assert store.admit(Account("regular"), (), 4.0).standing.requests == 2


def test_settled_leases_leave_nothing_behind():
    store = MemoryStore()
    for second in range(100):
        spend(store, "a", 1.0, float(second))
    assert store.open_leases == 0


def test_an_account_takes_no_more_than_two_kib():
    limits = [Limit(name, "tokens", 1e6, 60.0, 1e6) for name in ("second", "minute", "day", "month")]
    store = MemoryStore()
    tracemalloc.start()
    try:
        for number in range(2000):
            name = f"acct_{number:020d}"
            charges = tuple(Charge(limit, f"account:{name}", 7.0) for limit in limits)
            lease = store.admit(Account(name), charges, 1.0).lease
            assert lease is not None
            store.settle(lease, (), None, 1.0)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / 2000 <= 2048


def test_a_store_is_opened_by_its_address():
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("url", ["postgres://anne:secret@db/1", "memory", "memory://x", "", "memory:/"])
def test_an_unknown_address_is_refused_and_not_quoted(url):
    with pytest.raises(StateError, match="allowed are memory://, sqlite") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


class Schedules(RuleBasedStateMachine):
    """Any order of admit, extend, settle and expiry against a ledger that keeps every entry.

    The ledger holds, for each unit, when it was spent; a window of any length may never hold
    more than burst + rate x length, and what the store says is left is what the ledger says.
    """

    leases = Bundle("leases")
    lease_s = 40.0

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(lease_s=self.lease_s)
        self.now = 0.0
        self.open: dict[int, tuple[float, float]] = {}  # token -> held, expires at
        self.spent: list[tuple[float, float]] = []

    def pass_time(self) -> None:
        for token, (held, expires_at) in sorted(self.open.items(), key=lambda lease: lease[1][1]):
            if expires_at <= self.now:
                del self.open[token]
                self.spent.append((expires_at, held))

    def debt(self) -> float:
        level, at = 0.0, 0.0
        for moment, units in self.spent:
            level = max(0.0, level - (moment - at)) + units
            at = moment
        return max(0.0, level - (self.now - at))

    def left(self) -> float:
        return MINUTE.burst - self.debt() - sum(held for held, _ in self.open.values())

    @rule(seconds=st.integers(0, 50))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(target=leases, amount=st.integers(0, 70))
    def admit(self, amount: int):
        self.pass_time()
        expected = amount <= self.left() + 1e-6
        answer = self.store.admit(Account("a"), (Charge(MINUTE, "a", amount),), self.now)
        assert answer.granted == expected
        if answer.lease is None:
            return None
        self.open[answer.lease.token] = (float(amount), self.now + self.lease_s)
        return answer.lease

    @rule(lease=leases, amount=st.integers(0, 40))
    def extend(self, lease, amount: int) -> None:
        if lease is None:
            return
        self.pass_time()
        expected = lease.token in self.open and amount <= self.left() + 1e-6
        assert self.store.extend(lease, (Charge(MINUTE, "a", amount),), self.now).granted == expected
        if expected:
            self.open[lease.token] = (self.open[lease.token][0] + amount, self.now + self.lease_s)

    @rule(lease=leases, share=st.floats(0.0, 1.0))
    def settle(self, lease, share: float) -> None:
        if lease is None:
            return
        self.pass_time()
        held, _ = self.open.pop(lease.token, (0.0, 0.0))
        self.store.settle(lease, (Charge(MINUTE, "a", held * share),), None, self.now)
        self.spent.append((self.now, held * share))

    @rule(lease=consumes(leases))
    def abandon(self, lease) -> None:
        """The stream is gone and nobody settles: time will."""

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.pass_time()
        nothing = (Charge(MINUTE, "a", 0.0),)
        answer = self.store.admit(Account("looker", proven=False), nothing, self.now)
        assert abs(answer.limits[0].remaining - self.left()) < 1e-3
        assert answer.lease is not None
        self.store.settle(answer.lease, nothing, None, self.now)
        assert self.store.open_leases == len(self.open)

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        for start, (begun, _) in enumerate(self.spent):
            total = 0.0
            for moment, units in self.spent[start:]:
                total += units
                assert total <= MINUTE.burst + (moment - begun) + 1e-3


Schedules.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSchedules = Schedules.TestCase
