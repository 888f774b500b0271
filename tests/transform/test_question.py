"""The values of a question: those near either end of its request, and none of a seal."""

from __future__ import annotations

import json
import random

from hardening.transform.question import Question, near_ends
from hardening.wire.mark import MARK
from hardening.wire.seals import without_seals

_chance = random.Random(2)


def values(*turns: str) -> frozenset[str]:
    """What is known of a request with these turns, which carries seals."""
    question = Question()
    question.take(without_seals(near_ends(json.dumps([{"content": turn} for turn in turns]).encode())))
    return question.values()


def seal(size: int) -> str:
    """What looks like one, full of digits."""
    return MARK + "".join(_chance.choices("0123456789_-", k=size))


def test_values_at_both_ends_are_known_whatever_stands_between() -> None:
    for size in (100, 70_000, 1_000_000):
        assert values("from 17", seal(size), "to 23") == {"17", "23"}


def test_a_seal_that_begins_far_from_the_end_tells_no_values() -> None:
    """Catches one whose mark is cut off: its digits would be values, and too many."""
    for size in range(59_000, 71_000, 1_500):
        assert values("from 17", "a" * 90_000, seal(size), "b " * 2_000, "to 23") == {"17", "23"}


def test_a_request_that_is_not_long_is_looked_at_as_a_whole() -> None:
    body = b'["' + b"a" * 100_000 + b' 5"]'
    assert near_ends(body) is body
