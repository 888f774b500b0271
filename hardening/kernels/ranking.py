# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernel that ranks sentences by what they share with the others."""

from __future__ import annotations

from hardening.kernels.codes import SHARED_SCALE
from hardening.kernels.jit import kernel

PARTS = "14ddb7c053b2b716"
"""Digest of the files of the parts, which renews numba's cache with them."""


@kernel
def centrality(words, starts, scores):
    """Fill `scores` (int64, N) with each sentence's summed likeness to the others.

    Args:
        words: int64, the ids of all sentences' words, ascending and without repeats in each.
        starts: int64, N + 1 borders of the sentences in `words`.
    """
    for a in range(scores.size):
        scores[a] = 0
        for b in range(scores.size):
            i, j = starts[a], starts[b]
            shared = 0
            while a != b and i < starts[a + 1] and j < starts[b + 1]:
                shared += words[i] == words[j]
                step = words[i] <= words[j]
                j += words[j] <= words[i]
                i += step
            if shared:
                sizes = (starts[a + 1] - starts[a]) * (starts[b + 1] - starts[b])
                scores[a] += shared * shared * SHARED_SCALE // sizes
