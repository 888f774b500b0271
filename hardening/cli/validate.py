"""`hardening validate`: every fault and warning of policy files, with place; imports no kernels."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from hardening.cli.schema import print_schema
from hardening.clock import SystemClock
from hardening.errors import PolicyError, PolicyFault, StateError
from hardening.policy import Policy, find_preset, preset_names
from hardening.policy.faults import fault_at
from hardening.policy.load import open_policy
from hardening.policy.provenance import mark_of
from hardening.policy.warnings import warnings
from hardening.state import check_address
from hardening.wire.doors import Doors

FINDINGS = 1
UNREADABLE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one policy; `policy` is None where it has faults."""

    source: str
    policy: Policy | None
    faults: tuple[PolicyFault, ...]
    warnings: tuple[PolicyFault, ...]

    def as_json(self) -> dict[str, object]:
        """The verdict as it is reported by `--json`."""
        policy = self.policy
        return {
            "source": self.source,
            "policy": {"name": policy.name, "digest": policy.digest, "mode": policy.mode} if policy else None,
            "faults": [asdict(fault) for fault in self.faults],
            "warnings": [asdict(warning) for warning in self.warnings],
        }


def validate(
    policies: Annotated[
        list[str], typer.Argument(metavar="PATH_OR_PRESET...", help="Policy files or presets.")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", callback=print_schema, is_eager=True, help="Print the JSON Schema and stop."
        ),
    ] = False,
) -> None:
    """Check policy files: exit 0 when they are fine, 1 with findings, 2 when one cannot be read."""
    unread = {source: why for source in policies if (why := unreadable(source))}
    for why in unread.values():
        typer.echo(why, err=True)
    verdicts = [_judged(source) for source in policies if source not in unread]
    found = bool(unread) or any(verdict.faults or (strict and verdict.warnings) for verdict in verdicts)
    if json:
        report = {"ok": not found, "policies": [verdict.as_json() for verdict in verdicts]}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(verdicts)
    if unread:
        raise typer.Exit(UNREADABLE)
    raise typer.Exit(FINDINGS if found else 0)


def unreadable(source: str) -> str | None:
    """Why a policy cannot be opened, or None."""
    path = find_preset(source) if source in preset_names() else Path(source)
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{source}: {error.strerror}; give a policy file or a preset ({', '.join(preset_names())})"


def _judged(source: str) -> Verdict:
    try:
        reading = open_policy(source, os.environ)
    except PolicyError as error:
        return Verdict(source, None, error.faults, ())
    try:
        check_address(reading.policy.runtime.state)
    except StateError as error:
        return Verdict(source, None, (fault_at(mark_of(reading.root, "runtime", "state"), str(error)),), ())
    doors = Doors(reading.policy.doors.own).names
    return Verdict(source, reading.policy, (), warnings(reading, SystemClock().wall(), doors))


def _print(verdicts: list[Verdict]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for verdict in verdicts:
        for fault in verdict.faults:
            console.print(str(fault), style="red")
        for warning in verdict.warnings:
            place = f"{warning.file}:{warning.line}:{warning.column}"
            console.print(f"{place}: warning: {warning.message}", style="yellow")
        if verdict.policy is not None:
            policy = verdict.policy
            console.print(
                f"{verdict.source}: {policy.name} {policy.digest} is fine ({policy.mode})", style="green"
            )
