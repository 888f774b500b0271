"""A caller of the toy server, bare or mounted, without a network: bodies in, rows out."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import ASGIApp

from hardening.redteam.client import behind, sent
from hardening.testing import ManualClock

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HIDDEN = -9999.0
"""The value that stands for none."""
_PAUSE_S = 10.0
"""Between two questions, so that no limit of requests is what stops an attack."""

Values = dict[str, float]
"""Of one position: each token with its value, the first the likeliest."""


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
        answer = _read(status, raw) if status == 200 else Answer(status, (), ())
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


def _read(status: int, raw: bytes) -> Answer:
    if raw.startswith(b"data:"):
        frames = [
            orjson.loads(line[5:])
            for line in raw.splitlines()
            if line.startswith(b"data:") and b"[DONE]" not in line
        ]
    else:
        frames = [orjson.loads(raw)]
    texts: dict[int, str] = {}
    rows: dict[int, list[Values]] = {}
    beside: Values = {}
    for frame in frames:
        for at, position in enumerate(frame.get("prompt_logprobs") or ()):
            beside.update({f"{at}:{token}": one["logprob"] for token, one in (position or {}).items()})
        for choice in frame["choices"]:
            index = choice["index"]
            said = choice.get("message") or choice.get("delta") or {}
            texts[index] = texts.get(index, "") + (choice.get("text") or said.get("content") or "")
            rows.setdefault(index, []).extend(_positions(choice.get("logprobs") or {}))
    order = sorted(texts)
    return Answer(
        status, tuple(texts[one] for one in order), tuple(tuple(rows[one]) for one in order), beside
    )


def _positions(logprobs: dict[str, Any]) -> list[Values]:
    """The values of each position, of chat completions and of text completions."""
    found = []
    for row in logprobs.get("content") or ():
        values = {one["token"]: one["logprob"] for one in row["top_logprobs"]}
        found.append(_with(values, row["token"], row["logprob"]))
    tops = logprobs.get("top_logprobs") or [{} for _ in logprobs.get("tokens") or ()]
    for token, value, others in zip(
        logprobs.get("tokens") or (), logprobs.get("token_logprobs") or (), tops, strict=True
    ):
        found.append(_with(dict(others or {}), token, value))
    return found


def _with(values: Values, token: str, value: float | None) -> Values:
    if value is not None and value != HIDDEN:
        values.setdefault(token, value)
    return values
