"""What a search keeps: texts of a topic among all, ranked by vectors that the policy gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardening.redteam.embeddings.encoder import Floats, unit

NEAREST = 10


def gain(queries: Floats, texts: Floats, asked: NDArray[np.int64], topics: NDArray[np.int64]) -> float:
    """The mean nDCG of the nearest texts, of which those of the query's topic are right."""
    order = np.argsort(-unit(queries) @ unit(texts).T, axis=1, kind="stable")[:, :NEAREST]
    worth = 1.0 / np.log2(np.arange(2, NEAREST + 2))
    right = (topics[order] == asked[:, None]) @ worth
    most = [worth[: np.count_nonzero(topics == topic)].sum() for topic in asked]
    return float((right / np.maximum(most, 1e-12)).mean())
