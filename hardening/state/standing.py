"""Standing: from the evidence of requests to one calibrated risk, and to the band that it is in.

Evidence is in nats, one log-likelihood ratio for each signal: how much likelier such a request is in a
campaign than among honest users. It adds, so of an account only sums are kept, which fade by half every
`half_life_s`. No text, no hash of one and no id can be worked out from them. A sum stays within a floor
and a cap: what somebody has behaved well buys him no more than the floor. Pure; `lua/standing.lua` says
`settled` again, and tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SIGNALS = (
    "phrasing",
    "templates",
    "elicitation",
    "grading",
    "synthesis",
    "harvesting",
    "coverage",
    "overlap",
    "rhythm",
    "probing",
    "switch",
)
"""What evidence there is, in the order of a record's sums. New ones come last, before `app`."""

APP = "app"
"""The sum of what the app's own signals say."""

SLOTS = (*SIGNALS, APP)

LEAST_NATS, MOST_NATS = -0.11, 4.0
"""What one request may say under one signal: no single one convicts anybody, and none clears him."""

LONGEST_DELAY = 8
"""Requests that an account goes on for after its risk was reached: drawn by a key, from none to this many."""

BORDER_WAIT = 16
"""Requests after those within which a new conversation is waited for; then the band is entered in an old one."""

_CLEAN_NATS = 1.0
_NO_SUMS = (0.0,) * len(SLOTS)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sums become a risk.

    Args:
        prior: the log-odds of an account without evidence.
        weights: by signal, how much its sum counts; they temper what signals say twice. Absent is 0.
        half_life_s: the time in which every sum fades by half.
        floor, cap: what a sum stays within, in nats.
        least: faded requests below which the risk stays the prior's.
        digest: what it was fitted to.
    """

    prior: float
    weights: Mapping[str, float]
    half_life_s: float = 14 * 86_400.0
    floor: float = -2.0
    cap: float = 40.0
    least: float = 20.0
    digest: str = ""

    def __post_init__(self) -> None:
        numbers = (self.prior, self.half_life_s, self.floor, self.cap, self.least, *self.weights.values())
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a calibration of finite numbers")
        if not (self.half_life_s > 0.0 and self.floor <= 0.0 <= self.cap and self.least >= 0.0):
            raise ValueError(
                "a half-life above 0, a floor and a cap around 0, and a least number of requests"
            )
        if unknown := sorted(self.weights.keys() - set(SLOTS)):
            raise ValueError(f"weights of known signals, not of {', '.join(unknown)}")


class BandAt(NamedTuple):
    """Where a band begins and ends: entered at a risk of `enter`, left below `leave`."""

    name: str
    enter: float
    leave: float


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What evidence is judged by: a calibration, the bands with the least risk first, and how long a record is kept."""

    calibration: Calibration
    bands: tuple[BandAt, ...] = ()
    keep_s: float = 30 * 86_400.0
    weights: tuple[float, ...] = field(init=False, repr=False)
    """Those of the calibration, by slot."""

    def __post_init__(self) -> None:
        known = self.calibration.weights
        object.__setattr__(self, "weights", tuple([known.get(name, 0.0) for name in SLOTS]))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one request of a proven account said, and what it is judged by.

    Args:
        nats: by slot; made by `slotted`.
        delay: the requests that this account goes on for, should it now reach a band.
        entered: whether this request began a conversation in the band that was due.
    """

    nats: tuple[float, ...]
    scale: Scale
    delay: int = 0
    entered: bool = False


class Record(NamedTuple):
    """What a store keeps of an account, as of its last settled request.

    `weight` is the number of requests that spoke, faded like the sums. `band` is in force; `due` is a
    higher one that has been reached, and `wait` the requests left before a conversation may begin in it.
    """

    at: float
    until: float
    weight: float = 0.0
    risk: float = 0.0
    wait: int = 0
    band: str = ""
    due: str = ""
    sums: tuple[float, ...] = _NO_SUMS

    @property
    def is_ready(self) -> bool:
        """Whether the next conversation begins in the band that is due."""
        return bool(self.due) and self.wait <= 0


def slotted(nats: Mapping[str, float]) -> tuple[float, ...]:
    """Evidence by slot, each within its bounds; what is not known or no number says nothing."""
    return tuple([_bounded(nats.get(name, 0.0)) for name in SLOTS])


def _bounded(nats: float) -> float:
    return min(max(nats, LEAST_NATS), MOST_NATS) if nats == nats else 0.0


def merged(record: Record, nats: Sequence[float], seconds: float, calibration: Calibration) -> Record:
    """The record with the evidence of one more request, so many seconds later."""
    fading = 2.0 ** (-max(0.0, seconds) / calibration.half_life_s)
    floor, cap = calibration.floor, calibration.cap
    sums = [
        min(max(known * fading + more, floor), cap) for known, more in zip(record.sums, nats, strict=True)
    ]
    return record._replace(weight=record.weight * fading + 1.0, sums=tuple(sums))


def risk(record: Record, calibration: Calibration) -> float:
    """The probability, in 0..1, that the account copies."""
    return _risk(record, calibration, [calibration.weights.get(name, 0.0) for name in SLOTS])


def _risk(record: Record, calibration: Calibration, weights: Sequence[float]) -> float:
    odds = calibration.prior
    if record.weight >= calibration.least:
        for weight, known in zip(weights, record.sums, strict=True):
            odds += weight * known
    return 1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))


def settled(record: Record | None, evidence: Evidence, now: float) -> Record:
    """The record after one more request, with its risk and its band."""
    scale = evidence.scale
    if record is None or record.until <= now:
        record = Record(now, now)
    record = merged(record, evidence.nats, now - record.at, scale.calibration)
    reached = _risk(record, scale.calibration, scale.weights)
    known = record._replace(at=max(now, record.at), until=now + scale.keep_s, risk=reached)
    due = _band_at(scale.bands, record.due or record.band, reached)
    if _rank(scale.bands, due) <= _rank(scale.bands, record.band):
        return known._replace(band=due, due="", wait=0)
    wait = record.wait - 1 if record.due else evidence.delay
    if record.due and (evidence.entered or wait <= -BORDER_WAIT):
        return known._replace(band=due, due="", wait=0)
    return known._replace(due=due, wait=wait)


def _band_at(bands: Sequence[BandAt], held: str, reached: float) -> str:
    """The highest band that a risk enters, or of those up to the one that is held does not leave; empty for none."""
    found, upto = "", _rank(bands, held)
    for place, band in enumerate(bands, 1):
        if reached >= (band.leave if place <= upto else band.enter):
            found = band.name
    return found


def _rank(bands: Sequence[BandAt], name: str) -> int:
    """The place of a band, from 1; 0 for none, and for one that there is no more."""
    return next((place for place, band in enumerate(bands, 1) if band.name == name), 0)


def clean_at(record: Record, scale: Scale) -> float:
    """From when on it frees nobody of anything to forget this record: not before what speaks against him has faded."""
    if record.band or record.due:
        return record.until
    against = sum(
        weight * known for weight, known in zip(scale.weights, record.sums, strict=True) if known > 0
    )
    if against <= _CLEAN_NATS:
        return record.at
    fades_s = scale.calibration.half_life_s * math.log2(against / _CLEAN_NATS)
    return min(record.until, record.at + fades_s)
