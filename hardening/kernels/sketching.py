# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernels that weigh a prompt by a sketch and count it there; see `sketches.py`."""

from __future__ import annotations

import numpy as np

from hardening.kernels.jit import kernel
from hardening.kernels.prompts import EMPTY
from hardening.kernels.sketches import ALIKE, COARSE, MARGIN

PARTS = "1083fc995c6f9e83"
"""Digest of the files of the parts, which renews numba's cache with them."""


@kernel
def weigh(features, counts, requests, usual, weights, sums):
    """Add to `sums` the weights of a prompt's features, each as far as it is new; how much of it is new, in features.

    Args:
        features: int64, buckets.
        counts: uint8, of each coarse bucket, the prompts that had it.
        requests: int64, the prompts that were counted.
        usual: float32, of each coarse bucket, the share of prompts that have it.
        weights: float32, a row for each campaign, a column for each bucket.
        sums: float64, zeros, one for each campaign.
    """
    fresh = 0.0
    for at in range(features.size):
        coarse = features[at] >> COARSE
        new = (MARGIN + requests * np.float64(usual[coarse])) / max(np.int64(counts[coarse]), 1)
        new = min(1.0, new)
        fresh += new
        for row in range(sums.size):
            sums[row] += np.float64(weights[row, features[at]]) * new
    return fresh


@kernel
def note_prompt(features, minima, counts, templates):
    """Count a prompt, and put its skeleton first; whether its template was known.

    Args:
        features: int64, buckets, ascending.
        minima: int64, the skeleton.
        counts: uint8, of each coarse bucket, the prompts that had it.
        templates: int64, a row for each skeleton, the newest first.
    """
    last = np.int64(-1)
    for at in range(features.size):
        coarse = features[at] >> COARSE
        if coarse != last:
            counts[coarse] += 1
        last = coarse
    filled = 0
    for at in range(minima.size):
        filled += minima[at] != EMPTY
    most, row = -1, 0
    for each in range(templates.shape[0]):
        shared = 0
        for at in range(minima.size):
            shared += minima[at] != EMPTY and templates[each, at] == minima[at]
        if shared > most:
            most, row = shared, each
    known = most >= ALIKE * max(1, filled)
    if not known:
        row = templates.shape[0] - 1
    while row > 0:
        for at in range(minima.size):
            templates[row, at] = templates[row - 1, at]
        row -= 1
    for at in range(minima.size):
        templates[0, at] = minima[at]
    return known
