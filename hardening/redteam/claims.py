"""Claims: a figure, the goal that `docs/claims.json` fixes for it, and the same figure without us."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_claims.json", _PACKAGE.parent / "docs" / "claims.json")
"""The wheel carries the file inside the package; a checkout and an sdist have it in `docs`."""

_OPS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is held to."""

    name: str
    goal: float
    op: str

    def met(self, value: float) -> bool:
        """Whether a figure meets it."""
        return _OPS[self.op](value, self.goal)


class Measured(NamedTuple):
    """A figure over `n` of something; `control` is the same without us, None for a cost or a harm to honest users."""

    value: float
    n: int
    control: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A goal with the figure that was reached; `value` None where nothing measured it."""

    name: str
    value: float | None
    goal: float
    op: str
    holds: bool
    control: float | None
    n: int
    seed: int


def goals(report: str, path: Path | None = None) -> dict[str, Goal]:
    """The goals of one report, by name. Raises ValueError for a comparison that is not known."""
    found = {}
    for one in json.loads((path or _file()).read_text(encoding="utf-8"))["claims"]:
        if one["op"] not in _OPS:
            raise ValueError(f"{one['name']}: found {one['op']!r}, allowed are {', '.join(_OPS)}")
        if one["report"] == report:
            found[one["name"]] = Goal(one["name"], one["goal"], one["op"])
    return found


def judge(goals: Mapping[str, Goal], measured: Mapping[str, Measured], *, seed: int) -> list[Claim]:
    """Each goal with what was measured for it.

    A claim holds where the figure meets the goal, over something, and the control misses it: an attack
    that fails without us as well proves nothing. What nothing measured does not hold. Raises ValueError for a figure that no goal names.
    """
    if unknown := measured.keys() - goals.keys():
        raise ValueError(f"no goal for {', '.join(sorted(unknown))}")
    return [_judged(goal, measured.get(goal.name), seed) for goal in goals.values()]


def _judged(goal: Goal, found: Measured | None, seed: int) -> Claim:
    if found is None:
        return Claim(goal.name, None, goal.goal, goal.op, False, None, 0, seed)
    holds = (
        found.n > 0 and goal.met(found.value) and not (found.control is not None and goal.met(found.control))
    )
    return Claim(goal.name, found.value, goal.goal, goal.op, holds, found.control, found.n, seed)


def _file() -> Path:
    return next(place for place in _PLACES if place.exists())
