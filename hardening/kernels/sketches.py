"""What a sketch of an account's prompts says of one more, and how that one is counted: the plain twins of `sketching.py`.

A sketch counts, for each coarse bucket of features, the prompts that had one of them, and holds the skeletons of
the last few templates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.prompts import EMPTY, Longs

COARSE = 3
"""Bits of a bucket that counts leave out."""
MARGIN = 1.0
"""Prompts more than usual before a feature is no longer wholly new."""
ALIKE = 0.4
"""The share of a skeleton's bins that two prompts of one template have in common, at least."""

Counts = NDArray[np.uint8]
Weights = NDArray[np.float32]


def weigh(
    features: Longs, counts: Counts, requests: int, usual: Weights, weights: Weights
) -> tuple[list[float], float]:
    """The weights of a prompt's features, each as far as it is new, summed by row; and how much of it is new, in features.

    Args:
        features: buckets.
        counts: of each coarse bucket, the prompts that had it.
        requests: the prompts that were counted.
        usual: of each coarse bucket, the share of prompts that have it.
        weights: a row for each campaign, a column for each bucket.
    """
    sums, fresh = [0.0] * len(weights), 0.0
    for feature in features.tolist():
        coarse = feature >> COARSE
        new = min(1.0, (MARGIN + requests * float(usual[coarse])) / max(int(counts[coarse]), 1))
        fresh += new
        for row, weight in enumerate(weights[:, feature].tolist()):
            sums[row] += weight * new
    return sums, fresh


def note_prompt(features: Longs, minima: Longs, counts: Counts, templates: Longs) -> bool:
    """Count a prompt (its features ascending) and put its skeleton first; whether its template was known."""
    counts[np.unique(features >> COARSE)] += 1
    filled = minima != EMPTY
    shared = ((templates == minima) & filled).sum(axis=1).tolist()
    most = max(shared)
    known = bool(most >= ALIKE * max(1, int(np.count_nonzero(filled))))
    last = shared.index(most) if known else len(templates) - 1
    templates[1 : last + 1] = templates[:last].copy()
    templates[0] = minima
    return known
