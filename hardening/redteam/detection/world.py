"""Accounts that ask: honest ones by kind, campaigns by kind, and any mix of the two."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hardening.redteam.detection import campaigns, honest, unfitted
from hardening.redteam.detection.campaigns import reworded
from hardening.redteam.detection.pools import Pools
from hardening.scoring.request import Facts

HONEST = ("chat", *honest.KINDS)
UNFITTED = unfitted.KINDS
"""Honest kinds that no fit knows."""
PEOPLE = "people"
"""Accounts of whole conversations, where a folder holds some."""
DRIFTING = "drifting"
"""An honest account that changes what it does five times in thirty days."""
CAMPAIGNS = ("narrow", "self_instruct", "makers", "tools", "calls", "traces_grades", "volume")
EVASIONS = ("reworded", "tongues", "slowed")
SIGNALS = ("phrasing", "templates", "elicitation", "grading", "synthesis", "rhythm", "switch")
"""Signals that accounts simulated here have evidence of."""
START_S = 1e6
_GAPS_S = {
    "chat": (90.0, 1.4),
    "agents": (8.0, 0.8),
    "travel": (240.0, 1.2),
    "evaluations": (1.5, 0.2),
    "batches": (0.5, 0.1),
    DRIFTING: (5_184.0, 1.0),
    PEOPLE: (90.0, 1.4),
}
_UNFITTED_GAP = (30.0, 1.0)
_CAMPAIGN_GAP = (2.0, 0.3)
_SLOW_GAP = (900.0, 1.0)


class Asked(NamedTuple):
    """One request: its newest message, the rest, and whether it is the campaign's."""

    text: str
    facts: Facts
    copies: bool = False


def account(
    pools: Pools,
    draw: random.Random,
    *,
    count: int,
    kind: str = "chat",
    campaign: str | None = None,
    share: float = 0.0,
) -> Iterator[Asked]:
    """The requests of an account of a kind, a share of them of a campaign."""
    own = _honest(kind, count, pools, draw)
    at = START_S
    for place in range(count):
        copies = campaign is not None and draw.random() < share
        slow = campaign == "slowed"
        mean, spread = (
            (_SLOW_GAP if slow else _CAMPAIGN_GAP)
            if copies and share == 1.0
            else _GAPS_S.get(kind, _UNFITTED_GAP)
        )
        at += mean * draw.lognormvariate(0.0, spread)
        if copies and campaign is not None:
            model = "new" if campaign == "volume" and 2 * place >= count else "old"
            yield Asked(written(campaign, pools, draw), Facts(at, model), copies=True)
        else:
            top = draw.choice((None, 5, 20)) if kind == "evaluations" else None
            yield Asked(own[place], Facts(at, "old", top))


def written(campaign: str, pools: Pools, draw: random.Random) -> str:
    """One prompt of a campaign."""
    return _WRITERS[campaign](pools, draw)


def _honest(kind: str, count: int, pools: Pools, draw: random.Random) -> list[str]:
    if kind == DRIFTING:
        each = -(-count // len(HONEST))
        return [text for one in draw.sample(HONEST, len(HONEST)) for text in _honest(one, each, pools, draw)][
            :count
        ]
    if kind in UNFITTED:
        return unfitted.written(kind, count, pools, draw)
    if kind == PEOPLE:
        return _talked(pools, count, draw)
    if kind != "chat":
        return honest.written(kind, count, pools.part, draw)
    order: list[str] = []
    while len(order) < count:
        order += draw.sample(pools.chat, len(pools.chat))
    return order[:count]


def honest_kinds(pools: Pools) -> tuple[str, ...]:
    """The honest kinds that fits are made with; people in conversations where there are some."""
    return (*HONEST, PEOPLE) if pools.talks else HONEST


def _talked(pools: Pools, count: int, draw: random.Random) -> list[str]:
    said: list[str] = []
    while len(said) < count:
        said += draw.choice(pools.talks)
    return said[:count]


def _narrow(pools: Pools, draw: random.Random) -> str:
    return campaigns.written(campaigns.ANALYSTS, pools.part, draw, lambda: pools.question(draw))


def _makers(pools: Pools, draw: random.Random) -> str:
    return campaigns.written(campaigns.MAKERS, pools.part, draw, lambda: pools.question(draw))


def _self_instruct(pools: Pools, draw: random.Random) -> str:
    return draw.choice(pools.self_instruct)


def _tools(pools: Pools, draw: random.Random) -> str:
    return draw.choice(pools.tools)


def _calls(pools: Pools, draw: random.Random) -> str:
    return campaigns.written(campaigns.CALLS, pools.part, draw, lambda: pools.question(draw))


def _traces_grades(pools: Pools, draw: random.Random) -> str:
    templates = campaigns.TRACES if draw.random() < 0.5 else campaigns.GRADES
    return campaigns.written(templates, pools.part, draw, lambda: pools.question(draw))


def _volume(pools: Pools, draw: random.Random) -> str:
    return draw.choice((_self_instruct, _calls, _narrow))(pools, draw)


def _tongues(pools: Pools, draw: random.Random) -> str:
    return campaigns.written(campaigns.TONGUES, pools.part, draw, lambda: pools.question(draw))


def _reworded(pools: Pools, draw: random.Random) -> str:
    return reworded(draw.choice((_self_instruct, _calls, _narrow, _traces_grades))(pools, draw))


_WRITERS: dict[str, Callable[[Pools, random.Random], str]] = {
    "narrow": _narrow,
    "self_instruct": _self_instruct,
    "makers": _makers,
    "tools": _tools,
    "calls": _calls,
    "traces_grades": _traces_grades,
    "volume": _volume,
    "tongues": _tongues,
    "reworded": _reworded,
    "slowed": _self_instruct,
}
