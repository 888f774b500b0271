"""The command `hardening`: one module per subcommand; what is not built does not exist."""

from __future__ import annotations

from typing import Annotated

import typer

from hardening import __version__
from hardening.cli.accounts import accounts
from hardening.cli.calibrate import calibrate
from hardening.cli.cases import check
from hardening.cli.explain import explain_command
from hardening.cli.redteam import redteam
from hardening.cli.routes import routes
from hardening.cli.serve import serve
from hardening.cli.validate import validate
from hardening.cli.warm import warm

app = typer.Typer(
    name="hardening",
    help="Cut model responses to a policy, per account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(accounts)
app.add_typer(redteam)
app.command()(calibrate)
app.command("explain")(explain_command)
app.command()(routes)
app.command()(serve)
app.command("test")(check)
app.command()(validate)
app.command()(warm)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hardening {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Cut model responses to a policy, per account."""


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    app()
