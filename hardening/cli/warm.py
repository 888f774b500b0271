"""`hardening warm`: compile the kernels now, so that no start and no request has to."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer


def warm(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Compile or load every kernel and fill the cache, for an image or before a start."""
    # Imported here: the kernels bring numba, which no other command needs.
    from hardening import kernels

    report = kernels.warm()
    if json:
        typer.echo(orjson.dumps({"seconds": report.seconds, "kernels": report.kernels}).decode())
    else:
        typer.echo(f"kernels warm in {report.seconds:.2f} s ({report.kernels})")
