"""Shares of a gap with the interval that a few seeds leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple

from scipy.stats import t as student_t  # type: ignore[import-untyped]

_SURE = 0.975  # of either end: 95 % between them


class Spread(NamedTuple):
    """A mean over seeds, and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The mean of draws with the interval of Student's t; of a single one the interval is without end."""
    middle = mean(values)
    if len(values) < 2:
        return Spread(middle, -math.inf, math.inf)
    half = float(student_t.ppf(_SURE, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Spread(middle, middle - half, middle + half)


def closed(ours: float, nothing: float, everything: float) -> float:
    """The share of the gap between a student of nothing and one of everything that ours closes.

    Raises ValueError where there is no gap: then the experiment says nothing.
    """
    if everything <= nothing:
        raise ValueError(f"no gap: {everything:.3f} with traces, {nothing:.3f} without")
    return (ours - nothing) / (everything - nothing)
