"""`hardening redteam`: attacks on a policy, one command each; what is not built does not exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from hardening.cli.validate import FINDINGS, UNREADABLE
from hardening.redteam.options import Options

if TYPE_CHECKING:
    from hardening.redteam.report import Report

redteam = typer.Typer(
    name="redteam",
    help="Run an attack with and without a policy, and say what of it is left.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", exists=True, file_okay=False, help="Public data sets to measure on."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", file_okay=False, help="Where pictures are written.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="Less of everything: wider spreads, in a fraction of the time.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def options(
    data: Path | None, out: Path | None, seed: int, *, quick: bool, resume: Path | None = None
) -> Options:
    """The options of one run; progress goes to stderr."""
    console = Console(stderr=True, highlight=False, markup=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    return Options(
        data, out, seed, quick, lambda what: console.print(what, style="dim", soft_wrap=True), resume
    )


def finish(attack: Callable[[], Report], *, json: bool) -> NoReturn:
    """Run, print, and leave: 0 where every claim holds, 1 where one does not, 2 where something is missing."""
    try:
        report = attack()
    except ModuleNotFoundError as missing:
        typer.echo(f"{missing.name} is not installed; pip install 'hardening[redteam]'", err=True)
        raise typer.Exit(UNREADABLE) from None
    except LookupError as fault:
        typer.echo(str(fault.args[0]), err=True)
        raise typer.Exit(UNREADABLE) from None
    if json:
        typer.echo(report.as_json())
    else:
        report.show(Console(highlight=False))
    raise typer.Exit(0 if report.holds else FINDINGS)


@redteam.command("detection")
def detection(
    data: Data = None, out: Out = None, seed: Seed = 7, quick: Quick = False, json: Json = False
) -> None:
    """Send honest accounts and campaigns through the signals that ship: who is told, and after how many requests."""
    from hardening.redteam.detection import attack

    asked = options(data, out, seed, quick=quick)
    finish(lambda: attack(asked), json=json)


@redteam.command("embeddings")
def embeddings(
    data: Data = None, out: Out = None, seed: Seed = 7, quick: Quick = False, json: Json = False
) -> None:
    """Rebuild an encoder from its vectors, average noise away: on a toy encoder, with and without us."""
    from hardening.redteam import embeddings as attacks

    asked = options(data, out, seed, quick=quick)
    finish(lambda: attacks.attack(asked), json=json)


@redteam.command("logprobs")
def logprobs(
    data: Data = None,
    out: Out = None,
    seed: Seed = 7,
    quick: Quick = False,
    json: Json = False,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A GGUF file: the same on a real model, with llama-cpp-python.",
        ),
    ] = None,
) -> None:
    """Rebuild the output layer, average noise away, price a row: on a toy model, with and without us."""
    from hardening.redteam import logprobs as attacks

    asked = options(data, out, seed, quick=quick)
    finish(lambda: attacks.attack(asked, model), json=json)


@redteam.command("quotas")
def quotas(
    data: Data = None, out: Out = None, seed: Seed = 7, quick: Quick = False, json: Json = False
) -> None:
    """Simulate days of limits: what an answer costs accounts that are flagged, and everybody else."""
    from hardening.redteam.quotas import attack

    asked = options(data, out, seed, quick=quick)
    finish(lambda: attack(asked), json=json)


@redteam.command("reasoning")
def reasoning(
    data: Data = None,
    out: Out = None,
    seed: Seed = 7,
    quick: Quick = False,
    json: Json = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="DIR", file_okay=False, help="Keeps what each part found; go on from there."
        ),
    ] = None,
) -> None:
    """Read reasoning in what leaves of traces, and teach students by it; the traces themselves are the control."""
    from hardening.redteam import reasoning as attacks

    asked = options(data, out, seed, quick=quick, resume=resume)
    finish(lambda: attacks.attack(asked), json=json)
