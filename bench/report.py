"""What was measured, as one table and one JSON object, and which claims hold."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from hardening.redteam.claims import Claim, Measured


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


def measured(rows: Sequence[Row]) -> dict[str, Measured]:
    """What the rows measured for the claims that they name."""
    return {row.claim: _measured(row) for row in rows if row.claim}


def _measured(row: Row) -> Measured:
    spread = row.ratio or row.figure
    return Measured(round(row.value, 4), spread.n if spread else 0)


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
