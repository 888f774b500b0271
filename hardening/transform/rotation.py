"""A secret rotation of embeddings: similarities stay inside of one group and model, and compare with no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hardening import kernels
from hardening.noise_key import NoiseKey
from hardening.transform.vector_noise import FIRST, Floats, beyond

_PURPOSE = b"rotation"
_MOST = 64
"""Rotations that are kept: 48 bytes for each value of their vectors, so 9 MB where all have 3,072."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What is added to a vector so that it is rotated, its noise too; each length has a rotation of its own.

    Noise comes first: it is a function of the clean vector, so whoever asks for other lengths, or under
    other names of the model, and undoes these rotations, meets the same noise again.
    """

    key: NoiseKey
    noise: kernels.Noise | None = None

    def __call__(self, values: Floats) -> Floats | None:
        """What is added to each of the values; None where there are too few of them to hide by a rotation."""
        if values.size < FIRST:
            return None
        turn = _turn(self.key.of(_PURPOSE), values.size)
        return beyond(values, self.noise, lambda noised: kernels.turn(noised, turn))


_turn = lru_cache(maxsize=_MOST)(kernels.Turn.of)
