"""Long work of an exchange stands in nobody's way, and comes to what it would at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.asgi.studying import in_slices
from hardening.testing import Hardened, harden
from hardening.wire.mark import MARK


def steps(count: int, taken: list[int]) -> Generator[None, None, str]:
    """Some steps, and what they come to."""
    for number in range(count):
        taken.append(number)
        yield
    return "done"


def test_others_are_served_between_slices_of_half_a_millisecond() -> None:
    async def run() -> None:
        now, taken, seen = 0.0, list[int](), list[int]()

        def clock() -> float:
            nonlocal now
            now += 0.0002  # that each step takes
            return now

        async def other() -> None:
            for _ in range(4):
                seen.append(len(taken))
                await asyncio.sleep(0)

        beside = asyncio.ensure_future(other())
        assert await in_slices(steps(12, taken), clock) == "done"
        await beside
        assert seen == [0, 3, 6, 9]

    asyncio.run(run())


def test_what_fails_in_a_step_fails_for_who_waits() -> None:
    def failing() -> Generator[None, None, str]:
        yield
        raise LookupError

    async def run() -> None:
        with pytest.raises(LookupError):
            await in_slices(failing(), lambda: 0.0)

    asyncio.run(run())


def test_who_leaves_while_seals_are_opened_owes_nothing() -> None:
    """The app never heard of the request; what was reserved for it is given back at once."""
    own = {"role": "assistant", "content": "a", "reasoning_details": [{"data": MARK + "A" * 764}]}
    asked = [{"role": "user", "content": "q"}, own, {"role": "user", "content": "q"}]
    body = json.dumps({"model": "m", "messages": asked}).encode()
    app = harden(unheard, POLICY)

    async def run() -> None:
        request = asyncio.ensure_future(send(app, body))
        await asyncio.sleep(0)  # up to the first seal
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(run())
    (receipt,) = app.receipts
    assert (receipt.outcome, receipt.tokens.prompt, receipt.tokens.completion) == ("disconnected", 0, 0)


POLICY = """
version: 1
limits: {hour: {tokens: 9k, per: 1h}}
defaults: {reasoning: {show: summary, seal: true}, limits: [hour]}
"""


async def unheard(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that must not be called."""
    raise AssertionError


async def send(app: Hardened, body: bytes) -> None:
    """Send a body to the app, whose answer nobody reads."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def take(message: Message) -> None:
        pass

    path = "/v1/chat/completions"
    scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, take)
