"""Kernels and twins read prompts alike: kinds of tokens, features, skeletons, phrases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain
from hardening.kernels.phrases import compiled as automaton
from hardening.kernels.prompts import (
    BLANK,
    BUCKETS,
    EDGE_TOKENS,
    EMPTY,
    LINE,
    MOST_FEATURES,
    NAME,
    NUMBER,
    OTHER,
    QUOTE,
    SIGN,
    WORD,
)

TOKENS = [
    b"sell",
    b" lamps",
    b" Anna",
    b"12",
    b'"',
    b"`x",
    b" ",
    b"\n\n",
    b" \r\n",
    b"?",
    b"\xd0\xb6",
    b"",
    b' "a"',
    b"\t9",
    b"B",
]
KINDS = plain.read_kinds(TOKENS)
RATES = (np.arange(BUCKETS) % 256).astype(np.uint8)
PHRASES = automaton([["step by step", "each step"], ["by step*", "思维"], ["aa", "step"]])
ids = st.lists(st.integers(0, len(TOKENS) - 1), max_size=4 * EDGE_TOKENS).map(
    lambda found: np.array(found, np.int32)
)
texts = st.lists(
    st.sampled_from(["step", "by", " ", "-", "\n", "each", "思维", "a", "steps", "x", "\udc80"]), max_size=30
)


def test_kinds_of_tokens():
    found = [
        WORD,
        WORD,
        NAME,
        NUMBER,
        QUOTE,
        QUOTE,
        BLANK,
        LINE,
        LINE,
        SIGN,
        OTHER,
        BLANK,
        SIGN,
        NUMBER,
        NAME,
    ]
    assert KINDS.tolist() == found


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=20))
def test_kernel_and_twin_agree_on_kinds(tokens):
    assert (compiled.read_kinds(tokens) == plain.read_kinds(tokens)).all()


@settings(deadline=None)
@given(ids, st.integers(0, 0xFFFFFFFF))
def test_kernel_and_twin_agree_on_prompts(found, key):
    one, other = (twins.read_prompt(found, KINDS, RATES, key) for twins in (compiled, plain))
    assert one.features.tolist() == other.features.tolist()
    assert one.minima.tolist() == other.minima.tolist()


@settings(deadline=None)
@given(texts, st.integers(1, 40), st.binary(max_size=3))
def test_kernel_and_twin_agree_on_phrases_that_stand_close_together(found, stride, cut):
    text = cut + "".join(found).encode("utf-8", "surrogatepass")
    assert compiled.find_nearby(text, PHRASES, stride) == plain.find_nearby(text, PHRASES, stride)
    assert compiled.find_nearby(text, PHRASES, 100) == [
        counts for counts in [plain.find_phrases(text, PHRASES)] if any(counts)
    ]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("step by step", [1, 1, 2]),
        ("STEP".lower() + "--by,\n step", [1, 1, 2]),
        ("stepby step", [0, 0, 1]),
        ("by steps", [0, 1, 0]),
        ("by  steps", [0, 1, 0]),
        ("用思维链", [0, 1, 0]),
        ("baab aa", [0, 0, 1]),
        ("", [0, 0, 0]),
    ],
)
def test_phrases_are_whole_words_however_they_are_parted(text, counts):
    assert plain.find_phrases(text.encode(), PHRASES) == counts


@pytest.mark.parametrize("twins", [plain, compiled])
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", []),
        ("nothing of it", []),
        ("step" + " " * 4 + "aa", [[0, 0, 2]]),
        ("step" + " " * 8 + "aa", [[0, 0, 1], [0, 0, 1]]),
        ("step" + " " * 20 + "aa", [[0, 0, 1], [0, 0, 1]]),
        ("维" * 9 + "思维链", [[0, 1, 0]]),
    ],
)
def test_phrases_count_together_only_where_they_stand_close(twins, text, rows):
    assert twins.find_nearby(text.encode(), PHRASES, 5) == rows


def test_the_skeleton_masks_numbers_names_and_quotations_and_the_key_moves_it():
    def minima(*words: int, key: int = 5) -> list[int]:
        return plain.read_prompt(np.array(words, np.int32), KINDS, RATES, key).minima.tolist()

    assert minima(0, 1, 3, 9) == minima(0, 1, 2, 9) != minima(0, 1, 1, 9)
    assert minima(0, 4, 1, 4, 9) == minima(0, 4, 0, 1, 4, 9)
    assert minima(0, 1, 3, 9) != minima(0, 1, 3, 9, key=6)
    assert minima() == [EMPTY] * 16


def test_a_long_prompt_has_no_more_features_than_there_is_room_for():
    many = (np.arange(20_000) % 13_000).astype(np.int32)
    kinds = np.full(13_000, WORD, np.uint8)
    one, other = (twins.read_prompt(many, kinds, RATES, 1) for twins in (compiled, plain))
    assert one.features.tolist() == other.features.tolist()
    assert EDGE_TOKENS < one.features.size <= MOST_FEATURES
    middle = many.copy()
    middle[100:19_000] = 7
    same = set(plain.read_prompt(middle, kinds, RATES, 1).features.tolist()) ^ set(other.features.tolist())
    assert len(same) <= 2  # the shape alone
