"""A caller of the toy server, bare or mounted, without a network: bodies in, rows out."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import orjson
from starlette.types import ASGIApp

from hardening.redteam.client import behind, sent
from hardening.redteam.logprobs.dialects import DIALECTS, Values, dialect_at
from hardening.testing import ManualClock

CHAT, TEXT = DIALECTS["chat"].path, DIALECTS["completions"].path
_PAUSE_S = 10.0
"""Between two questions, so that no limit of requests is what stops an attack."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and of each choice the text and the values position by position."""

    status: int
    texts: tuple[str, ...]
    rows: tuple[tuple[Values, ...], ...]
    beside: Values = field(default_factory=dict)
    """Values of the prompt's tokens, by position and token."""


class Caller:
    """Asks an app as one account; counts its questions and the values that it got."""

    def __init__(self, app: ASGIApp, *, clock: ManualClock | None = None, account: str = "acct") -> None:
        self._app = app
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        weakref.finalize(self, self._loop.close)
        self._account = account.encode()
        self.asked = self.values = 0

    def ask(self, path: str = CHAT, account: str | None = None, **body: Any) -> Answer:
        """The answer to one question."""
        if self._clock is not None:
            self._clock.advance(_PAUSE_S)
        self.asked += 1
        who = self._account if account is None else account.encode()
        status, raw = self._loop.run_until_complete(sent(self._app, path, who, orjson.dumps(body)))
        answer = _read(path, status, raw) if status == 200 else Answer(status, (), ())
        self.values += sum(len(values) for rows in answer.rows for values in rows)
        return answer

    def first(self, prompt: str, **body: Any) -> Values:
        """The values of what follows a prompt; none where none came."""
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}], "logprobs": True}
        answer = self.ask(**(asked | body))
        return answer.rows[0][0] if answer.rows and answer.rows[0] else {}


def mounted(app: ASGIApp, policy: str, *, account: str = "acct", band: str | None = None) -> Caller:
    """A caller of `app` behind a policy, whose accounts are proven and whose time passes quickly.

    The account is put into `band`, where one is named.
    """
    hardened, clock = behind(app, policy, account=account, band=band)
    return Caller(hardened, clock=clock, account=account)


def _read(path: str, status: int, raw: bytes) -> Answer:
    dialect = dialect_at(path)
    texts: dict[int, str] = {}
    rows: dict[int, list[Values]] = {}
    beside: Values = {}
    for piece in dialect.pieces(raw):
        for at, position in enumerate(piece.get("prompt_logprobs") or ()):
            beside.update({f"{at}:{token}": one["logprob"] for token, one in (position or {}).items()})
        for told in dialect.told(piece):
            found = rows.setdefault(told.number, [])
            if told.again:
                found[:] = _together(found, told.rows)
                texts[told.number] = told.text
            else:
                found += told.rows
                texts[told.number] = texts.get(told.number, "") + told.text
    order = sorted(texts)
    return Answer(
        status, tuple(texts[one] for one in order), tuple(tuple(rows[one]) for one in order), beside
    )


def _together(rows: list[Values], again: list[Values]) -> list[Values]:
    """The values of each position, from what was told first and what was told again."""
    return [{**more, **first} for first, more in zip_longest(rows, again, fillvalue=Values())]
