"""Rotations: orthogonal, mixing and keyed at any length; the kernel equals its twin to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from hardening.kernels import compiled, plain
from hardening.kernels.turns import Turn

SIZES = (1, 2, 3, 64, 65, 100, 255, 256, 300, 384, 768, 1000, 1536, 3072)


def rows(count: int, size: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size))


@pytest.mark.parametrize("size", SIZES)
def test_the_kernel_equals_its_twin_to_the_last_bit(size: int) -> None:
    """Catches workers that disagree, of which one has no compiler yet."""
    turn = Turn.of(b"seed", size)
    for values in (*rows(20, size), rows(1, size)[0] * 1e-310, rows(1, size)[0] * 1e6, np.zeros(size)):
        before = values.copy()
        np.testing.assert_array_equal(compiled.turn(values, turn), plain.turn(values, turn))
        np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("size", SIZES)
def test_lengths_and_angles_stay(size: int) -> None:
    turn = Turn.of(b"seed", size)
    vectors = rows(30, size)
    turned = np.array([compiled.turn(row, turn) for row in vectors])
    np.testing.assert_allclose(turned @ turned.T, vectors @ vectors.T, atol=1e-9 * size)


@pytest.mark.parametrize("size", [64, 100, 384, 1000, 1536])
def test_each_value_depends_on_all_others(size: int) -> None:
    """Catches blocks that do not mix: the place of a value, or its size, would be told."""
    turn = Turn.of(b"seed", size)
    matrix = np.array([plain.turn(row, turn) for row in np.eye(size)])
    assert np.abs(matrix).max() < 6.2 / np.sqrt(size)
    assert (matrix**4).mean() * size**2 == pytest.approx(3, rel=0.06)  # of a random rotation
    assert np.abs(np.diag(matrix)).mean() * np.sqrt(size) == pytest.approx(np.sqrt(2 / np.pi), rel=0.25)


def test_another_seed_or_length_is_another_rotation() -> None:
    values = rows(1, 384)[0]
    one = plain.turn(values, Turn.of(b"seed", 384))
    for other in (plain.turn(values, Turn.of(b"other", 384)), values):
        assert abs(one @ other) / (values @ values) < 0.2
    shorter = plain.turn(values[:383], Turn.of(b"seed", 383))
    assert abs(one[:383] @ shorter) / (values @ values) < 0.2


def test_a_rotation_is_the_same_in_each_release() -> None:
    """Catches a change that breaks every index: what these digits are made of holds for good."""
    values = np.arange(1.0, 71.0) / 70
    assert plain.turn(values, Turn.of(bytes(32), 70))[:4].round(9).tolist() == [
        1.504852295,
        0.143504116,
        0.48351266,
        0.71663644,
    ]
