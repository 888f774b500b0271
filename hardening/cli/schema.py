"""`hardening validate --schema`: the JSON Schema of policy files."""

from __future__ import annotations

import typer

from hardening.policy.schema import schema_text


def print_schema(wanted: bool) -> None:
    """Print the JSON Schema and stop, where it is wanted."""
    if wanted:
        typer.echo(schema_text(), nl=False)
        raise typer.Exit
