"""Kernels and twins weigh prompts by a sketch alike, and count them alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain
from hardening.kernels.prompts import BUCKETS, EMPTY, MINIMA
from hardening.kernels.sketches import COARSE

COARSES = BUCKETS >> COARSE
features = st.sets(st.integers(0, 99) | st.integers(0, BUCKETS - 1), max_size=40).map(
    lambda found: np.array(sorted(found), np.int64)
)
skeletons = st.lists(st.sampled_from([1, 2, EMPTY]), min_size=MINIMA, max_size=MINIMA).map(
    lambda found: np.array(found, np.int64)
)
TWINS = pytest.mark.parametrize("twins", [plain, compiled])


def sketch(requests: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.full(COARSES, requests, np.uint8), np.full((4, MINIMA), EMPTY, np.int64)


@settings(deadline=None)  # the first example compiles
@given(features, st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_kernel_and_twin_agree_on_weights(found, seed, requests):
    random = np.random.default_rng(seed)
    counts = random.integers(0, requests + 1, COARSES).astype(np.uint8)
    usual = random.random(COARSES).astype(np.float32)
    weights = random.normal(size=(3, BUCKETS)).astype(np.float32)
    one, other = (twins.weigh(found, counts, requests, usual, weights) for twins in (compiled, plain))
    assert one == other


@settings(deadline=None)
@given(st.lists(st.tuples(features, skeletons), max_size=12))
def test_kernel_and_twin_count_prompts_alike(prompts):
    sketches = [sketch(), sketch()]
    for found, minima in prompts:
        one, other = (
            twins.note_prompt(found, minima, *state)
            for twins, state in zip((compiled, plain), sketches, strict=True)
        )
        assert one == other
    for one, other in zip(*sketches, strict=True):
        assert (one == other).all()


@TWINS
def test_what_came_more_often_than_usual_is_new_no_more(twins):
    weights, usual = np.ones((2, BUCKETS), np.float32), np.full(COARSES, 0.5, np.float32)
    weights[1] = 2.0
    found = np.array([0, 8, 16], np.int64)
    sums, new = twins.weigh(found, sketch(40)[0], 40, usual, weights)
    assert (*sums, new) == pytest.approx((1.575, 3.15, 1.575))
    assert twins.weigh(found, sketch(0)[0], 40, usual, weights) == ([3.0, 6.0], 3.0)
    assert twins.weigh(found[:0], sketch(0)[0], 40, usual, weights) == ([0.0, 0.0], 0.0)


@TWINS
def test_a_coarse_bucket_counts_a_prompt_once_and_a_known_template_comes_first(twins):
    counts, templates = sketch()
    found, first, other = np.array([0, 1, 9], np.int64), np.full(MINIMA, 1), np.full(MINIMA, 2)
    alike = np.where(np.arange(MINIMA) < 7, 1, 3)
    noted = [twins.note_prompt(found, minima, counts, templates) for minima in (first, other, alike)]
    assert noted == [False, False, True]
    assert counts[:3].tolist() == [3, 3, 0]
    assert templates[:3, 0].tolist() == [1, 2, EMPTY]
    assert (templates[0] == alike).all()
    assert not twins.note_prompt(found, np.full(MINIMA, EMPTY), counts, templates)
