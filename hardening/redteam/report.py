"""What an attack found: claims, and the tables behind them, for people and as one JSON object."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.table import Table as RichTable

from hardening.redteam.claims import Claim


@dataclass(frozen=True, slots=True)
class Table:
    """Figures behind the claims; the first column says what a row is about."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one attack. `notes` say what was not measured, and why; `pictures` are files."""

    name: str
    claims: tuple[Claim, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every claim does."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)

    def as_json(self) -> str:
        """All of it, with date and Python."""
        told = {
            "report": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            **{name: value for name, value in asdict(self).items() if name != "name"},
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()

    def show(self, console: Console) -> None:
        """Print the tables, the claims, and what was not measured."""
        for table in self.tables:
            console.print(_drawn(table))
        console.print(_drawn_claims(self.claims))
        for note in (*self.notes, *(f"picture: {path}" for path in self.pictures)):
            console.print(note, markup=False, highlight=False, soft_wrap=True)


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, title_justify="left")
    for place, name in enumerate(table.columns):
        drawn.add_column(name, justify="right" if place else "left")
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _drawn_claims(claims: Sequence[Claim]) -> RichTable:
    drawn = RichTable(title="Claims", title_justify="left")
    drawn.add_column("claim")
    for name in ("figure", "without us", "goal", "n", ""):
        drawn.add_column(name, justify="right")
    for claim in claims:
        missed = "not judged" if claim.value is None else "[red]MISSES[/]"
        word = "[green]holds[/]" if claim.holds else missed
        figure = "not measured" if claim.value is None else _cell(claim.value)
        goal = f"{claim.op} {claim.goal:g}"
        drawn.add_row(claim.name, figure, _cell(claim.control), goal, f"{claim.n:,}", word)
    return drawn


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
