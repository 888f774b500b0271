"""How much of the space of embeddings an account has seen, and the noise that follows from it.

Twelve secret hyperplanes through the origin cut the space into 4,096 buckets, of which an account has touched
some (B4B, 2310.08571). Whoever copies an encoder wants its vectors from everywhere; whoever uses it for
something of his own touches what that something is about. How much that is at most, the operator says.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256

import numpy as np

from hardening import kernels
from hardening.noise_key import NoiseKey
from hardening.transform.vector_noise import FIRST, Floats, VectorNoise

PLANES = 12
BUCKETS = 1 << PLANES
LEVELS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the most noise: few, for each size draws by itself, and many draws have an average."""

_LAMBDA, _ALPHA = 1e-7, 1.0
_BETA = 1.75
"""In benign coverages: there the noise is as long as the vector, and a thousandth of it at the benign one."""
_NATS = math.log(100.0)
"""What a whole benign share beyond the benign one says."""
_MOST_ACCOUNTS = 8192
_WEIGHTS = np.int64(1) << np.arange(PLANES)


def sigma(share: float, benign: float) -> float:
    """The noise, relative to a vector's length, for an account that has touched this share of all buckets."""
    exponent = math.log(_ALPHA / _LAMBDA) * share / (_BETA * benign)
    return _LAMBDA * math.expm1(min(exponent, 100.0))


@lru_cache(maxsize=64)
def _steps(most: float, benign: float) -> tuple[float, ...]:
    """The shares of buckets from which on each level holds."""
    scale = _BETA * benign / math.log(_ALPHA / _LAMBDA)
    return tuple(scale * math.log1p(level * most / _LAMBDA) for level in LEVELS)


def noise(share: float, *, most: float, benign: float) -> float:
    """The level of noise that the share of buckets has reached; 0 for what a benign account touches."""
    reached = bisect_right(_steps(most, benign), share)
    return most * LEVELS[reached - 1] if reached else 0.0


def nats(share: float, *, benign: float, is_new: bool) -> float:
    """What a vector says against an account that has touched this share of buckets: nothing up to the benign one.

    Beyond it, one honest account in a hundred is left for each further share of that size, and nearly every copy.
    """
    return _NATS / (benign * BUCKETS) if is_new and share >= benign else 0.0


class _Sketch:
    """The buckets of one account: 512 bytes."""

    __slots__ = ("bits", "count")

    def __init__(self) -> None:
        self.bits = bytearray(BUCKETS // 8)
        self.count = 0

    def add(self, bucket: int) -> bool:
        """Touch a bucket; whether it is the first time."""
        at, bit = bucket >> 3, 1 << (bucket & 7)
        if self.bits[at] & bit:
            return False
        self.bits[at] |= bit
        self.count += 1
        return True


class Coverages:
    """The sketches of the accounts that this process has lately given embeddings to; bounded."""

    def __init__(self, key: bytes) -> None:
        """`key` is secret: whoever knew the planes would stay on one side of them."""
        drawn = shake_256(b"coverage" + key).digest(2 * PLANES * FIRST)
        self._planes = kernels.normals(np.frombuffer(drawn, "<u2")).reshape(PLANES, FIRST)
        self._sketches: OrderedDict[str, _Sketch] = OrderedDict()

    def touch(self, scope: str, values: Floats) -> tuple[float, bool]:
        """The share of buckets that `scope` had touched before this vector, and whether its bucket is a new one.

        The first FIRST values tell the bucket: so a vector cut to fewer is in the same one, and no caller
        has more than one sketch.
        """
        sketch = self._sketches.get(scope)
        if sketch is None:
            sketch = self._sketches[scope] = _Sketch()
            if len(self._sketches) > _MOST_ACCOUNTS:
                self._sketches.popitem(last=False)
        self._sketches.move_to_end(scope)
        sides = self._planes @ values[:FIRST] > 0.0
        before = sketch.count / BUCKETS
        return before, sketch.add(int(sides @ _WEIGHTS))


@dataclass(slots=True)
class Covering:
    """What one request adds to what its account has seen; `nats` is what it says of the account."""

    coverages: Coverages
    scope: str
    benign: float
    nats: float = 0.0

    def share(self, values: Floats) -> float:
        """The share of buckets that the account had touched before this vector, which is noted."""
        share, is_new = self.coverages.touch(self.scope, values)
        self.nats += nats(share, benign=self.benign, is_new=is_new)
        return share


@dataclass(frozen=True, slots=True)
class CoverageNoise:
    """Noise that grows with what an account has seen of the space, from `least` to `most`."""

    key: NoiseKey
    least: float
    most: float
    covering: Covering

    def __call__(self, values: Floats) -> Floats | None:
        """What is added to each of the values; None where there are too few of them to know the vector by."""
        if values.size < FIRST:
            return None
        share = self.covering.share(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))
        size = max(self.least, noise(share, most=self.most, benign=self.covering.benign))
        return VectorNoise(self.key, size)(values) if size else np.zeros(values.size)


def benign_share(accounts: Sequence[int]) -> float:
    """The share of buckets of the widest benign account but one in a hundred, of how many each has touched."""
    return float(np.quantile(np.array(accounts) / BUCKETS, 0.99))
