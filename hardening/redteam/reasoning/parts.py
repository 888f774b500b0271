"""The parts of the attack on reasoning: each measures some claims, and can be read back from an earlier run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hardening.redteam.claims import Measured
from hardening.redteam.options import Options
from hardening.redteam.report import Table


@dataclass(frozen=True, slots=True)
class Findings:
    """What one part found: figures by the names of their claims, tables, and what could not be measured."""

    measured: dict[str, Measured] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One part, which runs by itself. `run` may raise LookupError for data that is not there."""

    name: str
    run: Callable[[Options], Findings]


def run(part: Part, options: Options) -> Findings:
    """The findings of a part; those of an earlier run with the same options where `options.resume` holds them."""
    place = None if options.resume is None else options.resume / f"{part.name}.json"
    key = {"seed": options.seed, "quick": options.quick, "data": str(options.data)}
    if place is not None and place.exists():
        kept = json.loads(place.read_text("utf-8"))
        if kept["key"] == key:
            options.say(f"{part.name}: from {place}")
            return _read(kept)
    options.say(f"{part.name}: running")
    try:
        found = part.run(options)
    except LookupError as missing:
        return Findings(notes=(f"{part.name}: not measured, {missing.args[0]}",))
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"key": key, **_written(found)}), "utf-8")
    return found


def _written(found: Findings) -> dict[str, Any]:
    return {
        "measured": {name: list(one) for name, one in found.measured.items()},
        "tables": [[table.title, table.columns, table.rows] for table in found.tables],
        "notes": found.notes,
        "pictures": found.pictures,
    }


def _read(kept: dict[str, Any]) -> Findings:
    return Findings(
        measured={name: Measured(*one) for name, one in kept["measured"].items()},
        tables=tuple(
            Table(title, tuple(names), tuple(map(tuple, rows))) for title, names, rows in kept["tables"]
        ),
        notes=tuple(kept["notes"]),
        pictures=tuple(kept["pictures"]),
    )
