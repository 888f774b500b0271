"""`python -m bench`: measure, print one table, write one JSON; exit 1 when a claim does not hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench import latency, noised, scoring, sockets, vectors
from bench.report import as_json, measured, show
from hardening.redteam.claims import goals, judge


def main(arguments: list[str] | None = None) -> int:
    """Measure as the arguments say; the exit status."""
    options = _options(arguments)
    console = Console(stderr=True, highlight=False)

    def progress(what: str) -> None:
        console.print(f"[dim]measuring: {what}[/dim]")

    rows = latency.measure(progress, quick=options.quick)
    rows += noised.measure(progress, quick=options.quick)
    rows += scoring.measure(progress, quick=options.quick)
    rows += vectors.measure(progress, quick=options.quick)
    rows += sockets.measure(progress, quick=options.quick)
    claims = judge(goals("bench"), measured(rows), seed=latency.SEED)
    show(rows, claims, Console(highlight=False, width=None if sys.stdout.isatty() else 150))
    if options.json is not None:
        options.json.write_text(as_json(rows, claims, quick=options.quick), encoding="utf-8")
    return 0 if all(claim.holds for claim in claims) else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="What hardening costs.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a minute less, a wider spread")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
