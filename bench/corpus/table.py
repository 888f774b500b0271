"""The run as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.corpus.checks import Finding, Result
from bench.corpus.recordings import Recording
from hardening.redteam.claims import Claim

_COLUMNS = {
    "exchanges": "exchanges",
    "read": "read",
    "unreadable": "unread-\nable",
    "hidden_without": "hidden chars\nwithout us",
    "hidden": "that\nleft",
    "summaries": "summary\nsentences",
    "repeated": "said in\nanswer too",
    "answers_changed": "answers\nchanged",
    "sdk_failures": "SDK\nfailures",
}
_MOST_FINDINGS = 40


def print_table(console: Console, results: Iterable[Result], others: Iterable[Recording]) -> None:
    """One row per format, framing and policy, then the formats that no codec reads yet."""
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    others = tuple(others)
    unread = {one.format for one in others}
    for result in results:
        if result.format in unread:
            continue
        key = (result.format, "stream" if result.stream else "whole", result.policy)
        rows.setdefault(key, Counter()).update(result.figures)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("format", "framing", "policy"):
        table.add_column(name)
    for title in [*_COLUMNS.values(), "summary\nof trace", "usage\nfound", "runs"]:
        table.add_column(title, justify="right")
    for key, figures in sorted(rows.items()):
        table.add_row(*key, *(f"{figures[name]:,}" for name in _COLUMNS), *_shares(figures))
    for format, count in sorted(Counter(one.format for one in others).items()):
        table.add_row(format, "", "no codec yet", f"{count:,}", style="dim")
    console.print(table)


def _shares(figures: Counter[str]) -> tuple[str, str, str]:
    told = f"{figures['summary_chars'] / figures['trace_chars']:.0%}" if figures["trace_chars"] else ""
    usage = f"{figures['usage_found']:,} of {figures['usage_expected']:,}"
    return told, usage, f"{figures['runs']:,}"


def print_claims(console: Console, claims: Iterable[Claim]) -> None:
    """One line per claim."""
    console.print()
    for claim in claims:
        without = "" if claim.control is None else f", without us {claim.control:,}"
        verdict = "[green]holds[/]" if claim.holds else "[red]FAILS[/]"
        console.print(
            f"{verdict}  {claim.name} = {claim.value:,} (goal {claim.op} {claim.goal:,}{without}; n = {claim.n:,})",
            highlight=False,
        )


def print_findings(console: Console, findings: list[Finding]) -> None:
    """What does not hold, with the recording to look at."""
    for finding in findings[:_MOST_FINDINGS]:
        console.print(
            f"{finding.recording}  {finding.policy}  {finding.split}: {finding.what}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if len(findings) > _MOST_FINDINGS:
        console.print(f"and {len(findings) - _MOST_FINDINGS} more")
