"""Thirty days of honest accounts that keep changing what they do: how many are in a band, under thresholds that stay.

Bands are entered and left as in force: after a delay, with a conversation, and with hysteresis.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from hardening.redteam.detection import world
from hardening.redteam.detection.figures import PRESET_BANDS
from hardening.redteam.detection.pools import Pools
from hardening.redteam.detection.runs import Runner
from hardening.state.standing import LONGEST_DELAY, Evidence, Record, Scale, settled, slotted

DAYS = 30
A_DAY = 10
"""Requests of such an account, about; a day is so many here."""


class Drifted(NamedTuple):
    """Of honest accounts the share in a band at the end of each day, that was in one at any time, and of requests in one."""

    accounts: int
    by_day: tuple[float, ...]
    ever: float
    requests: float

    @property
    def worst(self) -> float:
        """The share on the worst day: what `max_flagged` bounds."""
        return max(self.by_day)


def drifted(runner: Runner, part: Pools, *, seed: int, accounts: int) -> Drifted:
    """Let the days pass."""
    scale = Scale(runner.calibration, PRESET_BANDS)
    banded = []
    for number in range(accounts):
        draw = random.Random(f"{seed}/drift/{number}")
        asked = world.account(part, draw, count=DAYS * A_DAY, kind=world.DRIFTING)
        said = [(one.facts.at, slotted(nats)) for one, nats in runner.said(asked)]
        banded.append(in_band(said, scale, draw.randrange(LONGEST_DELAY + 1)))
    return summed(banded)


def in_band(said: Sequence[tuple[float, tuple[float, ...]]], scale: Scale, delay: int) -> list[bool]:
    """For each request, with its time and what it says, whether its account is in a band after it; each begins a conversation."""
    record: Record | None = None
    found = []
    for at, nats in said:
        ready = record is not None and record.is_ready
        record = settled(record, Evidence(nats, scale, delay, entered=ready), at)
        found.append(bool(record.band))
    return found


def summed(banded: Sequence[Sequence[bool]]) -> Drifted:
    """The figures of accounts, from whether each was in a band after each request."""
    count = len(banded)
    by_day = tuple(sum(one[day * A_DAY - 1] for one in banded) / count for day in range(1, DAYS + 1))
    requests = sum(map(sum, banded)) / sum(map(len, banded))
    return Drifted(count, by_day, sum(map(any, banded)) / count, requests)
