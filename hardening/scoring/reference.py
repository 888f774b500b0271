"""The reference: numbers that signals and risk are worked out with, fitted to traffic that somebody vouched for.

The one that is shipped was made by `scripts/fit-reference` from public sets; `reference.md` is its card. An
operator's own comes from `hardening calibrate`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hardening.errors import StartError
from hardening.kernels.prompts import BUCKETS, RATE_NATS
from hardening.scoring.lexicon import LEVELS
from hardening.scoring.signals import (
    Harvesting,
    Phrasing,
    Probing,
    Rhythm,
    Said,
    Signal,
    Switch,
    Templates,
)
from hardening.scoring.sketch import COARSE
from hardening.state.standing import SLOTS, Calibration

FILE = "reference.npz"
MOST_BYTES = 1 << 20
FITTED = 3
"""Campaigns that wording is fitted to: two that ship, and an operator's own. A scale of 0 stands for none."""
SAID = ("elicitation", "grading", "synthesis")
_GATED_NATS = 0.15  # of the signs that say nothing alone, a request: set by hand, fitted to nothing
_HARVESTING = (-0.01, 0.0, 0.0, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a fit found.

    Args:
        weights: int8, of each bucket, a row for each campaign; times `scales` they are nats. `biases` those of a
            prompt without any.
        rates: uint8, the surprisal of each bucket among honest prompts, in units of `RATE_NATS`.
        usual: uint8, of each coarse bucket the least surprisal in any set, in the same units.
        levels: nats by signal of phrases and level.
        prior, slots: the log-odds of an account without evidence, and the weight of each signal's sum.
        digest: of the file.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float64]
    biases: NDArray[np.float64]
    rates: NDArray[np.uint8]
    usual: NDArray[np.uint8]
    levels: NDArray[np.float64]
    prior: float
    slots: NDArray[np.float64]
    digest: str = ""

    def signals(self) -> tuple[Signal, ...]:
        """The signals, calibrated."""
        fitted = self.scales > 0.0
        elicitation, grading, synthesis = (tuple(map(float, row)) for row in self.levels)
        return (
            Phrasing(
                (self.weights * self.scales[:, None])[fitted].astype(np.float32),
                self.biases[fitted],
                np.exp(-RATE_NATS * self.usual).astype(np.float32),
            ),
            Said("elicitation", elicitation),
            Said("synthesis", synthesis),
            Said("grading", grading, gated=True, opens=False),
            Harvesting(_HARVESTING),
            Templates(_GATED_NATS),
            Rhythm(_GATED_NATS),
            Probing(_GATED_NATS),
            Switch(_GATED_NATS),
        )

    def calibration(self, *, half_life_s: float = 14 * 86_400.0) -> Calibration:
        """How sums of evidence become a risk."""
        weights = {name: float(weight) for name, weight in zip(SLOTS, self.slots, strict=True) if weight}
        return Calibration(self.prior, weights, half_life_s, FLOOR, CAP, LEAST, self.digest)

    def save(self, path: Path) -> None:
        """Write the numbers to a file: the same bytes for the same numbers."""
        numbers = {name: np.asarray(getattr(self, name)) for name in _SHAPES}
        np.savez_compressed(path, allow_pickle=False, **numbers)


FLOOR, CAP, LEAST = -0.05, 12.0, 10.0
"""What a sum stays within, in nats, and the requests before which nobody is judged: fits assume them."""
_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "weights": ("int8", (FITTED, BUCKETS)),
    "scales": ("float64", (FITTED,)),
    "biases": ("float64", (FITTED,)),
    "rates": ("uint8", (BUCKETS,)),
    "usual": ("uint8", (BUCKETS >> COARSE,)),
    "levels": ("float64", (len(SAID), LEVELS)),
    "prior": ("float64", ()),
    "slots": ("float64", (len(SLOTS),)),
}


def load(path: Path | None = None) -> Reference:
    """The reference in a file, by default the one that is shipped; StartError where it is none."""
    try:
        packed = path.read_bytes() if path else files("hardening.scoring").joinpath(FILE).read_bytes()
    except OSError as fault:
        raise StartError(f"calibration {path or FILE}: {fault.strerror}") from fault
    if len(packed) > MOST_BYTES:
        raise StartError(f"calibration {path or FILE}: {len(packed)} bytes, at most {MOST_BYTES} are allowed")
    try:
        with np.load(BytesIO(packed), allow_pickle=False) as found:
            read = {name: _checked(found[name], name) for name in _SHAPES}
    except (ValueError, KeyError, BadZipFile, EOFError, OSError) as fault:
        raise StartError(f"calibration {path or FILE}: {fault}; `hardening calibrate` writes one") from fault
    numbers: dict[str, Any] = {name: array if array.ndim else array.item() for name, array in read.items()}
    return Reference(**numbers, digest=hashlib.sha256(packed).hexdigest()[:16])


def _checked(array: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    kind, shape = _SHAPES[name]
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"{name}: found {array.dtype} {array.shape}, expected {kind} {shape}")
    if kind == "float64" and not np.isfinite(array).all():
        raise ValueError(f"{name}: a number that is not finite")
    return array
