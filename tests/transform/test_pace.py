"""The speed of an answer: what leaves in any stretch of time, and how long pieces rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hardening.transform.pace import AHEAD_S, LONGEST_REST_S, Pace

TOKEN = 4.0
PER_S = 20.0


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 3)), max_size=30))
def test_no_stretch_of_time_holds_more_than_its_pace_and_a_second_more(pieces):
    """Sends each piece when its rest is over, perhaps later; a piece itself is never cut."""
    pace, now, size = Pace(PER_S, bytes_per_token=TOKEN), 5.0, 0
    left: list[tuple[float, int]] = []
    for piece, late_s in pieces:
        size += piece
        left.append((now, piece))
        now += pace.rest_s(size, now) + late_s
    for first, (began, _) in enumerate(left):
        for last in range(first, len(left)):
            total = sum(piece for _, piece in left[first : last + 1]) - left[last][1]
            assert total / TOKEN <= (left[last][0] - began + AHEAD_S) * PER_S + 1e-6


def test_the_first_second_of_an_answer_leaves_at_once_and_the_next_piece_waits():
    pace = Pace(PER_S, bytes_per_token=TOKEN)
    assert pace.rest_s(80, 0.0) == 0.0
    assert pace.rest_s(160, 0.0) == 1.0
    assert pace.rest_s(160, 9.0) == 0.0
    assert pace.rest_s(10**9, 9.0) == LONGEST_REST_S


def test_an_answer_that_comes_whole_is_kept_for_what_is_left_of_its_time():
    pace = Pace(PER_S, bytes_per_token=TOKEN)
    assert pace.whole_rest_s(1600, began=100.0, now=105.0) == 400 / 20 - 5 - AHEAD_S
    assert pace.whole_rest_s(1600, began=100.0, now=150.0) == 0.0
    assert pace.whole_rest_s(10**9, began=100.0, now=150.0) == LONGEST_REST_S
