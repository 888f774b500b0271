"""What was used, counted and spent, side by side: three figures that must be one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.load.clients import Told
from bench.load.plan import CHUNK_TOKENS, PROMPT_TOKENS, TIGHT_TOKENS
from bench.report import Row, Spread
from hardening.redteam.claims import Claim

# Of these the app knows what it made; of the others what it made beyond the end was for nobody.
_TRUE = ("done", "whole", "failed", "broken")


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is known when the load is over; by account."""

    requests: int
    seconds: float
    client_cpu_s: float
    worker_cpu_s: float
    told: Told
    made: Counter[str]
    settled: Counter[str]
    outcomes: Counter[str]
    unanswered: int
    spent: dict[str, float]
    open_leases: int


def gathered(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Counter[str]]]:
    """What each worker left in the folder, and the sums of all."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("seen-*.json"))]
    sums: dict[str, Counter[str]] = {"made": Counter(), "settled": Counter(), "outcomes": Counter()}
    for one in found:
        for name, counter in sums.items():
            counter.update(one[name])
    return found, sums


def rows(outcome: Outcome) -> list[Row]:
    """The table."""
    n = outcome.requests

    def row(section: str, what: str, value: float, claim: str = "") -> Row:
        return Row(section, what, Spread(value, value, value, n), "", claim=claim)

    ends: Counter[str] = Counter()
    for name, count in outcome.outcomes.items():
        ends[name.split()[1]] += count
    load = [
        row("load", "requests", n),
        row("load", "requests a second", n / outcome.seconds),
        row("load", "time of processors, workers, us a request", 1e6 * outcome.worker_cpu_s / n),
        row("load", "time of processors, clients, us a request", 1e6 * outcome.client_cpu_s / n),
        *(row("load", f"ended: {end}", count) for end, count in sorted(ends.items())),
    ]
    return [
        *load,
        row("tokens", "spent in the store", sum(outcome.spent.values())),
        row("tokens", "settled by receipts", outcome.settled.total()),
        row("tokens", "differ, by account", _spent_differs(outcome), claim="load_spent_differs"),
        row("tokens", "differ from what the app made", _made_differs(outcome), claim="load_usage_differs"),
        row("tokens", "past a limit, beyond a chunk a cut", _passed(outcome), claim="load_limit_passed"),
        row("leases", "left open", outcome.open_leases, claim="load_left_in_flight"),
        row("requests", "that the store did not answer", outcome.unanswered, claim="load_unanswered"),
        row("requests", "without a receipt", n - outcome.outcomes.total(), claim="load_without_receipt"),
    ]


def show(title: str, rows: Sequence[Row], claims: Sequence[Claim], console: Console) -> None:
    """Print the table: each figure, and beside it what it must be."""
    judged = {claim.name: claim for claim in claims}
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("goal", justify="right")
    for place, row in enumerate(rows):
        if place and rows[place - 1].section != row.section:
            table.add_section()
        claim = judged.get(row.claim)
        word = "" if claim is None else f"{'holds' if claim.holds else 'misses'} {claim.op} {claim.goal:g}"
        table.add_row(f"{row.section}: {row.what}", f"{row.value:,.0f}", word)
    console.print(table)


def _spent_differs(outcome: Outcome) -> float:
    """Between what receipts say and what the store has spent, all accounts added up."""
    return float(sum(abs(round(spent) - outcome.settled[name]) for name, spent in outcome.spent.items()))


def _made_differs(outcome: Outcome) -> float:
    """Between what the app made and what was settled; of those who left, beyond what they can have caused."""
    differs = 0
    for name in outcome.spent:
        made, settled = outcome.made[name], outcome.settled[name]
        if name.startswith(_TRUE):
            differs += abs(made - settled)
        else:
            received = outcome.told.chunks[name] * CHUNK_TOKENS
            differs += max(0, settled - made) + max(0, received - settled)
    return float(differs)


def _passed(outcome: Outcome) -> float:
    """Tokens above a tight limit, apart from the one chunk of each stream that found it used up."""
    worst = 0.0
    for name, spent in outcome.spent.items():
        if name.startswith("tight"):
            cuts = outcome.outcomes[f"{name} cut"]
            worst = max(worst, round(spent) - TIGHT_TOKENS - cuts * (CHUNK_TOKENS + PROMPT_TOKENS))
    return worst
