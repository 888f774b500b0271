"""Keyed noise on the values of an embedding: the same vector gets the same noise, however it was asked for."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray

from hardening import kernels
from hardening.noise_key import NoiseKey

Floats = NDArray[np.float64]

FIRST = 64
"""Values by which a vector is known; one of fewer does not leave under noise."""
_FINE = 4
"""Levels a typical value has there: texts that differ by a hundredth are others, one in two batches is the same."""
_LEAST_SHARE = 0.5
"""Of the typical value of a whole vector; where its first values have less, they do not tell it from others."""
_PURPOSE = b"embedding"


def beyond(values: Floats, noise: kernels.Noise | None, change: Callable[[Floats], Floats]) -> Floats | None:
    """What is added to each of the values so that they leave noised, and then changed; None where noise has none."""
    added = None if noise is None else noise(values)
    if added is None and noise is not None:
        return None
    known = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return change(known if added is None else known + added) - known


@dataclass(frozen=True, slots=True)
class VectorNoise:
    """The noise of one group of accounts, of a size relative to the length of a vector.

    It is a function of what the vector says, not of what was asked: a text with words behind those that the
    model reads, or in another case, is the same vector and must not draw anew. Only the first values count, and
    only beside each other, so that a vector cut to fewer `dimensions`, and made longer again, is the other one's beginning.
    """

    key: NoiseKey
    size: float

    def __call__(self, values: Floats) -> Floats | None:
        """What is added to each of the values; None where there are too few of them to know the vector by."""
        if values.size < FIRST:
            return None
        if not math.isfinite(values @ values):
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        known = values[:FIRST]
        if _typical(known) <= _LEAST_SHARE * _typical(values):
            known = values  # of a model whose vectors begin with next to nothing
        scale = _typical(known)
        if scale == 0.0:
            return np.zeros(values.size)
        levels = np.rint(known * (_FINE / scale)).astype("<i4")
        # Sizes have draws of their own: of one draw in two sizes the difference would give the clean value.
        seed = self.key.of(_PURPOSE, struct.pack("<d", self.size), levels.tobytes())
        drawn = np.frombuffer(shake_256(seed).digest(2 * values.size), "<u2")
        return kernels.normals(drawn) * (self.size * scale)


def _typical(values: Floats) -> float:
    return math.sqrt(float(values @ values) / values.size)
