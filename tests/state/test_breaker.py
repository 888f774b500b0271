"""When a store that failed is asked again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.state.breaker import Breaker


def opened(draw: float = 1.0) -> Breaker:
    breaker = Breaker(lambda: draw)
    for _ in range(3):
        breaker.failed(10.0)
    return breaker


def test_one_or_two_failures_are_no_outage() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(1.0)
        breaker.failed(1.0)
        assert breaker.lets_pass(1.0)
        breaker.worked()


def test_an_open_one_lets_one_call_pass_an_interval() -> None:
    breaker = opened()
    assert breaker.is_open
    assert [breaker.lets_pass(now) for now in (10.0, 10.49, 10.5, 10.5, 10.9, 11.1)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_a_probe_that_is_never_answered_does_not_hold_the_next_one_back() -> None:
    """Catches a probe whose caller went away, and a breaker that then waits for its answer for ever."""
    breaker = opened()
    assert breaker.lets_pass(11.0)
    assert not breaker.lets_pass(11.2)
    assert breaker.lets_pass(11.5)


def test_intervals_double_to_a_bound_and_begin_anew_after_an_answer() -> None:
    breaker, now, waits = opened(), 10.0, []
    for _ in range(7):
        now += breaker.wait_s(now)
        breaker.failed(now)
        waits.append(breaker.wait_s(now))
    assert waits == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0])
    breaker.worked()
    assert breaker.lets_pass(now)
    assert breaker.wait_s(now) == 0.0
    for _ in range(3):
        breaker.failed(now)
    assert breaker.wait_s(now) == pytest.approx(0.5)


@given(st.integers(0, 10_000))
def test_workers_do_not_come_back_all_at_once(seed: int) -> None:
    draw = random.Random(seed).random
    waits = {round(opened(draw()).wait_s(10.0), 6) for _ in range(20)}
    assert len(waits) > 10
    assert all(0.25 <= wait <= 0.5 for wait in waits)
