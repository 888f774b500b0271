"""What was measured, as one table and one JSON object, and which claims hold."""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

CLAIMS = Path(__file__).resolve().parents[1] / "docs" / "claims.json"

_OPS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a sample and the quartiles around it."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high, len(values))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `ratio` is to what `to` names, in the same round; `claim` names the claim made.

    `claims` says which of the two figures the claim is about.
    """

    section: str
    what: str
    figure: Spread | None
    unit: str = "us"
    ratio: Spread | None = None
    to: str = ""
    claim: str = ""

    @property
    def value(self) -> float:
        """The figure that a claim is about: the ratio where there is one."""
        spread = self.ratio or self.figure
        if spread is None:
            raise ValueError(f"{self.what}: a row without a figure")
        return spread.median


@dataclass(frozen=True, slots=True)
class Goal:
    """A claim as `docs/claims.json` fixes it."""

    name: str
    goal: float
    op: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim with the figure that was reached; `value` None where nothing measured it."""

    name: str
    value: float | None
    goal: float
    op: str
    holds: bool
    control: float | None
    n: int
    seed: int


def goals(report: str, path: Path = CLAIMS) -> dict[str, Goal]:
    """The goals of one report, by name. Raises ValueError for a comparison that is not known."""
    found = {}
    for one in json.loads(path.read_text(encoding="utf-8"))["claims"]:
        if one["op"] not in _OPS:
            raise ValueError(f"{one['name']}: found {one['op']!r}, allowed are {', '.join(_OPS)}")
        if one["report"] == report:
            found[one["name"]] = Goal(one["name"], one["goal"], one["op"])
    return found


def judge(goals: Mapping[str, Goal], rows: Sequence[Row], *, seed: int) -> list[Claim]:
    """Each goal with what was measured; one that nothing measured does not hold.

    Raises ValueError for a measured claim that no goal names.
    """
    made = {row.claim: row for row in rows if row.claim}
    if unknown := made.keys() - goals.keys():
        raise ValueError(f"no goal for {', '.join(sorted(unknown))}")
    return [_judged(goal, made.get(goal.name), seed) for goal in goals.values()]


def _judged(goal: Goal, row: Row | None, seed: int) -> Claim:
    if row is None:
        return Claim(goal.name, None, goal.goal, goal.op, False, None, 0, seed)
    spread = row.ratio or row.figure
    holds = _OPS[goal.op](row.value, goal.goal)
    return Claim(
        goal.name, round(row.value, 4), goal.goal, goal.op, holds, None, spread.n if spread else 0, seed
    )


def as_json(rows: Sequence[Row], claims: Sequence[Claim], *, quick: bool) -> str:
    """Everything as one JSON object, with machine and date."""
    report = {
        "report": "bench",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "quick": quick,
        "rows": [asdict(row) for row in rows],
        "claims": [asdict(claim) for claim in claims],
    }
    return json.dumps(report, indent=1) + "\n"


def machine() -> dict[str, str | int]:
    """What the figures were taken on."""
    packages = ("hardening", "starlette", "orjson", "numba", "uvicorn")
    return {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in packages},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def show(rows: Sequence[Row], claims: Sequence[Claim], console: Console) -> None:
    """Print the table: medians, quartiles in brackets, and each claim beside its figure."""
    judged = {claim.name: claim for claim in claims}
    table = Table(title="What hardening costs", caption=_caption(), title_justify="left")
    table.add_column("what")
    for name in ("median", "quartiles", "ratio", "quartiles", "to", "goal"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, row in enumerate(rows):
        if not place or rows[place - 1].section != row.section:
            table.add_section()
            table.add_row(f"[bold]{row.section}[/bold]")
        figure, quartiles = _cells(row.figure, row.unit)
        ratio, around = _cells(row.ratio, "x")
        table.add_row(row.what, figure, quartiles, ratio, around, row.to, _goal(judged.get(row.claim)))
    console.print(table)
    for claim in claims:
        if claim.value is None:
            console.print(f"[red]{claim.name}: not measured[/red]")


def _caption() -> str:
    on = machine()
    return f"{on['processor']}, {on['cores']} cores, {on['python']}; one core, interleaved rounds"


def _cells(spread: Spread | None, unit: str) -> tuple[str, str]:
    if spread is None:
        return "", ""
    gap = "" if unit == "x" else " "
    return f"{_number(spread.median)}{gap}{unit}", f"{_number(spread.low)} .. {_number(spread.high)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _goal(claim: Claim | None) -> str:
    if claim is None:
        return ""
    colour, word = ("green", "holds") if claim.holds else ("red", "misses")
    return f"[{colour}]{word} {claim.op} {claim.goal:g}[/{colour}]"
