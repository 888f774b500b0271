"""The arithmetic of one bucket, against a discrete simulation that drains in small ticks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.facts import Limit
from hardening.state import buckets
from hardening.state.buckets import UNSPENT, Spent

MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=120.0)
STREAMS = Limit("open", "streams", amount=2.0, per_s=1.0, burst=2.0)

acts = st.lists(
    st.tuples(
        st.integers(0, 40),  # ticks of a quarter second that pass
        st.sampled_from(["reserve", "settle"]),
        st.integers(0, 150),  # units
    ),
    max_size=60,
)


class Simulated:
    """A leaking bucket in quarter units: what was used drains a tick at a time, what is held does not."""

    def __init__(self, burst: int) -> None:
        self.burst = 4 * burst
        self.level = 0
        self.held = 0

    def tick(self) -> None:
        self.level = max(0, self.level - 1)

    def fits(self, units: int) -> bool:
        return self.level + self.held + 4 * units <= self.burst


@given(acts)
def test_reservations_and_settlements_equal_the_simulation(schedule):
    oracle = Simulated(burst=120)
    spent = UNSPENT
    held = now = 0.0
    open_units: list[int] = []
    for ticks, act, units in schedule:
        for _ in range(ticks):
            oracle.tick()
        now += ticks / 4
        if act == "reserve":
            assert buckets.fits(MINUTE, spent, held + units, now) == oracle.fits(units)
            if oracle.fits(units):
                oracle.held += 4 * units
                held += units
                open_units.append(units)
        elif open_units:
            reserved = open_units.pop(0)
            used = min(units, reserved)
            oracle.held -= 4 * reserved
            oracle.level += 4 * used
            held = buckets.release(held, reserved)
            spent = buckets.spend(MINUTE, spent, used, now)
        left = buckets.state_of(MINUTE, spent, held, now).remaining
        assert left == pytest.approx((oracle.burst - oracle.level - oracle.held) / 4, abs=1e-6)


def test_a_full_bucket_gives_its_burst_and_no_more():
    assert buckets.fits(MINUTE, UNSPENT, 120.0, now=5.0)
    assert not buckets.fits(MINUTE, UNSPENT, 120.1, now=5.0)


@given(st.floats(0, 120), st.floats(0, 120), st.floats(0, 120))
def test_waiting_as_told_is_enough_and_not_too_long(used, held, asked):
    spent = buckets.spend(MINUTE, UNSPENT, used, now=0.0)
    wait_s = buckets.retry_after_s(MINUTE, spent, held, asked, now=0.0)
    assert wait_s is not None
    all_spent = buckets.spend(MINUTE, spent, held, now=0.0)
    assert buckets.fits(MINUTE, all_spent, asked, now=wait_s + 1e-6)
    if wait_s > 0.01:
        assert not buckets.fits(MINUTE, all_spent, asked, now=wait_s - 0.01)


def test_no_wait_is_told_where_none_helps():
    assert buckets.retry_after_s(MINUTE, UNSPENT, 0.0, 121.0, now=0.0) is None
    assert buckets.retry_after_s(STREAMS, UNSPENT, 2.0, 1.0, now=0.0) is None


def test_streams_are_held_and_never_spent():
    assert buckets.spend(STREAMS, UNSPENT, 1.0, now=9.0) == UNSPENT
    assert buckets.fits(STREAMS, UNSPENT, 2.0, now=0.0)
    assert not buckets.fits(STREAMS, UNSPENT, 3.0, now=1e9)


def test_reset_is_the_time_until_all_is_back():
    state = buckets.state_of(MINUTE, spent=Spent(10.0), held=20.0, now=4.0)
    assert [state.remaining, state.reset_s] == pytest.approx([94.0, 26.0])


def test_a_debt_beyond_the_burst_shows_as_nothing_left():
    assert buckets.state_of(MINUTE, spent=Spent(500.0), held=0.0, now=0.0).remaining == 0.0


def test_rounding_leaves_nothing_held():
    held = 0.0
    for _ in range(10):
        held += 0.1
    for _ in range(10):
        held = buckets.release(held, 0.1)
    assert held == 0.0


HOURLY = Limit("hour", "tokens", amount=100.0, per_s=10.0, burst=100.0, window="sliding")


def test_a_sliding_window_counts_the_last_one_by_its_overlap():
    spent = buckets.spend(HOURLY, UNSPENT, 80.0, now=12.0)
    assert [buckets.debt(HOURLY, spent, now=now) for now in (12.0, 19.9, 20.0, 25.0, 30.0)] == pytest.approx(
        [80.0, 80.0, 80.0, 40.0, 0.0]
    )
    more = buckets.spend(HOURLY, spent, 10.0, now=25.0)
    assert buckets.debt(HOURLY, more, now=35.0) == pytest.approx(5.0)


def test_a_window_in_which_nothing_is_spent_changes_nothing():
    spent = buckets.spend(HOURLY, UNSPENT, 80.0, now=12.0)
    assert buckets.spend(HOURLY, spent, 0.0, now=25.0) == spent


def test_a_clock_that_goes_back_gives_nothing_of_a_sliding_window_back():
    spent = buckets.spend(HOURLY, buckets.spend(HOURLY, UNSPENT, 30.0, now=12.0), 50.0, now=22.0)
    for now in (0.0, 12.0, 19.0):
        assert buckets.debt(HOURLY, spent, now=now) == pytest.approx(80.0)
        assert buckets.debt(HOURLY, buckets.spend(HOURLY, spent, 5.0, now=now), now=now) == pytest.approx(
            85.0
        )


@given(
    st.floats(0, 1e6), st.lists(st.tuples(st.floats(0, 12), st.floats(0, 60)), max_size=12), st.floats(0, 100)
)
def test_waiting_for_a_sliding_window_is_enough_and_not_too_long(now, uses, asked):
    spent = UNSPENT
    for pause, units in uses:
        now += pause
        spent = buckets.spend(HOURLY, spent, units, now=now)
    wait_s = buckets.retry_after_s(HOURLY, spent, 0.0, asked, now=now)
    assert wait_s is not None
    assert buckets.fits(HOURLY, spent, asked, now=now + wait_s + 1e-6)
    if wait_s > 0.01:
        assert not buckets.fits(HOURLY, spent, asked + 1e-3, now=now + wait_s - 0.01)


def test_what_was_used_beyond_a_sliding_window_comes_back_from_the_next_one_on_and_is_not_forgiven():
    spent = buckets.spend(HOURLY, UNSPENT, 350.0, now=15.0)
    times = (15.0, 20.0, 25.0, 30.0, 45.0, 50.0, 55.0, 60.0)
    owed = [buckets.debt(HOURLY, spent, now=now) for now in times]
    assert owed == pytest.approx([350.0, 350.0, 300.0, 250.0, 100.0, 50.0, 25.0, 0.0])
    assert buckets.retry_after_s(HOURLY, spent, 0.0, 60.0, now=15.0) == pytest.approx(37.0)
    more = buckets.spend(HOURLY, spent, 10.0, now=45.0)
    assert [buckets.debt(HOURLY, more, now=now) for now in (45.0, 50.0, 55.0, 60.0)] == pytest.approx(
        [110.0, 60.0, 30.0, 0.0]
    )


def test_who_passes_a_sliding_window_by_a_little_gets_nothing_back_in_it():
    """Catches a debt that is paid back at once: of a whole limit nothing would come before the window ends."""
    spent = buckets.spend(HOURLY, UNSPENT, 101.0, now=10.0)
    assert not buckets.fits(HOURLY, spent, 1.0, now=19.99)


@given(st.lists(st.floats(0, 9.999), min_size=40, max_size=40), st.floats(1.1, 5.0))
def test_answers_that_pass_a_sliding_window_pass_it_once_and_not_in_each(moments, times):
    spent, used = UNSPENT, 0.0
    for window, moment in enumerate(moments):
        now = 10.0 * window + moment
        if buckets.fits(HOURLY, spent, 1.0, now=now):
            spent, used = buckets.spend(HOURLY, spent, 100.0 * times, now=now), used + 100.0 * times
    # The window under way and the one before it are whole at most; beyond these there is one debt.
    assert used <= 100.0 * (len(moments) + 1 + times)


USES = st.lists(st.tuples(st.floats(0, 12), st.floats(0, 60)), max_size=12)


@pytest.mark.parametrize("limit", [HOURLY, replace(HOURLY, window="even")], ids=lambda limit: limit.window)
@given(st.floats(0, 1e6), USES, st.floats(0, 12), st.floats(0, 200))
def test_what_is_given_back_is_no_debt_any_more_now_or_later(limit, now, uses, pause, units):
    spent = UNSPENT
    for wait, used in uses:
        now += wait
        spent = buckets.spend(limit, spent, used, now=now)
    now += pause
    less = buckets.give_back(limit, spent, units, now=now)
    owed = buckets.debt(limit, spent, now=now)
    assert buckets.debt(limit, less, now=now) == pytest.approx(max(0.0, owed - units), abs=1e-4)
    for later in (0.0, 3.0, 9.0, 21.0):
        assert (
            buckets.debt(limit, less, now=now + later) <= buckets.debt(limit, spent, now=now + later) + 1e-4
        )
