"""`hardening test`: the rows beside each policy, run through the real decisions; imports no kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from hardening.cli.junit import Case, Suite, as_junit
from hardening.cli.pairs import Pair, find_pairs
from hardening.cli.validate import FINDINGS, UNREADABLE
from hardening.errors import PolicyError, PolicyFault
from hardening.facts import Refusal
from hardening.policy import Policy, load_policy
from hardening.policy.cases import read_cases
from hardening.policy.cases_run import CasesReport, Find, RowResult, Way, run_cases
from hardening.policy.nodes import MAX_BYTES

_NO_ROWS = CasesReport((), ())
_CLOSED = Refusal(403, "forbidden", "this path is not open")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a policy's rows; `policy` is None where it has faults."""

    pair: Pair
    policy: Policy | None
    faults: tuple[PolicyFault, ...]
    report: CasesReport

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not wrong, and not shown to be right."""
        policy, cases = self.pair.policy, self.pair.cases
        if self.policy is None:
            return ()
        if cases is None:
            name = f"{policy.stem}_test{policy.suffix}"
            return (f"{policy}: no rows beside it; write {name}, with rows that apply and rows that do not",)
        return tuple(f"{cases}: no row reaches {part}; add one" for part in self.report.unreached)

    @property
    def fails(self) -> bool:
        """Whether there is a fault, or a row that does not hold."""
        return bool(self.faults) or not self.report.holds

    def as_json(self) -> dict[str, object]:
        """The verdict as it is reported by `--json`."""
        policy = self.policy
        return {
            "source": str(self.pair.source),
            "cases": str(self.pair.cases) if self.pair.cases else None,
            "policy": {"name": policy.name, "digest": policy.digest, "mode": policy.mode} if policy else None,
            "faults": [asdict(fault) for fault in self.faults],
            "warnings": list(self.warnings),
            "unreached": [asdict(part) for part in self.report.unreached],
            "rows": [{**asdict(row), "holds": not row.mismatches} for row in self.report.rows],
        }

    def as_suite(self) -> Suite:
        """The verdict as a JUnit suite; faults are the error of a case that stands for the whole."""
        name = str(self.pair.policy)
        if self.faults:
            first = self.faults[0]
            return Suite(
                name, (Case("policy", first.file, first.line, error="\n".join(map(str, self.faults))),)
            )
        rows = self.report.rows
        return Suite(
            name, tuple(Case(row.name, row.place.file, row.place.line, "\n".join(told(row))) for row in rows)
        )


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH_OR_PRESET]...", help="Policy files, folders, presets; else this folder."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report.")] = None,
) -> None:
    """Run the rows of `policy_test.yaml` beside each policy: exit 0 when all hold, 1 with findings."""
    try:
        verdicts = [judge(pair) for pair in find_pairs(paths or ["."])]
        found = any(verdict.fails or (strict and verdict.warnings) for verdict in verdicts)
        if junit is not None:
            junit.write_bytes(as_junit([verdict.as_suite() for verdict in verdicts]))
    except LookupError as fault:
        typer.echo(fault.args[0], err=True)
        raise typer.Exit(UNREADABLE) from None
    except OSError as fault:
        typer.echo(f"{fault.filename}: {fault.strerror}", err=True)
        raise typer.Exit(UNREADABLE) from None
    if json:
        report = {"ok": not found, "policies": [verdict.as_json() for verdict in verdicts]}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(verdicts)
    raise typer.Exit(FINDINGS if found else 0)


def judge(pair: Pair) -> Verdict:
    """Load a policy and run its rows.

    Raises:
        OSError: the file of cases cannot be read.
    """
    # What is switched for this shell is not what the rows are about.
    environment = {name: value for name, value in os.environ.items() if name != "HARDENING_MODE"}
    policy: Policy | None = None
    try:
        policy = load_policy(pair.source, environment)
        if pair.cases is None:
            return Verdict(pair, policy, (), _NO_ROWS)
        with pair.cases.open("rb") as file:
            cases = read_cases(file.read(MAX_BYTES + 1), str(pair.cases), policy)
    except PolicyError as error:
        return Verdict(pair, policy, error.faults, _NO_ROWS)
    return Verdict(pair, policy, (), run_cases(cases, policy, finder(policy)))


def finder(policy: Policy) -> Find:
    """Where a path leads, by the table of doors that the middleware asks."""
    # Imported here: it brings Starlette, without which policies can be validated.
    from hardening.asgi.entrance import Entrance

    entrance = Entrance(policy.doors, enforced=policy.mode == "enforce")

    def find(path: str, method: str) -> Way:
        door, passage = entrance.door(path, method=method), entrance.passage(path, method=method)
        refusal = _CLOSED if passage == "blocked" else None
        if door is None:
            return Way("pass" if entrance.leaves_alone(path) else "unknown", refusal=refusal)
        format = policy.doors.own.get(door.name, "closed") if door.codec is None else door.codec.name
        name = door.name if passage == "hardened" else None
        return Way(format, name, door.model, door.streams, refusal)

    return find


def told(row: RowResult) -> Iterator[str]:
    """What a row expects in vain, a line each, in the form that editors jump to."""
    by = f"rule {row.rule or 'none'}, band {row.band or 'none'}"
    for miss in row.mismatches:
        place = f"{miss.place.file}:{miss.place.line}:{miss.place.column}"
        yield f"{place}: {row.name}: {miss.field}: expected {miss.expected}, found {miss.found} ({by})"


def _print(verdicts: list[Verdict]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for verdict in verdicts:
        for fault in verdict.faults:
            console.print(str(fault), style="red")
        for row in verdict.report.rows:
            for line in told(row):
                console.print(line, style="red")
        for warning in verdict.warnings:
            name, _, text = warning.partition(": ")
            console.print(f"{name}: warning: {text}", style="yellow")
        if verdict.report.rows:
            _print_count(console, verdict)


def _print_count(console: Console, verdict: Verdict) -> None:
    rows = verdict.report.rows
    held = sum(not row.mismatches for row in rows)
    style = "green" if held == len(rows) else "red"
    console.print(f"{verdict.pair.policy}: {held} of {len(rows)} rows hold", style=style)
