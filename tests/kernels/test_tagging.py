"""Kernel and twin score sentences alike, whatever they are made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain
from hardening.kernels.features import BUCKET_BITS, MOST_WORDS, feature_ids, new_state

WEIGHTS = np.random.default_rng(5).integers(-127, 128, (1 << BUCKET_BITS, 5)).astype(np.int8)
BIAS = np.array([9, -40, 0, 3, 70], np.int32)
sentence = st.lists(
    st.sampled_from(
        ["Wait, ", "I'll ", "so 3.5,1 ", "= ", "?", "==", "…", "für ", "答案", "\t", "\x0b", "A", "'", "7"]
    )
    | st.text(max_size=4),
    max_size=30,
).map(lambda pieces: "".join(pieces).encode("utf-8", "replace"))


@settings(deadline=None)  # the first example compiles
@given(st.lists(sentence, max_size=5), st.lists(sentence, max_size=5))
def test_kernel_and_twin_agree(first, second):
    ours, theirs = new_state(), new_state()
    for sentences in (first, second):
        assert compiled.tag_sentences(sentences, WEIGHTS, BIAS, ours) == plain.tag_sentences(
            sentences, WEIGHTS, BIAS, theirs
        )
        assert ours.tolist() == theirs.tolist()


def test_a_sentence_without_end_costs_no_more_than_a_long_one():
    state = new_state()
    longest = b"word " * MOST_WORDS
    assert feature_ids([longest], new_state()) == feature_ids([longest * 9], state)
    assert compiled.tag_sentences([longest * 9], WEIGHTS, BIAS, new_state()) == plain.tag_sentences(
        [longest], WEIGHTS, BIAS, new_state()
    )


def test_case_makes_no_difference_and_order_does():
    def told(*sentences: bytes) -> list[int]:
        return feature_ids(sentences, new_state())[-1]

    assert told(b"Wait, no.") == told(b"WAIT, NO.")
    assert told(b"Wait, no.") != told(b"No, wait.")
    assert told(b"Why?", b"A plan.") != told(b"A plan.")
