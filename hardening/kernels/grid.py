"""The grid of values that may leave: multiples of a decimal step, written in fixed point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

import orjson

from hardening.kernels.codes import LOW_LEVEL, LOWEST, SNAP

MAX_PLACES = 12
"""Decimals of a step; a finer one is rounded up to them, that is coarser."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Multiples of `step` nats, which is exactly `unit / 10**places`; step 0 means no grid."""

    step: float
    unit: int
    places: int

    @classmethod
    def of(cls, step: float) -> Grid:
        """The grid of a step between 0 and 9999 nats; ValueError outside of it."""
        if not 0.0 <= step <= -LOWEST:
            raise ValueError(f"step is {step}; allowed are 0 to {-LOWEST}")
        exact = Decimal(repr(float(step))).quantize(Decimal(1).scaleb(-MAX_PLACES), ROUND_CEILING).normalize()
        places = max(0, -int(exact.as_tuple().exponent))
        return cls(float(exact), int(exact.scaleb(places)), places)

    def level(self, value: float, noise: float = 0.0) -> int:
        """How many steps `value` with its noise is, downwards: LOW_LEVEL for LOWEST, what is lower, or NaN."""
        if not value > LOWEST:
            return LOW_LEVEL
        value = min(min(value, 0.0) + noise, 0.0)
        if value <= LOWEST:
            return LOW_LEVEL
        steps = value / self.step
        return math.floor(steps - steps * SNAP)

    def fragment(self, level: int) -> orjson.Fragment:
        """The value at a level as JSON, at least LOWEST."""
        return _fixed(level * self.unit, self.places)


@lru_cache(maxsize=4096)
def _fixed(number: int, places: int) -> orjson.Fragment:
    """`number / 10**places` with at least one decimal and no zeros that say nothing, at least LOWEST."""
    whole, rest = divmod(min(-number, -LOWEST * 10**places), 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0") if places else ""
    return orjson.Fragment(f"{'-' if number else ''}{whole}.{decimals or '0'}")
