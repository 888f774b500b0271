"""Makes a reference: wording from one part of the sets, the risk from accounts simulated on another."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hardening.redteam.detection import fit, honest, pools, world
from hardening.redteam.detection.grammar import Part
from hardening.redteam.detection.pools import Pools
from hardening.redteam.detection.runs import Run, Runner, simulated
from hardening.scoring.reference import Reference
from hardening.scoring.request import Read
from hardening.scoring.tokens import TokenCounter

WORDED = ("self_instruct", "tools")
"""Campaigns whose wording is fitted; the others are known by what they say."""
SPOKEN = ("narrow", "makers", "calls", "traces_grades", "tongues")
SHARES = (0.1, 0.25)
WINDOWS = (20, 50, 100, 200)
_FITTED_ON: tuple[Part, Part] = ("fit", "calibrate")
_WRITTEN = 480  # prompts of each set that is written from grammars
_ACCOUNT = 12  # of these, by one account
_TURNS = 8000  # of conversations, beside their openings
_COUNTED = 2000.0  # accounts' weights add up to this


def make(
    data: Path,
    counter: TokenCounter,
    *,
    seed: int,
    accounts: int = 60,
    without: Sequence[str] = (),
    poison: float = 0.0,
    say: Callable[[str], None],
) -> Reference:
    """The reference fitted to a folder of sets, without the campaigns and honest kinds that are named.

    `poison` is the share of prompts of people, in the fit, that a campaign's replace.

    Raises:
        LookupError: a set is not there.
    """
    parts = [_poisoned(pools.load(data, part), poison) for part in _FITTED_ON]
    say("wording: reading prompts")
    bare = Runner(fit.nothing(), counter)
    blank = replace(fit.nothing(), rates=fit.rates(_honest(bare, parts[0], seed, without)))
    reader = Runner(blank, counter)
    (ours, theirs), held = (
        (_honest(reader, part, seed, without), _campaigns(reader, part, seed, without)) for part in parts
    )
    worded = [name for name in WORDED if name not in without]
    people = [name for name in ours if name not in honest.KINDS]
    known = fit.wording(blank, ours, theirs, held, worded, people)
    say(f"risk: {accounts} accounts of each kind")
    runner = Runner(known, counter)
    return fit.risk(known, weighed(_simulated(runner, parts[1], seed, accounts, without)))


def _simulated(runner: Runner, part: Pools, seed: int, accounts: int, without: Sequence[str]) -> list[Run]:
    named = [one for one in world.CAMPAIGNS if one not in without]
    kinds = [one for one in world.honest_kinds(part) if one not in without]
    return simulated(
        runner,
        part,
        seed=seed,
        accounts=accounts,
        windows=WINDOWS,
        kinds=kinds,
        campaigns=named,
        shares=SHARES,
    )


def weighed(runs: Sequence[Run]) -> fit.Accounts:
    """The sums of all windows, each kind and each campaign as weighty as any other, campaigns by `fit.PREVALENCE`."""
    groups: dict[tuple[str | None, str, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.campaign, run.kind, run.share), []).append(run)
    copying = sum(campaign is not None for campaign, _, _ in groups)
    sums, copies, weights = [], [], []
    for (campaign, _, _), group in groups.items():
        side = fit.PREVALENCE / copying if campaign else (1.0 - fit.PREVALENCE) / (len(groups) - copying)
        for run in group:
            sums += [record.sums for record in run.records]
            copies += [campaign is not None] * len(run.records)
            weights += [_COUNTED * side / len(group) / len(run.records)] * len(run.records)
    return fit.Accounts(np.array(sums), np.array(copies), np.array(weights))


def _poisoned(part: Pools, poison: float) -> Pools:
    """A part whose people are, to a share, a campaign: every so many prompts is one of its."""
    theirs = itertools.cycle(part.self_instruct)
    chats = tuple(
        tuple(
            next(theirs) if int(place * poison) != int((place + 1) * poison) else text
            for place, text in enumerate(chat)
        )
        for chat in part.chats
    )
    return replace(part, chats=chats)


def _honest(runner: Runner, part: Pools, seed: int, without: Sequence[str]) -> dict[str, list[Read]]:
    draw = random.Random(f"{seed}/honest")
    sets = {
        f"chat {place}": _read(runner, texts)
        for place, texts in enumerate(part.chats)
        if "chat" not in without
    }
    if part.talks and world.PEOPLE not in without:
        later = [text for talk in part.talks for text in talk[1:]]
        sets["openings"] = _read(runner, (talk[0] for talk in part.talks))
        sets["turns"] = _read(runner, random.Random(seed).sample(later, min(_TURNS, len(later))))
    for kind in honest.KINDS:
        if kind in without:
            continue
        written = (honest.written(kind, _ACCOUNT, part.part, draw) for _ in range(_WRITTEN // _ACCOUNT))
        sets[kind] = _read(runner, (text for account in written for text in account))
    return sets


def _campaigns(runner: Runner, part: Pools, seed: int, without: Sequence[str]) -> dict[str, list[Read]]:
    draw = random.Random(f"{seed}/campaigns")
    sets = {"self_instruct": _read(runner, part.self_instruct), "tools": _read(runner, part.tools)}
    sets |= {
        name: _read(runner, (world.written(name, part, draw) for _ in range(_WRITTEN))) for name in SPOKEN
    }
    return {name: reads for name, reads in sets.items() if name not in without}


def _read(runner: Runner, texts: Iterable[str]) -> list[Read]:
    return [runner.read(text) for text in texts]
