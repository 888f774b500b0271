"""No value that the question does not hold stays in a sentence."""

from __future__ import annotations

import pytest

from hardening.transform.masking import MASK, masked

LONG = "I need to find how the value of {} goes with all of the other things here"


@pytest.mark.parametrize(
    "value",
    [
        "24",
        "1,234.5",
        "$24",
        "3.5",
        "24th",
        "2/3",
        "9B9",
        "x3",
        "½",
        "x²",
        "twenty-four",
        "twenty four",
        "Half",
        "dozen",
        "seven",
        "two hundred",
        "twice",
        "n",
        "X",
        "one",
        "9:30",
    ],
)
def test_values_are_masked_in_digits_and_in_words(value):
    text = masked(LONG.format(value), frozenset())
    assert text.replace("x" + MASK, MASK) == LONG.format(MASK)


@pytest.mark.parametrize(
    "words", ["a", "I", "one of", "each one", "someone", "often", "tenant", "phone", "Andy's"]
)
def test_words_that_are_no_values_stay(words):
    assert masked(LONG.format(words), frozenset()) == LONG.format(words)


def test_values_of_the_question_stay():
    assert masked(LONG.format("$1,234 and 48"), frozenset({"1234", "48"})) == LONG.format("$1,234 and 48")


def test_a_sentence_that_is_mostly_mask_goes():
    assert masked("We find 3 in 12 of 7.", frozenset()) == ""
