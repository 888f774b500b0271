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

from hardening.facts import NEW

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
"""What evidence there is, by signal."""

APP = "app"
"""The sum of what the app's own signals say."""

SLOTS = (*SIGNALS, APP)
"""What a record keeps a sum of, by place: a new one comes last, behind `app`."""

LEAST_NATS, MOST_NATS = -0.11, 4.0
"""What one request may say under one signal: no single one convicts anybody, and none clears him."""

REPEATED_NATS = 1.5
"""What an answer says that repeats its hidden trace at length; honest answers repeat a little, so less says nothing."""

LONGEST_DELAY = 8
"""Requests that an account goes on for after its risk was reached: drawn by a key, from none to this many."""

BORDER_WAIT = 16
"""Requests after those within which a new conversation is waited for; then the band is entered in an old one."""

_CLEAN_NATS = 1.0
_NO_SUMS = (0.0,) * len(SLOTS)
_PLACES = {name: place for place, name in enumerate(SLOTS)}


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
    by_slot: tuple[tuple[int, float], ...] = field(init=False, repr=False, compare=False)
    """The place of each sum that counts, and how much it does."""

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
        counts = [(slot, self.weights[name]) for slot, name in enumerate(SLOTS) if self.weights.get(name)]
        object.__setattr__(self, "by_slot", tuple(counts))


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one request of a proven account said, and what it is judged by.

    Args:
        nats: by slot; made by `slotted`.
        delay: the requests that this account goes on for, should it now reach a band.
        entered: whether this request began a conversation in the band that was due.
        prior: what is known of the account beside its requests, in nats.
        under: the band in which the request was decided, `NEW` for none but that of new accounts.
    """

    nats: tuple[float, ...]
    scale: Scale
    delay: int = 0
    entered: bool = False
    prior: float = 0.0
    under: str = ""

    @property
    def start(self) -> float:
        """The log-odds of the account before its requests are heard.

        A prior counts against it for half of the way to where the lowest band is left, at most: whatever is known beside
        them, requests bring the other half, and who is in a band leaves it as they fade.
        """
        start, bands = self.scale.calibration.prior, self.scale.bands
        if not self.prior or not bands:
            return start
        return start + min(self.prior, max(0.0, (_log_odds(min([band.leave for band in bands])) - start) / 2))


class Record(NamedTuple):
    """What a store keeps of an account, as of its last settled request.

    `weight` is the number of requests that spoke, faded like the sums. `band` is in force; `due` is a
    higher one that has been reached, and `wait` the requests left before a conversation may begin in it. `peak` is the highest
    in which a request was decided, until none was for as long as a record is kept.
    """

    at: float
    until: float
    weight: float = 0.0
    risk: float = 0.0
    wait: int = 0
    band: str = ""
    due: str = ""
    sums: tuple[float, ...] = _NO_SUMS
    peak: str = ""
    peak_until: float = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the next conversation begins in the band that is due."""
        return bool(self.due) and self.wait <= 0

    def peak_at(self, now: float) -> str:
        """The highest band that it was in lately."""
        return self.peak if self.peak_until > now else ""


def record_of(
    at: float,
    until: float,
    weight: float,
    risk: float,
    wait: int,
    band: str,
    due: str,
    sums: Sequence[float],
    peak: str = "",
    peak_until: float = 0.0,
) -> Record:
    """A record as a store kept it; sums of signals that it did not know yet are 0."""
    known = (*sums, *_NO_SUMS[len(sums) :])
    return Record(at, until, weight, risk, wait, band, due, known[: len(SLOTS)], peak, peak_until)


def slotted(nats: Mapping[str, float]) -> tuple[float, ...]:
    """Evidence by slot, each within its bounds; what is not known or no number says nothing."""
    said = [0.0] * len(SLOTS)
    for name, more in nats.items():
        if more == more and name in _PLACES:
            said[_PLACES[name]] = min(max(more, LEAST_NATS), MOST_NATS)
    return tuple(said)


def merged(record: Record, nats: Sequence[float], seconds: float, calibration: Calibration) -> Record:
    """The record with the evidence of one more request, so many seconds later."""
    fading = 2.0 ** (-seconds / calibration.half_life_s) if seconds > 0.0 else 1.0
    floor, cap = calibration.floor, calibration.cap
    sums = [known * fading + more for known, more in zip(record.sums, nats, strict=True)]
    if min(sums) < floor or max(sums) > cap:
        sums = [min(max(total, floor), cap) for total in sums]
    return Record(
        record.at,
        record.until,
        record.weight * fading + 1.0,
        record.risk,
        record.wait,
        record.band,
        record.due,
        tuple(sums),
        record.peak,
        record.peak_until,
    )


def risk(record: Record, calibration: Calibration, start: float | None = None) -> float:
    """The probability, in 0..1, that the account copies; `start` in place of the calibration's prior."""
    odds = calibration.prior if start is None else start
    if record.weight >= calibration.least:
        sums = record.sums
        for slot, weight in calibration.by_slot:
            odds += weight * sums[slot]
    return 1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))


def before(record: Record, calibration: Calibration) -> float | None:
    """The log-odds of a record that its requests do not account for: the prior, and what the app knows; None beyond doubt.

    True where the record was judged by this calibration.
    """
    if not 0.0 < record.risk < 1.0:
        return None
    heard = calibration.by_slot if record.weight >= calibration.least else ()
    return _log_odds(record.risk) - sum(weight * record.sums[slot] for slot, weight in heard)


def settled(record: Record | None, evidence: Evidence, now: float) -> Record:
    """The record after one more request, with its risk and its band."""
    scale = evidence.scale
    if record is None or record.until <= now:
        record = Record(now, now)
    known = merged(record, evidence.nats, now - record.at, scale.calibration)
    reached = risk(known, scale.calibration, evidence.start)
    band, due, wait = record.band, record.due, record.wait
    if band or due or (scale.bands and reached >= scale.bands[0].enter):
        band, due, wait = _entered(record, evidence, reached)
    at, until = max(now, record.at), now + scale.keep_s
    peak, peak_until = record.peak_at(now), record.peak_until if record.peak_at(now) else 0.0
    if band or evidence.under:
        peak, peak_until = _peak(scale.bands, peak, (evidence.under, band)), until
    return Record(at, until, known.weight, reached, wait, band, due, known.sums, peak, peak_until)


def _peak(bands: Sequence[BandAt], peak: str, others: Sequence[str]) -> str:
    """The highest of these bands; a peak that is none of the policy's any more stays, for nobody knows how high it was."""
    for other in others:
        known = _rank(bands, peak)
        if other and (peak in ("", NEW) or 0 < known < _rank(bands, other)):
            peak = other
    return peak


def _entered(record: Record, evidence: Evidence, reached: float) -> tuple[str, str, int]:
    """The band at this risk, the one that is due, and how many requests it waits: down at once, up after a delay."""
    bands, band = evidence.scale.bands, record.band
    due = _band_at(bands, record.due or band, reached)
    if _rank(bands, due) <= _rank(bands, band):
        return due, "", 0
    if not record.due:
        return band, due, evidence.delay
    wait = record.wait - 1
    return (due, "", 0) if evidence.entered or wait <= -BORDER_WAIT else (band, due, wait)


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


def _log_odds(share: float) -> float:
    if share <= 0.0:
        return -math.inf
    return math.log(share / (1.0 - share)) if share < 1.0 else math.inf


def clean_at(record: Record, scale: Scale) -> float:
    """From when on it frees nobody of anything to forget this record: not before what speaks against him has faded."""
    if record.band or record.due:
        return record.until
    against, sums = 0.0, record.sums
    for slot, weight in scale.calibration.by_slot:
        if sums[slot] > 0.0:
            against += weight * sums[slot]
    # Who was only new is new again when forgotten.
    kept_until = record.at if record.peak in ("", NEW) else max(record.at, record.peak_until)
    if against <= _CLEAN_NATS:
        return kept_until
    fades_s = scale.calibration.half_life_s * math.log2(against / _CLEAN_NATS)
    return min(record.until, max(record.at + fades_s, kept_until))
