"""A flood: accounts that get themselves flagged, so that the bands of everybody else end.

Requests go the way of `asgi/case.py`: admitted by a store, begun in the band that is due, decided, settled with what they
said, and counted among the accounts seen lately. Only the app and limits are left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from hardening.asgi.flagged import LEAST, FlaggedShare
from hardening.asgi.judge import Judge, beginning
from hardening.facts import Account, RequestFacts
from hardening.policy import Policy, decide
from hardening.redteam.detection import world
from hardening.redteam.detection.pools import Pools
from hardening.redteam.detection.runs import KEY, Runner
from hardening.state import MemoryStore
from hardening.wire.spoken import Spoken

SHARE = 0.3
"""The share of all accounts that are flagged once the flood is there."""
BEFORE, AFTER = 40, 25
"""Requests of each account before the flood; and of each, those of the flood too, from then on."""
_COPYING = 0.03  # of honest accounts: below the bound of the presets
_CAMPAIGN = "self_instruct"
_FACTS = RequestFacts("/chat/completions", "openai_chat", model="glass-1", stream=True)
_BEGINS = partial(Spoken, "", begins=True)
_WALL = 1_800_000_000.0
_STEP_S = 60.0

Said = Mapping[str, float]
Crowd = dict[str, list[Sequence[Said]]]
"""By side, what each of its accounts says request by request: `honest`, `copying`, `flood`."""


class Seen(NamedTuple):
    """How it ended: of all accounts the share in a band, and of a side the share on whose last answer a band acted."""

    flagged: float
    alarmed: bool
    acting: Mapping[str, float]
    risks: Mapping[str, Sequence[float]]


class Flooded(NamedTuple):
    """The same accounts without a flood, and in one under each `above_max`."""

    accounts: Mapping[str, int]
    calm: Seen
    alarm: Seen
    shadow: Seen

    @property
    def moved(self) -> float:
        """By how much the flood moved the risk of an account of another side, at most."""
        pairs = (
            zip(self.calm.risks[side], self.alarm.risks[side], strict=True) for side in ("honest", "copying")
        )
        return max(abs(one - other) for side in pairs for one, other in side)


def flooded(runner: Runner, part: Pools, *, seed: int, honest: int) -> Flooded:
    """Let a flood come over so many honest accounts, at least as many as an alarm needs, and over some that copy."""
    crowd = _crowd(runner, part, seed, max(honest, LEAST))
    alarm, shadow = (Policy(extends="baseline", risk={"above_max": above}) for above in ("alarm", "shadow"))
    calm = passed({**crowd, "flood": []}, alarm)
    counts = {side: len(streams) for side, streams in crowd.items()}
    return Flooded(counts, calm, passed(crowd, alarm), passed(crowd, shadow))


def _crowd(runner: Runner, part: Pools, seed: int, honest: int) -> Crowd:
    copying = int(_COPYING * honest)
    flood = round((SHARE * honest - (1.0 - SHARE) * copying) / (1.0 - SHARE))

    def streams(side: str, accounts: int, count: int) -> Iterator[Sequence[Said]]:
        for number in range(accounts):
            draw = random.Random(f"{seed}/flood/{side}/{number}")
            kind = world.HONEST[number % len(world.HONEST)] if side == "honest" else "chat"
            campaign, share = (None, 0.0) if side == "honest" else (_CAMPAIGN, 1.0)
            asked = world.account(part, draw, count=count, kind=kind, campaign=campaign, share=share)
            yield [said for _, said in runner.said(asked)]

    return {
        "honest": list(streams("honest", honest, BEFORE + AFTER)),
        "copying": list(streams("copying", copying, BEFORE + AFTER)),
        "flood": list(streams("flood", flood, AFTER)),
    }


def passed(crowd: Crowd, policy: Policy) -> Seen:
    """Let all requests pass, one of each account in turn; the flood's begin later."""
    passing = _Passing(policy)
    last: dict[str, dict[str, bool]] = {side: {} for side in crowd}
    for turn in range(BEFORE + AFTER):
        for side, streams in crowd.items():
            place = turn - BEFORE if side == "flood" else turn
            if place >= 0:
                for number, said in enumerate(streams):
                    account = f"{side}_{number}"
                    last[side][account] = passing.ask(account, said[place], turn * _STEP_S)
    return passing.seen(last)


class _Passing:
    """One process under a policy: its store, its judge, and the share of accounts that it has flagged."""

    def __init__(self, policy: Policy) -> None:
        self._whole = policy
        self._judge = Judge(key=KEY, calibration=None, signals=(), unscored=_ignore, faulted=_ignore)
        self._store = MemoryStore()
        self._share = FlaggedShare()

    def ask(self, name: str, said: Said, now: float) -> bool:
        """Let a request pass; whether a band acted on it."""
        account, risk = Account(name), self._whole.risk
        policy = self._share.acting(self._whole)
        admission = self._store.admit(account, (), now)
        assert admission.lease is not None
        standing, entered = beginning(admission.standing, _BEGINS)
        decision = decide(policy, _FACTS, account, standing, _WALL + now)
        self._share.note(name, banded=standing.band is not None, bound=risk.max_flagged)
        evidence = self._judge.evidence(policy, account, None, said, standing, entered=entered)
        self._store.settle(admission.lease, (), evidence, now)
        return decision.band is not None

    def seen(self, last: Mapping[str, Mapping[str, bool]]) -> Seen:
        """How it ended, by whether a band acted on the last answer of each account."""
        acting = {side: sum(found.values()) / len(found) for side, found in last.items() if found}
        risks = {
            side: [self._store.look(Account(name), (), 0.0).standing.risk for name in found]
            for side, found in last.items()
        }
        return Seen(self._share.flagged / self._share.seen, self._share.is_above, acting, risks)


def _ignore(_: object) -> None:
    """Nothing waits on a thread here, so nothing comes late."""
