"""Doors that count a request: seals are counted as what they hold, and no count tells a length that is hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from hardening import DEFERRED, Account
from hardening.testing import find_leaks, harden
from hardening.wire.mark import MARK
from tests.laws.talks import WAYS, Talk, Value
from tests.laws.test_tool_turns import KEY, clients, mounted
from tests.laws.thinker import Thinker, thought

PATHS = {
    "anthropic_messages": "/v1/messages/count_tokens",
    "openai_responses": "/v1/responses/input_tokens",
    "gemini_generate": "/v1beta/models/m:countTokens",
    "openai_chat": "/utils/token_counter",
}
ROUND = "version: 1\nextends: baseline\ndefaults: {usage: round}\n"
OPEN = "version: 1\nextends: baseline\ndefaults: {reasoning: {show: full}, usage: round}\n"
LIMITED = "version: 1\nextends: baseline\nlimits: {few: {requests: 1, per: 1d}}\ndefaults: {limits: [few]}\n"
FLAGGED = "version: 1\nextends: baseline\nrisk: {new: {until: {requests: 9, age: 1d}, usage: drop}}\n"


@dataclass
class Counting:
    """The app: a server that counts the characters of a body, or says what it read of it in an error."""

    status: int = 200
    told: Callable[[bytes], Value] = lambda body: {
        "input_tokens": len(body),
        "object": "response.input_tokens",
    }
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        told = self.told(body)
        if self.status != 200:
            told = {"error": {"type": "invalid_request_error", "message": f"bad: {body.decode()}"}}
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


async def called(format: str, name: str, policy: str = "baseline") -> Talk:
    """A conversation whose first call came with a sealed thought."""
    async with clients(mounted(Thinker(), policy)) as client:
        talk = Talk(client, format, name, streamed=False)
        await talk.go_on()
    assert MARK in json.dumps(talk.turns)
    return talk


async def counted(talk: Talk, app: Any, **more: Any) -> httpx.Response:
    """The answer to the same history at the door that counts it."""
    way = WAYS[talk.format]
    body = json.dumps({"model": talk.model, way.key: talk.turns, **more}).encode()
    headers = {"x-who": talk.account, "content-type": "application/json"}
    async with clients(app) as client:
        return await client.post(PATHS[talk.format], content=body, headers=headers)


@pytest.mark.parametrize("policy", ["baseline", "observe", OPEN], ids=["baseline", "observe", "full"])
@pytest.mark.parametrize("format", PATHS)
def test_what_is_counted_is_what_the_model_gets(format: str, policy: str) -> None:
    """Catches blobs that a server counts as text: several times the trace."""

    async def main() -> tuple[Talk, httpx.Response]:
        talk = await called(format, "c", "baseline")
        answer = await counted(talk, mounted(counting, policy))
        async with clients(mounted(thinker, policy)) as client:
            talk.client = client
            await talk.go_on()
        return talk, answer

    counting, thinker = Counting(), Thinker()
    _, answer = asyncio.run(main())
    key = WAYS[format].key
    (body,) = counting.bodies
    assert json.loads(body)[key] == json.loads(thinker.bodies[0])[key]
    assert set(json.loads(body)) == {"model", key}
    assert answer.json()["input_tokens"] == len(body)


@pytest.mark.parametrize("whole", ["generateContentRequest", "generate_content_request"])
def test_a_whole_request_in_one_that_counts_is_opened_too(whole: str) -> None:
    """Catches Gemini's raw clients, whose turns stand a step deeper."""

    async def main() -> Talk:
        talk = await called("gemini_generate", "c")
        body = {whole: {"model": talk.model, "contents": talk.turns}}
        async with clients(mounted(counting)) as client:
            await client.post(PATHS["gemini_generate"], json=body, headers={"x-who": talk.account})
        return talk

    counting = Counting()
    talk = asyncio.run(main())
    (body,) = counting.bodies
    assert MARK.encode() not in body
    assert json.dumps(thought("c", 0)) in json.dumps(json.loads(body))
    assert len(json.loads(body)[whole]["contents"]) == len(talk.turns)


@pytest.mark.parametrize("policy", [ROUND, FLAGGED], ids=["round", "new accounts"])
@pytest.mark.parametrize("format", PATHS)
def test_no_count_tells_a_length_that_is_hidden(format: str, policy: str) -> None:
    """Catches an oracle: the count with a seal less that without is the length of its trace."""

    async def main(name: str) -> int:
        answer = await counted(await called(format, name), mounted(Counting(), policy))
        return int(answer.json()["input_tokens"])

    lengths = {len(thought(f"x{number}", 0)) for number in range(6)}
    assert len(lengths) > 3
    assert len({asyncio.run(main(f"x{number}")) for number in range(6)}) == 1


def _told(format: str, size: int) -> Value:
    """An answer whose usage counts the prompt in every way that the format has."""
    if format == "openai_chat":
        usage: Value = {"prompt_tokens": size, "completion_tokens": 5, "total_tokens": size + 5}
        details = {"prompt_tokens_details": {"cached_tokens": size - size % 16}}
        choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        return {"object": "chat.completion", "choices": [choice], "usage": usage | details}
    if format == "anthropic_messages":
        usage = {"input_tokens": size, "cache_read_input_tokens": size, "output_tokens": 5}
        content = [{"type": "text", "text": "ok"}]
        return {"type": "message", "role": "assistant", "content": content, "usage": usage}
    if format == "openai_responses":
        usage = {"input_tokens": size, "input_tokens_details": {"cached_tokens": size}, "output_tokens": 5}
        return {
            "object": "response",
            "status": "completed",
            "output": [],
            "usage": usage | {"total_tokens": size + 5},
        }
    usage = {"promptTokenCount": size, "cachedContentTokenCount": size, "totalTokenCount": size + 5}
    more: Value = {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": size}]}
    parts = {"role": "model", "parts": [{"text": "ok"}]}
    return {
        "candidates": [{"content": parts, "finishReason": "STOP"}],
        "usageMetadata": usage | more | {"candidatesTokenCount": 5},
    }


@pytest.mark.parametrize("terms", ["round", "drop"])
@pytest.mark.parametrize("format", WAYS)
def test_the_usage_of_the_next_turn_tells_no_length_either(format: str, terms: str) -> None:
    """Catches the same oracle at the door itself: the prompt of a turn holds the trace of the one before."""

    async def main(name: str) -> tuple[int, bytes]:
        talk = await called(format, name)
        app = mounted(Counting(told=lambda body: _told(format, len(body))), ROUND.replace("round", terms))
        async with clients(app) as client:
            talk.client = client
            answer = await talk.go_on()
        assert answer.status_code == 200
        return len(json.dumps(talk.turns[:3])), answer.content

    told: dict[int, set[bytes]] = {}
    lengths: dict[int, set[int]] = {}
    for number in range(12):
        size, body = asyncio.run(main(f"y{number:02}"))
        told.setdefault(size, set()).add(body)
        lengths.setdefault(size, set()).add(len(thought(f"y{number:02}", 0)))
    assert any(len(found) > 1 for found in lengths.values())
    assert [len(bodies) for bodies in told.values()] == [1] * len(told)


@pytest.mark.parametrize("format", PATHS)
def test_an_error_of_a_count_quotes_no_restored_trace(format: str) -> None:
    talk = asyncio.run(called(format, "quoted"))
    counting = Counting(status=400)
    answer = asyncio.run(counted(talk, mounted(counting)))
    assert answer.status_code == 400
    assert MARK.encode() not in counting.bodies[0]
    assert find_leaks(answer.content, thought("quoted", 0)) == []


@pytest.mark.parametrize("format", PATHS)
def test_the_seals_of_others_are_not_counted(format: str) -> None:
    talk = asyncio.run(called(format, "mine"))
    talk.account = "thief"
    counting = Counting()
    asyncio.run(counted(talk, mounted(counting)))
    assert MARK.encode() not in counting.bodies[0]
    assert find_leaks(counting.bodies[0], thought("mine", 0)) == []


@pytest.mark.parametrize("format", PATHS)
def test_a_count_shows_no_trace_to_another_server(format: str) -> None:
    talk = asyncio.run(called(format, "sent"))
    counting = Counting()
    answer = asyncio.run(counted(talk, mounted(counting), api_base="https://evil.example"))
    assert (answer.status_code, counting.bodies) == (400, [])


def test_where_the_app_names_the_account_later_seals_are_left_out() -> None:
    talk = asyncio.run(called("anthropic_messages", "late"))
    counting = Counting()
    app = harden(counting, "baseline", identify=DEFERRED, environment={"HARDENING_KEY": KEY})
    assert asyncio.run(counted(talk, app)).status_code == 200
    assert MARK.encode() not in counting.bodies[0]


@pytest.mark.parametrize("format", PATHS)
def test_counting_costs_nothing_and_proves_nobody(format: str) -> None:
    """Catches counts that spend a limit of requests, or pass for the requests after which an account is not new."""

    async def main() -> list[int]:
        talk = Talk(client=None, format=format, name="free", streamed=False)  # type: ignore[arg-type]
        return [(await counted(talk, app)).status_code for _ in range(3)]

    app = harden(Counting(), LIMITED, identify=lambda scope: Account("a"))
    assert asyncio.run(main()) == [200, 200, 200]
    assert app.receipts == []
    assert app.service is not None
    look: Any = app.service.store
    assert look.look(Account("a"), (), 1e9).standing.requests == 0


@pytest.mark.parametrize("policy", ["strict", "baseline"])
def test_a_body_without_seals_is_counted_as_it_came(policy: str) -> None:
    async def main() -> httpx.Response:
        async with clients(app) as client:
            return await client.post(PATHS["anthropic_messages"], content=body)

    body = b'{"model": "m",  "messages": [{"role":"user","content":"hi"}], "x": 1.0}'
    counting = Counting()
    app = harden(counting, policy, identify=lambda scope: Account("a"))
    answer = asyncio.run(main())
    assert (answer.status_code, counting.bodies) == (200, [body])
    assert "x-hardening" not in answer.headers
