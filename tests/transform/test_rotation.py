"""Rotated vectors: similarities inside of a group and model stay, noise is that of the clean vector."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hardening.noise_key import NoiseKey
from hardening.transform.rotation import Rotated
from hardening.transform.vector_noise import FIRST, VectorNoise

KEY = NoiseKey(bytes(32), "default", "m")
ROTATED = Rotated(KEY)
SIZE = 384
NOISE = VectorNoise(replace(KEY, model=""), 0.5)


def vectors(count: int, size: int = SIZE, seed: int = 1) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).standard_normal((count, size)) / np.sqrt(1 + np.arange(size) / 64)
    scaled: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def left(values: NDArray[np.float64], rotated: Rotated = ROTATED) -> NDArray[np.float64]:
    added = rotated(values)
    assert added is not None
    return values + added


@pytest.mark.parametrize("size", [64, 256, 300, 384, 1000, 1536, 3072])
def test_cosines_inside_of_a_group_stay(size: int) -> None:
    clean = vectors(20, size)
    given = np.array([left(row) for row in clean])
    np.testing.assert_allclose(given @ given.T, clean @ clean.T, atol=1e-12)
    assert np.abs((given * clean).sum(axis=1)).max() < 6 / math.sqrt(size)


@pytest.mark.parametrize(
    "key",
    [replace(KEY, group="partner"), replace(KEY, model="other"), replace(KEY, secret=bytes([1] * 32))],
)
def test_another_group_model_or_secret_does_not_compare(key: NoiseKey) -> None:
    values = vectors(1)[0]
    assert abs(left(values) @ left(values, Rotated(key))) < 0.25


def test_a_model_in_other_letters_is_the_same_one() -> None:
    """Catches an index that its owner cannot search any more, since a rule matches both names."""
    values = vectors(1)[0]
    np.testing.assert_array_equal(left(values), left(values, Rotated(replace(KEY, model=" M "))))


@pytest.mark.parametrize("size", [FIRST, 128, 300])
def test_noise_is_drawn_before_the_rotation_so_other_lengths_and_names_draw_nothing_anew(size: int) -> None:
    """Catches noise of the rotated vector: each length, and each name of the model, would be a draw."""
    whole = vectors(1)[0]
    cut = whole[:size] / np.linalg.norm(whole[:size])
    for key, values in ((KEY, cut), (replace(KEY, model="alias"), whole)):
        added = NOISE(values)
        assert added is not None
        noised = left(values, Rotated(key, NOISE))
        undone = [left(row, Rotated(key)) for row in (values, values + added)]
        np.testing.assert_allclose(noised, undone[1], atol=1e-12)
        assert np.linalg.norm(noised - undone[0]) == pytest.approx(np.linalg.norm(added))


def test_short_vectors_get_none() -> None:
    assert ROTATED(vectors(1, FIRST - 1)[0]) is None
    assert Rotated(KEY, NOISE)(vectors(1, FIRST - 1)[0]) is None
    assert ROTATED(np.empty(0)) is None


def test_what_is_no_number_has_no_say() -> None:
    values = vectors(1)[0]
    values[[3, 70]] = 0.0
    odd = values.copy()
    odd[[3, 70]] = math.nan, -math.inf
    np.testing.assert_array_equal(np.delete(left(odd), [3, 70]), np.delete(left(values), [3, 70]))


def test_a_rotation_is_undone_by_as_many_shared_texts_as_it_has_values_and_no_fewer() -> None:
    """What a rotation is worth, as documented: the clean vectors of d texts, and not of half as many."""
    clean, others = vectors(SIZE, seed=2), vectors(20, seed=3)
    given = np.array([left(row) for row in clean])
    for count, least, most in ((SIZE, 0.999, 1.0), (SIZE // 2, 0.3, 0.9)):
        found, *_ = np.linalg.lstsq(given[:count], clean[:count], rcond=None)
        undone = np.array([left(row) for row in others]) @ found
        cosines = (undone * others).sum(axis=1) / np.linalg.norm(undone, axis=1)
        assert least <= cosines.mean() <= most + 1e-9
