"""Answers that come whole: what they may use is held before, so that all of them together stay within a limit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.facts import Admission, Charge, Lease, Standing
from hardening.state import MemoryStore, SqliteStore
from hardening.testing import harden
from tests.asgi.driver import Answer, LoopClock, ask, run

POLICY = """\
version: 1
limits: {hour: {tokens: %s, per: 1h}, all: {completion: 1G, per: 1h}}
defaults: {limits: [hour, all]}
risk: {bands: {harden: {enter: 0.8, leave: 0.7, charge: 25x}}}
"""
ASKED = {"model": "glass-1", "messages": [{"role": "user", "content": "Tell me all."}]}
PROMPT = 10
"""Fewer than are estimated, so that only answers could pass a limit."""
LONGEST = 20_000
"""Tokens that the model answers where nothing bounds it."""


class Model:
    """Answers with as many tokens as it is allowed, after a while; `used` are all that it made."""

    def __init__(self) -> None:
        self.used = 0
        self.bounds: list[int | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = await receive()
        asked = json.loads(message["body"])
        bound = asked.get("max_tokens", asked.get("max_completion_tokens"))
        self.bounds.append(bound)
        await asyncio.sleep(5.0)
        tokens = min(bound or LONGEST, LONGEST) * asked.get("n", 1)
        self.used += tokens + PROMPT
        usage = {"prompt_tokens": PROMPT, "completion_tokens": tokens, "total_tokens": tokens + PROMPT}
        choice = {"index": 0, "message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode(), "more_body": False})


def at_once(model: Model, tokens: str, count: int, store: Any, **asked: object) -> list[Answer]:
    """The answers to so many requests of one account that come at the same moment."""
    app = harden(model, POLICY % tokens, clock=LoopClock(), state=store, identify=lambda scope: "acct_7")
    body = json.dumps(ASKED | asked).encode()

    async def asking() -> list[Answer]:
        return await asyncio.gather(*(ask(app, body) for _ in range(count)))

    return run(asking())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    "asked", [{}, {"max_tokens": 900}, {"max_tokens": 9000}, {"max_tokens": 3000, "n": 2}]
)
def test_answers_that_come_at_the_same_time_never_pass_the_limit(
    asked: dict[str, object], kind: str, tmp_path: Path
) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(str(tmp_path / "state.db"))
    model = Model()
    if isinstance(store, SqliteStore):
        store.open()
    answers = at_once(model, "10k", 30, store, **asked)
    assert {answer.status for answer in answers} == {200, 429}
    assert 8_900 <= model.used <= 10_000
    assert None not in model.bounds


def test_an_answer_far_from_the_limit_gets_no_bound_that_nobody_named() -> None:
    model = Model()
    at_once(model, "100k", 1, MemoryStore())
    assert model.bounds == [None]


def test_near_the_limit_a_whole_answer_gets_what_is_left_if_that_is_as_much_as_usual() -> None:
    model = Model()
    answers = at_once(model, "10k", 4, MemoryStore(), max_tokens=4000)
    assert sorted(bound or 0 for bound in model.bounds) == [pytest.approx(1_940, abs=40), 4000, 4000]
    assert [answer.status for answer in answers].count(429) == 1


class Hardened(MemoryStore):
    """A store to which everybody stands in the band `harden`."""

    def _standing(self, scope: Any) -> Standing:
        return super()._standing(scope)._replace(risk=0.9, band="harden")


def test_a_band_makes_answers_dear_and_not_impossible() -> None:
    """A whole limit has room for 400 tokens of this band: as usual 1,024 would be reserved, which never fit."""
    model = Model()
    answers = at_once(model, "10k", 3, Hardened())
    assert [answer.status for answer in answers].count(200) == 1
    assert model.bounds[0] is not None
    assert 25 * model.used <= 10_000


class Unextending(MemoryStore):
    """A store that fails when more is asked for."""

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        raise ConnectionError


def test_where_the_store_fails_in_between_the_answer_has_what_is_reserved_and_nothing_stays_open() -> None:
    model, store = Model(), Unextending()
    at_once(model, "10k", 4, store, max_tokens=4000)
    assert sorted(bound or 0 for bound in model.bounds) == [1024, 4000, 4000]
    assert store.open_leases == 0
