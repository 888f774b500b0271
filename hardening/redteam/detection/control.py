"""The control: the two-sample test of the literature on windows of prompts, over features that need no encoder.

Unbiased MMD^2 with RBF kernels at .5, 1, 2 and 4 times the median distance; the threshold is the 95th percentile of
honest windows against honest prompts (arXiv 2606.05725).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.prompts import BUCKETS
from hardening.redteam.detection import world
from hardening.redteam.detection.pools import Pools
from hardening.redteam.detection.runs import Runner

Vectors = NDArray[np.float32]

_WIDTHS = (0.5, 1.0, 2.0, 4.0)
_PERCENTILE = 95.0
_DIMENSIONS = 256
_REFERENCE = 300
_NULL = 200


class Control(NamedTuple):
    """What the test tells: of honest kinds, and of campaigns by name and share."""

    honest: Mapping[str, float]
    campaigns: Mapping[tuple[str, float], float]

    def worst(self, share: float) -> float:
        """What it tells of the campaign that it tells least."""
        return min(rate for (_, found), rate in self.campaigns.items() if found == share)


class WindowTest:
    """The test, with its reference and its threshold."""

    def __init__(self, runner: Runner, reference: Pools, null: Pools, window: int, seed: int) -> None:
        self._runner = runner
        self._window = window
        draw = random.Random(seed)
        random_ = np.random.default_rng(seed)
        self._projection = random_.standard_normal((BUCKETS, _DIMENSIONS), np.float32) / _DIMENSIONS**0.5
        self._known = self._vectors(draw.sample(reference.chat, min(_REFERENCE, len(reference.chat))))
        distances = _distances(self._known, self._known)
        self._median = float(np.median(distances[np.triu_indices_from(distances, 1)]))
        self._within = _mean_off_diagonal(self._kernel(distances))
        found = [self.statistic(draw.sample(null.chat, min(window, len(null.chat)))) for _ in range(_NULL)]
        self.threshold = float(np.percentile(found, _PERCENTILE))

    def rate(
        self,
        part: Pools,
        accounts: int,
        seed: int,
        *,
        kind: str = "chat",
        campaign: str | None = None,
        share: float = 0.0,
    ) -> float:
        """The share of accounts of a kind, or of a campaign mixed in, that the test tells."""
        told = 0
        for number in range(accounts):
            draw = random.Random(f"{seed}/control/{campaign or kind}/{share}/{number}")
            asked = world.account(part, draw, count=self._window, kind=kind, campaign=campaign, share=share)
            told += self.statistic([one.text for one in asked]) > self.threshold
        return told / accounts

    def statistic(self, texts: Sequence[str]) -> float:
        """Unbiased MMD^2 of a window against the reference."""
        window = self._vectors(texts)
        across = float(self._kernel(_distances(window, self._known)).mean())
        return _mean_off_diagonal(self._kernel(_distances(window, window))) + self._within - 2.0 * across

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        rows = [self._projection[self._runner.read(text).prompt.features].sum(axis=0) for text in texts]
        vectors: Vectors = np.array(rows, np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        return vectors

    def _kernel(self, distances: Vectors) -> Vectors:
        total = np.zeros_like(distances)
        for width in _WIDTHS:
            total += np.exp(-distances / (2.0 * (width * width) * self._median))
        return total


def _distances(one: Vectors, other: Vectors) -> Vectors:
    """Squared distances of unit vectors."""
    distances: Vectors = np.maximum(2.0 - 2.0 * (one @ other.T), 0.0)
    return distances


def _mean_off_diagonal(kernel: Vectors) -> float:
    size = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (size * (size - 1)))
