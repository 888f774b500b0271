"""Copies of a trace are told in texts of any length, wherever in them they stand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.transform import copies
from hardening.transform.copies import Copies

TRACE = " ".join(f"so {n * n * 7877 % 99989} apples are left of {n}" for n in range(400))
FILL = "".join(random.Random(3).choices("ghijklmnopqrstuvwxyz", k=200_000))


def knowing(*pieces: str) -> Copies:
    found = Copies()
    for piece in pieces:
        found.add(piece)
    return found


@pytest.mark.parametrize("at", [0, 1, 2_000, (1 << 16) - 19, (1 << 16) - 8, 1 << 16, 150_000, 200_000])
@pytest.mark.parametrize("start", [0, 7, 33, len(TRACE) - 20])
def test_twenty_characters_are_told_anywhere_in_a_long_text_and_nineteen_are_not(at: int, start: int) -> None:
    known = knowing(TRACE)
    piece = TRACE[start : start + 20]
    assert known.stand_in(FILL[:at] + piece + FILL[at:])
    assert not known.stand_in(FILL[:at] + piece[:10] + "#" + piece[10:] + FILL[at:])
    assert not known.stand_in(FILL[:at] + "#" + piece[1:] + "#" + FILL[at:])


@given(st.lists(st.text("ab", max_size=40), max_size=8), st.data())
def test_a_long_text_is_read_as_a_short_one(pieces: list[str], data: st.DataObject) -> None:
    """Catches hashes that were taken of an earlier trace, or of places between its runs."""
    known, trace, long = Copies(), "".join(pieces), FILL[: copies._LONG_CHARS]
    start = data.draw(st.integers(0, len(trace)))
    text = data.draw(st.text("ab", max_size=20)) + trace[start:][: data.draw(st.integers(0, 40))]
    for piece in pieces:
        known.add(piece)
        known.stand_in(long + text)
    expected = any(text[at : at + 20] in trace for at in range(len(text) - 19))
    assert known.stand_in(long + text + long) == expected
    assert known.stand_in(text) == expected


def test_a_trace_that_came_at_once_is_known_to_its_end() -> None:
    trace = "".join(random.Random(4).choices("abcdef", k=600_000))
    known = knowing(trace)
    assert known.stand_in(FILL + trace[-20:])
    assert not known.stand_in(FILL + "g" + trace[-19:])


def test_what_holds_thousands_of_runs_and_no_piece_counts_as_a_copy() -> None:
    """A bound of time: each run that is found is looked at more closely."""
    known = knowing("0123456789abcdefghij")
    assert not known.stand_in("0123456789##" * 4_000)
    assert known.stand_in("0123456789##" * 5_000)
