"""Keyed noise as what it is meant to be: normal, cut, bounded, and another for each token, question, level."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from hardening.facts import NOISE_SIZES
from hardening.kernels.draws import CUT_AT, Draws, over_one, shares

KEY = bytes(range(32))
MANY = 20_000
NORMAL = NormalDist()


def drawn(size: float = 1.0, key: bytes = KEY, tokens: int = MANY) -> np.ndarray:
    draws = Draws(key, size)
    return np.array([draws.nats(draws.digest(b"%d" % token)) for token in range(tokens)])


def first_level(key: bytes = KEY) -> np.ndarray:
    return drawn(NOISE_SIZES[0], key) / NOISE_SIZES[0]


def farthest(sample: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance to the cut normal distribution."""
    low = NORMAL.cdf(-CUT_AT)
    theory = np.array([(NORMAL.cdf(value) - low) / (1 - 2 * low) for value in np.sort(sample)])
    steps = np.arange(len(sample) + 1) / len(sample)
    return float(max(np.max(steps[1:] - theory), np.max(theory - steps[:-1])))


def test_a_level_is_normal_and_cut():
    sample = first_level()
    assert farthest(sample) < 1.95 / math.sqrt(MANY)  # one in a thousand of true samples is farther off
    assert np.abs(sample).max() <= CUT_AT


@pytest.mark.parametrize("size", NOISE_SIZES)
def test_the_levels_add_up_to_the_size(size):
    assert math.sqrt(sum(shares(size) ** 2)) == pytest.approx(size)
    assert np.std(drawn(size, tokens=4000)) == pytest.approx(size, rel=0.05)


def test_what_is_drawn_for_tokens_keys_chains_and_levels_has_nothing_in_common():
    ahead = Draws(KEY, 1.0)
    ahead.follow(ahead.digest(b"so"))
    after = np.array([ahead.nats(ahead.digest(b"%d" % token)) for token in range(MANY)])
    lower, upper = drawn(0.5), drawn(1.0)
    samples = [upper, drawn(1.0, bytes(32)), after, np.roll(upper, 1)]
    pairs = [*itertools.combinations(samples, 2), (lower, upper - lower)]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(MANY)


def test_a_lower_level_is_part_of_a_higher_one_so_their_difference_gives_no_value_back():
    """Catches one draw scaled by two sizes: then 2a - b of sizes 1 and 2 is no noise at all."""
    a, b = drawn(1.0), drawn(2.0)
    assert np.std(2 * a - b) > 1.0
    assert np.std(b - a) == pytest.approx(math.sqrt(3), rel=0.05)


def test_a_size_that_is_no_level_is_refused():
    with pytest.raises(ValueError, match="allowed are 0"):
        Draws(KEY, 0.3)


def test_the_same_tokens_before_give_the_same_draws():
    one, other = Draws(KEY, 1.0), Draws(KEY, 1.0)
    for token in (b"a", b"b"):
        one.follow(one.digest(token))
        other.follow(other.digest(token))
    assert one.digest(b"c") == other.digest(b"c")
    assert one.digest(b"c") != Draws(KEY, 1.0).digest(b"c")


def test_mass_above_one_goes_by_whole_steps():
    assert over_one([-1, -2], 1.0) == 0
    assert over_one([0], 0.25) == 0
    assert over_one([0, 0], 0.25) == math.ceil(math.log(2) / 0.25)
