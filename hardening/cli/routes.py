"""`hardening routes`: which routes of an app are hardened, passed, reported or blocked."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console

from hardening.cli.validate import FINDINGS, UNREADABLE, unreadable
from hardening.errors import PolicyError, StartError
from hardening.policy import load_policy

if TYPE_CHECKING:
    from hardening.cli.listing import Line, Listing

_STYLES = {"hardened": "green", "blocked": "cyan", "reported": "yellow", "passed": None}


def routes(
    app: Annotated[str, typer.Argument(metavar="MODULE:APP", help="The app, as a server is given it.")],
    policy: Annotated[
        str | None, typer.Option(metavar="PATH_OR_PRESET", help="This policy instead of the app's own.")
    ] = None,
    factory: Annotated[bool, typer.Option("--factory", help="APP is a function that makes the app.")] = False,
    app_dir: Annotated[
        Path,
        typer.Option(metavar="FOLDER", exists=True, file_okay=False, help="Where the module is."),
    ] = Path(),
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say of each route of an app whether it is hardened, passed, reported or blocked."""
    if policy is not None and (why := unreadable(policy)):
        typer.echo(why, err=True)
        raise typer.Exit(UNREADABLE)
    try:
        listing = _read(app, policy, app_dir, factory=factory)
    except PolicyError as error:
        faults = {"ok": False, "app": app, "faults": [asdict(fault) for fault in error.faults]}
        typer.echo(orjson.dumps(faults, option=orjson.OPT_INDENT_2).decode() if json else str(error))
        raise typer.Exit(FINDINGS) from None
    except (LookupError, StartError) as fault:
        typer.echo(str(fault.args[0]), err=True)
        raise typer.Exit(UNREADABLE) from None
    failed = strict and any(line.warnings for line in listing.lines)
    if json:
        report = {
            "ok": not failed,
            "app": app,
            "policies": [
                {"name": known.name, "digest": known.digest, "mode": known.mode} for known in listing.policies
            ],
            "routes": [asdict(line) for line in listing.lines],
        }
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(listing)
    raise typer.Exit(FINDINGS if failed else 0)


def _read(app: str, policy: str | None, folder: Path, *, factory: bool) -> Listing:
    """Import the app and tell its routes.

    Raises:
        PolicyError, StartError: a policy cannot be used, or an app names none.
        LookupError: the app cannot be had, or nothing stands before it.
    """
    # Imported here: the middleware brings the kernels, which policies can be read without.
    from hardening.cli.apps import entries, load_app
    from hardening.cli.listing import listed

    instead = load_policy(policy, os.environ) if policy is not None else None
    found = list(entries(load_app(app, folder, factory=factory)))
    if instead is None and not any(entry.guards for entry in found):
        raise LookupError(f"{app}: found no HardeningMiddleware; add it to the app, or give --policy")
    return listed(found, instead)


def _print(listing: Listing) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for policy in listing.policies:
        console.print(f"policy {policy.name} {policy.digest} ({policy.mode})")
    for line in listing.lines:
        methods = "websocket" if line.websocket else ",".join(line.methods) or "any method"
        about = [*([line.format] if line.format else []), *_some_doors(line)]
        text = f"{line.passage:9} {methods:10} {line.path}"
        console.print(f"{text}  ({'; '.join(about)})" if about else text, style=_STYLES[line.passage])
    for warning in dict.fromkeys(warning for line in listing.lines for warning in line.warnings):
        console.print(f"warning: {warning}", style="yellow")


def _some_doors(line: Line) -> list[str]:
    return [f"hardened where it ends in {', '.join(line.doors)}"] if line.doors else []
