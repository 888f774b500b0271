"""Noise on vectors: the same for the same vector however it was asked for, of the size that is named, and bounded."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from hardening.kernels.draws import CUT_AT
from hardening.kernels.normals import normals
from hardening.noise_key import NoiseKey
from hardening.transform.vector_noise import FIRST, VectorNoise

KEY = NoiseKey(bytes(32), "default", "")
NOISE = VectorNoise(KEY, 0.5)
SIZE = 512


def vector(seed: int = 1, size: int = SIZE) -> NDArray[np.float64]:
    """A vector of length 1, longer at its beginning, as those are that may be cut."""
    values = np.random.default_rng(seed).standard_normal(size) / np.sqrt(1 + np.arange(size) / 64)
    return values / np.linalg.norm(values)


def added(values: NDArray[np.float64], noise: VectorNoise = NOISE) -> NDArray[np.float64]:
    found = noise(values)
    assert found is not None
    return found


def test_a_vector_that_is_computed_again_gets_the_same_noise() -> None:
    """Catches noise that is averaged away by asking in another batch: its last digits differ."""
    chance = np.random.default_rng(2)
    same = 0
    for seed in range(100):
        values = vector(seed)
        again = values * (1 + 1e-6 * chance.standard_normal(SIZE))
        same += bool(np.allclose(added(again), added(values), rtol=1e-4, atol=0))
    assert same >= 99


@pytest.mark.parametrize("size", [FIRST, 65, 300, 511])
def test_a_vector_that_is_cut_is_the_beginning_of_the_whole_one(size: int) -> None:
    """Catches a new draw for each length, and noise of another share, whose difference gives the clean value."""
    whole = vector()
    length = float(np.linalg.norm(whole[:size]))
    cut = whole[:size] / length
    np.testing.assert_allclose(cut + added(cut), (whole + added(whole))[:size] / length, rtol=1e-9)


def test_fewer_values_than_tell_a_vector_get_none() -> None:
    assert NOISE(vector()[: FIRST - 1]) is None
    assert NOISE(np.empty(0)) is None


@pytest.mark.parametrize("size", [0.05, 0.5, 2.0])
def test_noise_has_its_size_and_is_bounded(size: int) -> None:
    noise = VectorNoise(KEY, size)
    lengths = []
    for seed in range(50):
        values = np.random.default_rng(seed).standard_normal(SIZE)
        values /= np.linalg.norm(values)
        more = added(values, noise)
        lengths.append(np.linalg.norm(more))
        assert np.abs(more).max() <= CUT_AT * size * np.sqrt(np.mean(values[:FIRST] ** 2)) * (1 + 1e-9)
    assert np.mean(lengths) == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize(
    "noise",
    [
        VectorNoise(NoiseKey(bytes([1] * 32), "default", ""), 0.5),
        VectorNoise(NoiseKey(bytes(32), "partner", ""), 0.5),
        VectorNoise(KEY, 0.25),
    ],
)
def test_another_secret_group_or_size_draws_anew(noise: VectorNoise) -> None:
    """Catches two sizes of one draw, which give the clean value together."""
    one, other = added(vector()), added(vector(), noise)
    assert abs(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other)) < 0.2


def test_other_vectors_get_other_noise() -> None:
    near = vector(1) + 0.05 * vector(2)
    for other in (vector(2), near, -vector(1)):
        one, two = added(vector(1)), added(other)
        assert abs(one @ two) / (np.linalg.norm(one) * np.linalg.norm(two)) < 0.2


def test_vectors_that_begin_with_nothing_are_told_by_the_rest() -> None:
    """Catches one noise for all of them, whose differences are clean."""
    one, other = vector(1), vector(2)
    one[:FIRST] = other[:FIRST] = 0.0
    assert np.linalg.norm(added(one)) > 0.2
    assert abs(added(one) @ added(other)) < 0.2 * 0.25


def test_what_is_no_number_has_no_say() -> None:
    values = vector()
    values[[3, 70, 99]] = 0.0
    odd = values.copy()
    odd[[3, 70, 99]] = math.nan, math.inf, -math.inf
    np.testing.assert_array_equal(added(odd), added(values))
    assert not added(np.zeros(SIZE)).any()


def test_draws_are_of_the_normal_distribution() -> None:
    every = normals(np.arange(1 << 16, dtype=np.uint16))
    assert (np.diff(every) > 0).all()
    assert (every.max() > CUT_AT - 0.02, every.max() < CUT_AT) == (True, True)
    np.testing.assert_allclose(every, -every[::-1], atol=1e-12)
    share = (every < 1.0).mean()  # the cut takes .27 % of the mass, evenly
    assert share == pytest.approx((NormalDist().cdf(1.0) - 0.00135) / 0.9973, abs=1e-4)
