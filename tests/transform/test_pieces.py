"""A set of hashes says of each whether it was added, in any steps, and fails closed when it is full."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hardening.transform.pieces import PieceSet

# Of few places and few marks, so that many share one.
NEAR = st.lists(st.integers(0, 40) | st.integers(0, 40).map(lambda n: n << 54), max_size=60)


def held(most: int, steps: list[list[int]]) -> PieceSet:
    made = PieceSet(most)
    for _ in made.clear():
        pass
    for step in steps:
        made.add(np.array(step, np.uint64))
    return made


@given(st.lists(NEAR, max_size=6), NEAR)
def test_what_was_added_is_held_and_nothing_else(steps: list[list[int]], asked: list[int]) -> None:
    made = held(400, steps)
    known = {one for step in steps for one in step}
    assert made.holds(np.array(asked, np.uint64)).tolist() == [one in known for one in asked]


def test_many_are_told_apart() -> None:
    chance = np.random.default_rng(5)
    own, other = chance.integers(0, 1 << 63, (2, 100_000), dtype=np.uint64)
    made = held(100_000, np.array_split(own, 37))  # type: ignore[arg-type]
    assert made.holds(own).all()
    assert not made.holds(other).any()


def test_places_that_follow_the_last_are_the_first() -> None:
    ends = [
        int(n) * pow(0x9E3779B97F4A7C15, -1, 1 << 64) % (1 << 64)
        for n in range((1 << 64) - 400, (1 << 64) - 1, 2)
    ]
    made = held(1, [ends])
    assert made.holds(np.array(ends, np.uint64)).all()


def test_more_than_was_promised_counts_as_held() -> None:
    made = held(1, [[*range(500)], [*range(500, 1000)]])
    assert made.holds(np.array([7, 5_000_000], np.uint64)).tolist() == [True, True]
