"""How much an account has seen: counted once a bucket, bounded, and without noise up to what is benign."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from hardening.noise_key import NoiseKey
from hardening.transform import coverage
from hardening.transform.coverage import (
    BUCKETS,
    LEVELS,
    CoverageNoise,
    Coverages,
    Covering,
    benign_share,
    nats,
    noise,
    sigma,
)
from hardening.transform.vector_noise import VectorNoise

SIZE = 96
KEY = NoiseKey(bytes(32), "default", "")


def vectors(count: int, seed: int = 1, size: int = SIZE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((count, size))


def seen(coverages: Coverages, rows: NDArray[np.float64], scope: str = "a") -> int:
    return sum(coverages.touch(scope, row)[1] for row in rows)


def test_a_bucket_counts_once_for_each_account() -> None:
    coverages = Coverages(b"key")
    rows = vectors(3000)
    expected = BUCKETS * (1 - (1 - 1 / BUCKETS) ** 3000)
    assert seen(coverages, rows) == pytest.approx(expected, rel=0.1)
    assert seen(coverages, rows) == 0
    assert seen(coverages, rows * 7.5) == 0
    assert coverages.touch("a", rows[0])[0] == pytest.approx(expected / BUCKETS, rel=0.1)
    assert seen(coverages, rows[:50], "b") > 45
    assert seen(coverages, rows[:, :64]) == 0  # cut to fewer dimensions


def test_a_narrow_account_touches_few_buckets() -> None:
    near = vectors(1, seed=2)[0] + 0.2 * vectors(2000, seed=3)
    assert seen(Coverages(b"key"), near) < BUCKETS / 10


def test_the_oldest_accounts_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches memory that grows with accounts, or with the lengths that a caller makes up."""
    monkeypatch.setattr(coverage, "_MOST_ACCOUNTS", 3)
    coverages = Coverages(b"key")
    row = vectors(1)[0]
    for scope in ("a", "b", "c", "a", "d"):
        coverages.touch(scope, row)
    assert [coverages.touch(scope, row)[1] for scope in ("a", "c", "d", "b")] == [False, False, False, True]


def test_noise_begins_beyond_what_is_benign_and_has_few_levels() -> None:
    """Catches a level that honest accounts meet, and a size for each share, whose draws have an average."""
    assert sigma(0.2, 0.2) == pytest.approx(0.001, rel=0.01)
    assert sigma(0.35, 0.2) == pytest.approx(1.0, rel=0.01)
    found = [noise(share, most=0.5, benign=0.2) for share in np.arange(0, 1, 0.001)]
    assert all(one <= other for one, other in pairwise(found))
    assert sorted(set(found)) == [0.0, *(0.5 * level for level in LEVELS)]
    assert noise(0.28, most=0.5, benign=0.2) == 0.0
    assert noise(0.34, most=0.5, benign=0.2) == 0.5
    assert noise(1.0, most=0.5, benign=0.7) == 0.0


def test_evidence_speaks_against_who_sees_more_than_honest_accounts_and_against_nobody_else() -> None:
    """Catches an honest account that is suspected because its texts are all different."""
    wide, honest = Covering(Coverages(b"key"), "a", 0.1), Covering(Coverages(b"key"), "a", 0.1)
    for row in vectors(4000):
        wide.share(row)
    for row in vectors(400):
        honest.share(row)
    share = wide.coverages.touch("a", vectors(1)[0])[0]
    assert wide.nats == pytest.approx(math.log(100) * (share / 0.1 - 1), abs=0.02)
    assert wide.nats > 15
    assert honest.nats == 0.0


def test_a_bucket_that_was_seen_says_nothing() -> None:
    assert nats(0.9, benign=0.1, is_new=False) == 0.0
    assert nats(0.9, benign=0.1, is_new=True) > 0.0


def test_an_account_gets_the_noise_of_its_level_and_at_least_that_of_the_policy() -> None:
    covering = Covering(Coverages(b"key"), "a", 0.05)
    made = CoverageNoise(KEY, 0.0, 0.5, covering)
    row = vectors(1)[0]
    added = made(row)
    assert added is not None
    assert not added.any()
    for other in vectors(2000, seed=4):
        made(other)
    np.testing.assert_array_equal(made(row), VectorNoise(KEY, 0.5)(row))
    calm = CoverageNoise(KEY, 0.25, 0.5, Covering(Coverages(b"key"), "a", 0.05))
    np.testing.assert_array_equal(calm(row), VectorNoise(KEY, 0.25)(row))
    assert made(row[:63]) is None


def test_the_widest_account_but_one_in_a_hundred_is_benign() -> None:
    assert benign_share([409] * 199 + [4096]) == pytest.approx(409 / BUCKETS)
    assert benign_share([100, 200]) == pytest.approx(199 / BUCKETS, abs=0.001)
