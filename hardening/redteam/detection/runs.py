"""Runs of accounts through the signals: what is known of each after so many requests."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from hardening.redteam.detection import world
from hardening.redteam.detection.pools import Pools
from hardening.scoring.evidence import evidence
from hardening.scoring.reference import Reference
from hardening.scoring.request import Reader
from hardening.scoring.sketch import Sketch
from hardening.scoring.tokens import TokenCounter
from hardening.state.standing import Calibration, Record, merged, slotted

WINDOWS = (20, 50, 100, 200, 500)
KEY = b"a key for measuring, of 32 bytes"


class Run(NamedTuple):
    """An account: its kind, whose campaign, what share, and its record after each window."""

    kind: str
    campaign: str | None
    share: float
    records: tuple[Record, ...]


class Runner:
    """Sends accounts through a reference; each message is read once."""

    def __init__(
        self, reference: Reference, counter: TokenCounter, calibration: Calibration | None = None
    ) -> None:
        reader = Reader(counter, reference.rates, KEY)
        self.read = lru_cache(maxsize=100_000)(reader.read)
        self._signals = reference.signals()
        self._calibration = calibration or reference.calibration()

    def run(
        self,
        pools: Pools,
        draw: random.Random,
        *,
        kind: str = "chat",
        campaign: str | None = None,
        share: float = 0.0,
        windows: Sequence[int] = WINDOWS,
    ) -> Run:
        """One account, and what is known of it after each window."""
        asked = world.account(pools, draw, count=max(windows), kind=kind, campaign=campaign, share=share)
        return Run(kind, campaign, share, tuple(self._records(asked, frozenset(windows))))

    def _records(self, asked: Iterable[world.Asked], windows: frozenset[int]) -> Iterable[Record]:
        sketch, record = Sketch(), Record(0.0, 0.0)
        for place, one in enumerate(asked, 1):
            said = evidence(self.read(one.text), one.facts, sketch, self._signals)
            seconds = one.facts.at - record.at if place > 1 else 0.0
            record = merged(record, slotted(said), seconds, self._calibration)._replace(at=one.facts.at)
            if place in windows:
                yield record
