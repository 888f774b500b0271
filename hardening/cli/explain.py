"""`hardening explain`: what a policy does to a request, each value with its line; also for receipts."""

from __future__ import annotations

import os
from typing import Annotated

import orjson
import typer
from rich.console import Console

from hardening.cli.validate import FINDINGS, UNREADABLE, unreadable
from hardening.errors import PolicyError
from hardening.policy.load import Reading, open_policy

Texts = list[str] | None


def explain_command(
    policy: Annotated[str, typer.Argument(metavar="PATH_OR_PRESET", help="A policy file or a preset.")],
    account: Annotated[
        str | None, typer.Option(help="Who asks: an id as in the audit; without it, somebody unknown.")
    ] = None,
    org: Annotated[str | None, typer.Option(help="The organisation that the app names.")] = None,
    group: Annotated[Texts, typer.Option(help="A group that the app hands over; may be repeated.")] = None,
    door: Annotated[str, typer.Option(help="A path of the app, or a format.")] = "openai_chat",
    model: Annotated[str, typer.Option(help="The model that is asked for.")] = "",
    band: Annotated[str | None, typer.Option(help="The band of risk that the account is in.")] = None,
    new: Annotated[bool, typer.Option("--new", help="The account is new: `risk.new` holds.")] = False,
    header: Annotated[Texts, typer.Option(metavar="K=V", help="A request header; may be repeated.")] = None,
    client: Annotated[str, typer.Option(metavar="IP", help="The address of the client.")] = "",
    unproven: Annotated[bool, typer.Option("--unproven", help="Nobody vouched for the account.")] = False,
    now: Annotated[str | None, typer.Option(metavar="DATE", help="When: a day or a time, UTC.")] = None,
    receipt: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Receipts, one a line, instead of a request; - is stdin."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a policy does to a request, and which line says so.

    Exit 0 when it is told, 1 where the policy has faults or decides otherwise than a receipt, 2 when
    something cannot be read.
    """
    # Imported here: formats and receipts, which no other command needs.
    from hardening.cli import asking, explanation

    headers, groups = tuple(header or ()), tuple(group or ())
    question = asking.Question(account, org, groups, door, model, band, new, headers, client, unproven, now)
    reading = _read(policy)
    if receipt is None:
        told = [asking.answered(reading, question)]
    elif question == asking.Question():
        told = list(asking.answered_receipts(reading, receipt))
    else:
        raise typer.BadParameter("give --receipt alone: the request is in the receipt")
    if json:
        report = explanation.as_json(policy, reading, told)
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        console = Console(soft_wrap=True, highlight=False, markup=False)
        explanation.show(console, policy, reading, told)
    raise typer.Exit(FINDINGS if any(one.compared and one.compared.differs for one in told) else 0)


def _read(source: str) -> Reading:
    if why := unreadable(source):
        typer.echo(why, err=True)
        raise typer.Exit(UNREADABLE)
    try:
        return open_policy(source, os.environ)
    except PolicyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FINDINGS) from None
