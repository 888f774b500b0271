"""Kernel and twin count shared runs of words alike, however the texts come in pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain
from hardening.kernels.copies import COUNT, FILTER_BYTES, FOUND, MOST_RUNS, RUN, STATE, Bits, State

TRACE = "So the lamps in the shed are fourteen boxes of six, und fünf davon sind kaputt, 所以有七十九个灯"
texts = st.lists(
    st.sampled_from([*TRACE.split(), " ", "'", "ü", "灯", "\x80", "A1", ".", "so the"]) | st.text(max_size=3)
).map(lambda words: " ".join(words).encode("utf-8", "surrogatepass"))


def made() -> tuple[State, Bits]:
    return np.zeros(STATE, np.int64), np.zeros(FILTER_BYTES, np.uint8)


def shared(trace: bytes, answer: bytes, *, twins=plain, size: int = 1 << 20) -> tuple[int, int]:
    """Runs of the trace, and how many of them the answer repeats."""
    learning, bits = made()
    counting, _ = made()
    for text, state, learn in ((trace, learning, True), (answer, counting, False)):
        for at in range(0, len(text), size):
            twins.take_words(text[at : at + size], state, bits, learn=learn)
        twins.take_words(b" ", state, bits, learn=learn)
    return int(learning[FOUND]), int(counting[FOUND])


@settings(deadline=None)  # the first example compiles
@given(texts, texts, st.integers(1, 9))
def test_kernel_and_twin_agree_in_pieces(trace, answer, size):
    whole = shared(trace, answer)
    assert shared(trace, answer, twins=compiled) == whole
    assert shared(trace, answer, twins=compiled, size=size) == whole
    assert shared(trace, answer, size=size) == whole


def test_a_copy_is_found_in_full_and_another_text_is_not():
    trace = TRACE.encode()
    runs, copied = shared(trace, trace)
    assert runs == copied > 15
    assert (
        shared(trace, b"Of the lamps that are in the shed some seventy-nine will still give us light")[1] == 0
    )
    assert shared(trace, trace.upper())[1] > 0


def test_less_than_a_run_is_no_copy():
    words = TRACE.encode().split(b" ")
    assert shared(TRACE.encode(), b" ".join(words[: RUN - 1]))[1] == 0
    assert shared(TRACE.encode(), b" ".join(words[:RUN]))[1] == 1


def test_a_filter_takes_a_bounded_number_of_runs():
    state, bits = made()
    text = " ".join(f"w{number}" for number in range(MOST_RUNS + 500)).encode()
    compiled.take_words(text, state, bits, learn=True)
    assert state[FOUND] <= MOST_RUNS
    assert state[COUNT] == MOST_RUNS + 499
