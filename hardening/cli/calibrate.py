"""`hardening calibrate`: fit what accounts are judged by to an operator's own traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from hardening.cli.validate import FINDINGS, UNREADABLE
from hardening.errors import StartError

if TYPE_CHECKING:
    from hardening.redteam.detection.own import Summary


def calibrate(
    benign: Annotated[
        Path,
        typer.Option(
            metavar="JSONL",
            exists=True,
            dir_okay=False,
            help='Honest traffic: a {"prompt": ..., "account": ...} a line.',
        ),
    ],
    attack: Annotated[
        Path | None,
        typer.Option(
            metavar="JSONL", exists=True, dir_okay=False, help="Traffic of a campaign that you confirmed."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", dir_okay=False, help="What `runtime.calibration` names.")
    ] = Path("calibration.npz"),
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Begin with this one, not with the one that ships.",
        ),
    ] = None,
    most: Annotated[
        float,
        typer.Option("--max-flagged", min=0.0, max=0.5, help="Honest accounts that may be told, as a share."),
    ] = 0.01,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the risk to traffic that you vouch for, so that hardly any of it is told; write a file of numbers.

    Only what you have looked at: what an attacker has sent among it, he is cleared of.
    """
    # Imported here: the kernels and the tokenizer, which few other commands need.
    from hardening import kernels
    from hardening.redteam.detection import own
    from hardening.scoring import reference, tokens

    kernels.warm()
    try:
        honest, theirs = own.rows(benign), own.rows(attack) if attack else []
        fitted, found = own.calibrated(reference.load(start), tokens.load(), honest, theirs, most)
        fitted.save(out)
    except ModuleNotFoundError as missing:
        typer.echo(f"{missing.name} is not installed; pip install 'hardening[redteam]'", err=True)
        raise typer.Exit(UNREADABLE) from None
    except (LookupError, StartError, OSError) as fault:
        typer.echo(str(fault.args[0] if isinstance(fault, (LookupError, StartError)) else fault), err=True)
        raise typer.Exit(UNREADABLE) from None
    told = {"file": str(out), "digest": reference.load(out).digest, **found._asdict()}
    typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() if json else _said(out, found))
    raise typer.Exit(FINDINGS if found.attack_after == 0.0 else 0)


def _said(out: Path, found: Summary) -> str:
    lines = [
        f"honest accounts told: {found.honest_before:.1%} before, {found.honest_after:.1%} now, of {found.honest_accounts}"
    ]
    if found.attack_before is not None and found.attack_after is not None:
        lines.append(
            f"the attack's accounts told: {found.attack_before:.1%} before, {found.attack_after:.1%} now, "
            f"of {found.attack_accounts} that were not fitted to"
        )
    return "\n".join([*lines, f"written: {out}"])
