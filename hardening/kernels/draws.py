"""Keyed noise: what a token's draws are a function of, and how a draw becomes a number of nats.

A level of noise is twice the one before it, and adds a draw of its own: what a coarser level gives is what
the finer one gives and something more, so that two of them together tell no more than the finer.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hardening.facts import NOISE_SIZES

CUT_AT = 3.0
"""Standard deviations beyond which there are no draws: noise is bounded."""
KEY_BYTES = 32
KEY_WORDS, CHAIN_WORDS, DIGEST_WORDS = 4, 2, 8
"""Words of 64 bits: of the key, of what was said so far, and of a digest, whose last ones are the next chain."""
CELL_BITS = 10
CELL_PLACES = 32 - CELL_BITS
"""A draw of 32 bits: a cell of the table, and the place inside of it."""
CELL_SHARE = 0.5**CELL_PLACES

_DRAWS = struct.Struct(f"<{len(NOISE_SIZES)}I")
_CHAIN_AT = 8 * (DIGEST_WORDS - CHAIN_WORDS)


def _quantiles() -> NDArray[np.float64]:
    """Quantiles of the cut normal distribution; rounded, so that every machine has the same ones."""
    normal, cells = NormalDist(), 1 << CELL_BITS
    low = normal.cdf(-CUT_AT)
    inner = [normal.inv_cdf(low + (1 - 2 * low) * cell / cells) for cell in range(cells // 2)]
    inner[0] = -CUT_AT
    half = [round(value, 12) for value in inner]
    return np.array([*half, 0.0, *(-value for value in reversed(half))])


QUANTILES = _quantiles()
_TABLE: list[float] = QUANTILES.tolist()


@lru_cache(maxsize=len(NOISE_SIZES) + 1)
def shares(noise: float) -> NDArray[np.float64]:
    """What each level adds to make noise of this size, in nats; ValueError for one that is not one of the sizes."""
    if noise not in NOISE_SIZES:
        raise ValueError(f"noise is {noise}; allowed are {', '.join(f'{size:g}' for size in NOISE_SIZES)}")
    sizes = np.array(NOISE_SIZES[: NOISE_SIZES.index(noise) + 1])
    return np.sqrt(np.diff(sizes**2, prepend=0.0))


class Draws:
    """The noise of one text as it grows; whoever cuts its rows moves it on, token by token.

    A draw is a function of the key, of the tokens before, of the token and of the level.
    """

    __slots__ = ("_levels", "shares", "words")

    def __init__(self, key: bytes, noise: float) -> None:
        """`key` of 32 bytes stands for the question and for who asks it; `noise` is one of NOISE_SIZES."""
        self.shares = shares(noise)
        self._levels: list[float] = self.shares.tolist()
        self.words = np.frombuffer(key + bytes(8 * CHAIN_WORDS), "<u8").copy()
        """Key and chain, which the kernel moves on as well."""

    def digest(self, token: bytes) -> bytes:
        """What the draws of a token, and of all after it, are taken from."""
        return blake2b(self.words.tobytes() + token).digest()

    def nats(self, digest: bytes) -> float:
        """The noise on the value of the token of this digest."""
        total = 0.0
        for share, drawn in zip(self._levels, _DRAWS.unpack_from(digest), strict=False):
            cell = drawn >> CELL_PLACES
            low = _TABLE[cell]
            inside = (drawn & ((1 << CELL_PLACES) - 1)) * CELL_SHARE
            total += share * (low + (_TABLE[cell + 1] - low) * inside)
        return total

    def follow(self, digest: bytes) -> None:
        """Go on behind the token of this digest."""
        self.words[KEY_WORDS:] = np.frombuffer(digest, "<u8", CHAIN_WORDS, _CHAIN_AT)


def over_one(levels: list[int], step: float) -> int:
    """How many steps all `levels` must go down until the probabilities that they stand for are at most one."""
    mass = sum(math.exp(level * step) for level in levels)
    return max(0, math.ceil(math.log(mass) / step - 1e-9)) if mass > 1.0 else 0
