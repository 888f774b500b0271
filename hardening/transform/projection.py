"""Embeddings without some of their directions, the same ones for everybody: what does not leave is in no average."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hardening import kernels
from hardening.transform.vector_noise import Floats, beyond

_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """What is added to a vector so that only a share of its directions is left, of its noise too.

    Each sixteen values are seen along sixteen directions (Walsh's), of which the first ones stay: so each value loses
    as much as any other, a smaller share is part of a larger one, and a vector cut to fewer `dimensions`
    gives nothing that the whole one does not. A vector of a clean index compares with one of these as with its own image.
    """

    share: float
    noise: kernels.Noise | None = None

    def __call__(self, values: Floats) -> Floats | None:
        """What is added to each of the values; None where noise has none for them."""
        return beyond(values, self.noise, self._left)

    def _left(self, noised: Floats) -> Floats:
        whole = noised.size - noised.size % _BLOCK
        left = np.zeros(noised.size)  # of the last few values, which have no block of their own, nothing
        left[:whole] = (noised[:whole].reshape(-1, _BLOCK) @ _image(self.share)).ravel()
        return left


@lru_cache(maxsize=_BLOCK)
def _image(share: float) -> Floats:
    """The matrix that leaves this share of directions, at least one, rounded down."""
    signs = np.ones((1, 1))
    while len(signs) < _BLOCK:
        signs = np.block([[signs, signs], [signs, -signs]])
    left = signs[: max(1, int(share * _BLOCK + 1e-9))]
    image: Floats = left.T @ left / _BLOCK
    return image
