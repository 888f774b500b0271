"""Runs of accounts through the signals: what is known of each after so many requests, and when it was told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from hardening.redteam.detection import world
from hardening.redteam.detection.pools import Pools
from hardening.scoring.evidence import evidence
from hardening.scoring.reference import Reference
from hardening.scoring.request import Reader
from hardening.scoring.sketch import Sketch
from hardening.scoring.tokens import TokenCounter
from hardening.state.standing import Record, merged, risk, slotted

KEY = b"a key for measuring, of 32 bytes"
ENTER = 0.5
"""The risk from which an account is told: where the presets' first band begins."""


class Run(NamedTuple):
    """An account: its kind, whose campaign, what share; its record after each window, the request that told it, and the campaign's."""

    kind: str
    campaign: str | None
    share: float
    records: tuple[Record, ...]
    told_at: int | None = None
    copied: tuple[int, ...] = ()


class Runner:
    """Sends accounts through a reference; each message is read once."""

    def __init__(self, reference: Reference, counter: TokenCounter) -> None:
        self.read = lru_cache(maxsize=100_000)(Reader(counter, reference.rates, KEY).read)
        self._signals = reference.signals()
        self.calibration = reference.calibration()

    def run(
        self,
        pools: Pools,
        draw: random.Random,
        *,
        windows: Sequence[int],
        kind: str = "chat",
        campaign: str | None = None,
        share: float = 0.0,
    ) -> Run:
        """One account, and what is known of it after each window."""
        asked = world.account(pools, draw, count=max(windows), kind=kind, campaign=campaign, share=share)
        record, told_at = Record(world.START_S, world.START_S), None
        kept: list[Record] = []
        copied: list[int] = []
        for place, (one, said) in enumerate(self.said(asked), 1):
            record = merged(record, slotted(said), one.facts.at - record.at, self.calibration)
            record = record._replace(at=one.facts.at, risk=risk(record, self.calibration))
            if told_at is None and record.risk >= ENTER:
                told_at = place
            if place in windows:
                kept.append(record)
            if one.copies:
                copied.append(place)
        return Run(kind, campaign, share, tuple(kept), told_at, tuple(copied))

    def said(self, asked: Iterable[world.Asked]) -> Iterator[tuple[world.Asked, Mapping[str, float]]]:
        """Each request of an account, with what it says by signal."""
        sketch = Sketch()
        for one in asked:
            yield one, evidence(self.read(one.text), one.facts, sketch, self._signals)


def simulated(
    runner: Runner,
    part: Pools,
    *,
    seed: int,
    accounts: int,
    windows: Sequence[int],
    kinds: Sequence[str] = (),
    campaigns: Sequence[str] = (),
    shares: Sequence[float] = (),
    say: Callable[[str], None] | None = None,
) -> list[Run]:
    """So many accounts of each kind, and of each campaign at each share."""
    runs: list[Run] = []
    groups = [(kind, None, 0.0) for kind in kinds] + [
        ("chat", name, share) for name in campaigns for share in shares
    ]
    for kind, name, share in groups:
        if say is not None:
            say(f"{accounts} accounts: {name or kind}{f', {share:.0%}' if name else ''}")
        for number in range(accounts):
            draw = random.Random(f"{seed}/{name or kind}/{share}/{number}")
            runs.append(runner.run(part, draw, windows=windows, kind=kind, campaign=name, share=share))
    return runs
