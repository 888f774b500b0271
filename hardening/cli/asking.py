"""What the command line asks of `explain`, answered: a described request, or the requests of receipts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO

import typer

from hardening.cli.explanation import Told
from hardening.cli.receipts import compared
from hardening.cli.validate import UNREADABLE
from hardening.clock import SystemClock
from hardening.facts import Account, RequestFacts, Standing
from hardening.observe.audited import MAX_LINE_BYTES, ReceiptError, read_receipt
from hardening.policy.explain import KNOWN, Asked, explain
from hardening.policy.load import Reading
from hardening.policy.nodes import looks_secret
from hardening.wire.codec import CODECS
from hardening.wire.doors import Door

ANYBODY = "anonymous"
"""The account of a request without `--account`, as identity calls who names himself by nothing."""

KNOWN_DOOR = "openai_chat"

_DRAWN = "`enforce` shares of unproven callers are drawn by their network, which is not known here"


@dataclass(frozen=True, slots=True)
class Question:
    """The request as the command line describes it."""

    account: str | None = None
    org: str | None = None
    groups: tuple[str, ...] = ()
    door: str = KNOWN_DOOR
    model: str = ""
    band: str | None = None
    new: bool = False
    headers: tuple[str, ...] = ()
    client: str = ""
    unproven: bool = False
    now: str | None = None


def answered(reading: Reading, question: Question) -> Told:
    """The explanation of a request, or of why there is none at this path."""
    _check(reading, question)
    door, note = _door(reading, question.door)
    facts = RequestFacts(
        door=door.name,
        format=door.codec.name if door.codec else "",
        model=question.model or door.model,
        headers=_headers(question),
        client=question.client,
    )
    proven = not question.unproven and question.account is not None
    account = Account(question.account or ANYBODY, question.org, question.groups, proven, "")
    # Nobody knows how old an account is for which nobody vouched: it has no standing.
    standing = Standing() if question.new or not proven else KNOWN
    asked = Asked(facts, account, standing._replace(band=question.band), _moment(question.now))
    if note is not None:
        return Told(asked, None, (note,))
    drawn = reading.policy.trials and not proven
    return Told(asked, explain(reading, asked), (_DRAWN,) if drawn else ())


def _check(reading: Reading, question: Question) -> None:
    """Refuse what cannot be; a key is never quoted."""
    texts = (question.account, question.org, question.model, question.client, question.door)
    if not all(text is None or text.isprintable() for text in texts):
        raise typer.BadParameter("found characters that cannot be printed; write names as the audit has them")
    if question.account == "":
        raise typer.BadParameter("--account: found no id; leave it out for somebody unknown")
    if question.client and not _is_address(question.client):
        raise typer.BadParameter("--client: found no IP address")
    if looks_secret(question.account or ""):
        raise typer.BadParameter("--account: found a value shaped like an API key; give the id of the audit")
    if question.band is not None:
        if question.unproven or question.account is None:
            raise typer.BadParameter("--band: only an account that somebody vouched for stands in a band")
        if question.band not in reading.file.risk.bands:
            raise typer.BadParameter(f"--band: allowed are {', '.join(reading.file.risk.bands) or 'none'}")
    for group in question.groups:
        if group not in reading.policy.groups.names:
            raise typer.BadParameter(
                f"--group: allowed are {', '.join(reading.policy.groups.names) or 'none'}"
            )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _headers(question: Question) -> tuple[tuple[bytes, bytes], ...]:
    pairs = []
    for text in question.headers:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise typer.BadParameter("--header: found no name or no `=`; write name=value")
        pairs.append((name.strip().lower().encode("latin-1", "replace"), value.encode("latin-1", "replace")))
    return tuple(pairs)


def _moment(text: str | None) -> float:
    """Seconds since 1970 of a day or a time; without a zone it is UTC."""
    if text is None:
        return SystemClock().wall()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--now: write a day such as 2027-03-31, or 2027-03-31T12:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _door(reading: Reading, text: str) -> tuple[Door, str | None]:
    """The door of a path, or the first one of a format; and what happens where nothing is decided."""
    # Imported here: it brings Starlette, without which policies can be validated.
    from hardening.asgi.entrance import Entrance

    own, unknown = reading.policy.doors.own, reading.policy.doors.unknown
    entrance = Entrance(reading.policy.doors, enforced=True)
    if text in CODECS:
        named = (
            door for name in entrance.names if (door := entrance.door(name)) and door.codec is CODECS[text]
        )
        return next(named, Door(text, CODECS[text])), None
    if not text.startswith("/"):
        raise typer.BadParameter(f"--door: write a path, or one of {', '.join(CODECS)}")
    if door := entrance.door(text):
        what = own.get(door.name, "what leaves there")
        return door, None if door.codec else f"{text} is closed: {what} is not read yet"
    if entrance.leaves_alone(text):
        return Door(text, None), f"{text} is left alone: the policy's `doors` say `pass`"
    ends = {
        "report": "answers pass, and those that look like a model's are reported",
        "block": "it is blocked",
    }
    note = f"{text} is no door of this policy; doors.unknown is {unknown}: {ends[unknown]}"
    return Door(text, None), note


def answered_receipts(reading: Reading, name: str) -> Iterator[Told]:
    """Every receipt of a file, compared with the policy."""
    try:
        if name == "-":
            yield from _lines(reading, "stdin", sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                yield from _lines(reading, name, file)
    except OSError as error:
        typer.echo(f"{name}: {error.strerror}; give a file of receipts, or - for stdin", err=True)
        raise typer.Exit(UNREADABLE) from None


def _lines(reading: Reading, name: str, file: BinaryIO) -> Iterator[Told]:
    number = found = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if line in (b"\n", b"\r\n"):
            continue
        found += 1
        try:
            both = compared(reading, read_receipt(line))
        except ReceiptError as error:
            typer.echo(f"{name}:{number}:1: {error}", err=True)
            raise typer.Exit(UNREADABLE) from None
        yield Told(both.asked, both.explanation, compared=both)
    if not found:
        typer.echo(f"{name}: found nothing; a file of receipts has one a line", err=True)
        raise typer.Exit(UNREADABLE)
