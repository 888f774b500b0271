"""Vectors without some of their directions: no average, length or smaller share brings them back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hardening.noise_key import NoiseKey
from hardening.transform.projection import Kept
from hardening.transform.rotation import Rotated
from hardening.transform.vector_noise import VectorNoise

KEY = NoiseKey(bytes(32), "default", "m")
SIZE = 384


def vectors(count: int, size: int = SIZE, seed: int = 1) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    scaled: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def left(values: NDArray[np.float64], kept: Kept | Rotated) -> NDArray[np.float64]:
    added = kept(values)
    assert added is not None
    return values + added


@pytest.mark.parametrize(("share", "sixteenths"), [(0.75, 12), (0.7, 11), (0.5, 8), (0.01, 1), (0.99, 15)])
def test_as_many_directions_leave_as_are_said(share: float, sixteenths: int) -> None:
    rows = np.array([left(row, Kept(share)) for row in vectors(600)])
    assert np.linalg.matrix_rank(rows, tol=1e-9) == sixteenths * SIZE // 16
    np.testing.assert_allclose([left(row, Kept(share)) for row in rows[:5]], rows[:5], atol=1e-12)


def test_every_value_loses_as_much() -> None:
    """Catches a model with few large values, of which all stay."""
    lengths = [np.linalg.norm(left(row, Kept(0.75))) for row in np.eye(SIZE)]
    np.testing.assert_allclose(lengths, math.sqrt(0.75))


def test_a_smaller_share_a_cut_vector_and_other_sizes_of_noise_tell_nothing_of_the_rest() -> None:
    """Catches bands, lengths or accounts that are put together to the whole vector."""
    row = vectors(1)[0]
    whole = left(row, Kept(0.75))
    for share in (0.7, 0.5, 0.1):
        np.testing.assert_allclose(
            left(left(row, Kept(share)), Kept(0.75)), left(row, Kept(share)), atol=1e-12
        )
    for size in (383, 300, 256, 100, 65):
        cut = left(row[:size], Kept(0.75))
        full = size - size % 16
        np.testing.assert_allclose(cut[:full], whole[:full], atol=1e-12)
        assert not cut[full:].any()
    noised = left(row, Kept(0.75, VectorNoise(replace(KEY, model=""), 0.5)))
    np.testing.assert_allclose(left(noised, Kept(0.75)), noised, atol=1e-12)
    assert np.linalg.norm(noised - whole) > 0.3


def test_an_index_that_was_filled_before_compares_as_with_its_image() -> None:
    clean, asked = vectors(50), vectors(5, seed=2)
    images = np.array([left(row, Kept(0.75)) for row in clean])
    queries = np.array([left(row, Kept(0.75)) for row in asked])
    np.testing.assert_allclose(queries @ clean.T, queries @ images.T, atol=1e-12)


def test_a_rotation_comes_last() -> None:
    row, other = vectors(2)
    rotated = [left(one, Rotated(KEY, Kept(0.75))) for one in (row, other)]
    assert rotated[0] @ rotated[1] == pytest.approx(left(row, Kept(0.75)) @ left(other, Kept(0.75)))


def test_what_noise_leaves_empty_stays_empty() -> None:
    assert Kept(0.75, VectorNoise(KEY, 0.5))(np.ones(63)) is None
    assert not left(np.ones(15), Kept(0.75)).any()
