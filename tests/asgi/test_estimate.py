"""What is believed of an account's answers before they are written."""

from __future__ import annotations

import random

import pytest

from hardening.asgi.estimate import UsualLength
from hardening.policy import RESERVE_TOKENS


@pytest.mark.parametrize("middle", [40, 400, 4000])
def test_the_usual_length_settles_where_one_answer_of_twenty_is_longer(middle: int) -> None:
    drawn = random.Random(7)
    lengths, longer, seen = UsualLength(), 0, 4000
    for _ in range(500):
        lengths.learn("a", int(drawn.lognormvariate(0, 0.6) * middle))
    for _ in range(seen):
        tokens = int(drawn.lognormvariate(0, 0.6) * middle)
        longer += tokens > lengths.of("a")
        lengths.learn("a", tokens)
    assert longer / seen == pytest.approx(0.05, abs=0.01)


def test_a_few_long_answers_are_enough_to_reserve_more_and_many_short_ones_to_reserve_less() -> None:
    lengths = UsualLength()
    for _ in range(6):
        lengths.learn("a", 8000)
    assert 8000 <= lengths.of("a") <= 12_000
    for _ in range(20):
        lengths.learn("a", 10)
    assert lengths.of("a") > 5000
    for _ in range(1000):
        lengths.learn("a", 1)
    assert lengths.of("a") == 16


def test_an_account_without_answers_has_the_length_of_nobody_and_many_accounts_take_no_more_room() -> None:
    lengths = UsualLength(capacity=3)
    lengths.learn("a", 0)
    assert lengths.of("a") == RESERVE_TOKENS
    for name in ("a", "b", "c", "a", "d"):
        lengths.learn(name, 8000)
    known = {name for name in "abcd" if lengths.of(name) != RESERVE_TOKENS}
    assert known == {"a", "c", "d"}
