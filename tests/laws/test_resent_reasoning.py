"""Law 3 over two turns: what clients of gateways keep of a hidden trace, and send back, the model's own API takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from starlette.types import Receive, Scope, Send

from hardening.testing import find_leaks, harden
from hardening.wire.mark import MARK
from tests.exchanges import ANSWER, DONE, SIGNED, SSE, TRACE, chunk, words
from tests.laws.upstream import PLAN

SEALED = "EroBCkgIBxABGAIqQMvT3q9pXk1w"
ASKED: Any = {"role": "user", "content": "Tom has 5 apples and gives 2 away. How many are left?"}
# So a gateway hides a signature of a call: in an id, which nobody may edit.
CALL = {"id": f"call_x__thought__{SEALED}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT: Any = {"role": "tool", "tool_call_id": CALL["id"], "content": "3"}
SAID = PLAN + TRACE

Block = dict[str, Any]


def detail(**more: Any) -> Block:
    """A text, or a piece of one, as OpenRouter writes it."""
    return {"type": "reasoning.text", **more, "format": "anthropic-claude-v1", "index": 0}


def block(text: str, signature: str | None = None) -> Block:
    """A text, or a piece of one, as LiteLLM writes it."""
    return {"type": "thinking", "thinking": text, "signature": signature}


ENCRYPTED = {"type": "reasoning.encrypted", "data": SEALED, "format": "anthropic-claude-v1", "index": 1}
REDACTED = {"type": "redacted_thinking", "data": SEALED}
# The field of the blocks, that of the same text as a string, the blocks of a body, and those of each chunk.
DETAILS = (
    "reasoning_details",
    [detail(text=SAID, signature=SIGNED), ENCRYPTED],
    [*([detail(text=word)] for word in words(SAID)), [detail(signature=SIGNED)], [ENCRYPTED]],
)
BLOCKS = (
    "thinking_blocks",
    [block(SAID, SIGNED), REDACTED],
    [*([block(word)] for word in words(SAID)), [block("", SIGNED)], [REDACTED]],
)
AT_ONCE = ("thinking_blocks", BLOCKS[1], [[block(SAID, SIGNED)], [REDACTED]])
GATEWAYS = {
    "OpenRouter": ("reasoning", *DETAILS),
    "OpenRouter, blocks alone": ("", *DETAILS),
    "LiteLLM": ("reasoning_content", *BLOCKS),
    "LiteLLM, blocks alone": ("", *BLOCKS),
    "LiteLLM, in one chunk": ("", *AT_ONCE),
}


class Gateway:
    """A gateway before a model that signs what it thinks; `asked` are the messages that it got."""

    def __init__(self, plain: str, field: str, whole: list[Block], pieces: list[list[Block]]) -> None:
        self.plain, self.field = plain, field
        self.asked: list[Any] = []
        said = {plain: SAID} if plain else {}
        self.said = {"role": "assistant", "content": ANSWER, **said, field: whole, "tool_calls": [CALL]}
        choice = {"index": 0, "message": self.said, "logprobs": None, "finish_reason": "tool_calls"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
        self._whole = json.dumps({**head, "choices": [choice]}).encode()
        deltas: list[Block] = [
            {**({plain: "".join(map(text_of, one))} if plain else {}), field: one} for one in pieces
        ]
        deltas += [{"content": word} for word in words(ANSWER)]
        deltas += [{"tool_calls": [{"index": 0, **CALL}]}]
        # OpenRouter says who speaks in every chunk.
        chunks = [chunk({"role": "assistant", "content": "", **delta}) for delta in deltas]
        self._stream = b"".join((*chunks, chunk({}, finish="tool_calls"), DONE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = json.loads((await receive())["body"])
        self.asked.append(asked["messages"])
        kind, body = (SSE, self._stream) if asked.get("stream") else (b"application/json", self._whole)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})


def text_of(one: Block) -> str:
    return str(one.get("text") or one.get("thinking") or "")


def joined(pieces: list[Block]) -> list[Block]:
    """The blocks that a client makes of pieces: texts join, and the last signature counts."""
    made: list[Block] = []
    for piece in pieces:
        if not made or made[-1]["type"] != piece["type"] or "data" in piece:
            made.append(dict(piece))
            continue
        for name, value in piece.items():
            if name in ("text", "thinking"):
                made[-1][name] = made[-1].get(name, "") + value
            elif value is not None:
                made[-1][name] = value
    return made


async def asked_twice(gateway: Gateway, mount: str, streamed: bool) -> dict[str, Any]:
    """The message that the official SDK makes of the answer, when it was sent back as it came."""
    transport = httpx.ASGITransport(app=harden(gateway, mount))
    async with openai.AsyncOpenAI(
        base_url="http://test/v1",
        api_key="sk-x",
        http_client=httpx.AsyncClient(transport=transport),
        _strict_response_validation=True,
    ) as client:

        async def ask(*more: Any) -> Any:
            return await client.chat.completions.create(model="m", messages=[ASKED, *more], stream=streamed)

        if streamed:
            deltas = [part.choices[0].delta.model_dump() async for part in await ask()]
            message: dict[str, Any] = {"role": "assistant", "tool_calls": [CALL]}
            for name in filter(None, ("content", gateway.plain)):
                message[name] = "".join(delta.get(name) or "" for delta in deltas)
            for name in {gateway.field, "reasoning_details"}:
                if found := joined([one for delta in deltas for one in delta.get(name) or ()]):
                    message[name] = found
        else:
            message = (await ask()).choices[0].message.model_dump(exclude_unset=True)
        await ask(message, RESULT)
    return message


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("mount", ["baseline", "strict"])
@pytest.mark.parametrize("name", GATEWAYS)
def test_what_comes_back_is_what_its_api_takes(name: str, mount: str, streamed: bool) -> None:
    """Catches a signature that stands by, or comes after, a text that is another now: its API answers 400 to it."""
    gateway = Gateway(*GATEWAYS[name])
    message = asyncio.run(asked_twice(gateway, mount, streamed))
    assert find_leaks(json.dumps(message).encode(), TRACE) == []
    assert SIGNED not in json.dumps(message)
    sealed = (gateway.field == "reasoning_details" and ENCRYPTED) or REDACTED
    ours = [one for one in message.get("reasoning_details", ()) if one.get("data", "").startswith(MARK)]
    assert len(ours) == (mount == "baseline")
    told = [one for one in message[gateway.field] if one != sealed and one not in ours]
    summary = PLAN.strip() if mount == "baseline" else ""
    assert "".join(map(text_of, told)) == ("" if gateway.plain else summary)
    assert message.get(gateway.plain, summary) == summary
    assert message["content"] == ANSWER
    assert sealed in message[gateway.field]
    # `strict` lets nothing come back that it has not sealed, and it seals nothing.
    back = gateway.said if ours else {**message, gateway.field: []}
    assert gateway.asked[1] == [ASKED, back, RESULT]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", GATEWAYS)
def test_where_nothing_is_hidden_all_of_it_goes_back(name: str, streamed: bool) -> None:
    """Catches a signed block that is taken for a summary of ours."""
    gateway = Gateway(*GATEWAYS[name])
    message = asyncio.run(asked_twice(gateway, "observe", streamed))
    assert json.dumps(message).count(SIGNED) == 1
    behind = Gateway(*GATEWAYS[name])
    sent = {"model": "m", "messages": [ASKED, message, RESULT]}

    async def send_on() -> None:
        transport = httpx.ASGITransport(app=harden(behind, "baseline"))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.post("/v1/chat/completions", json=sent, headers={"authorization": "Bearer sk-x"})

    asyncio.run(send_on())
    assert behind.asked == [[ASKED, message, RESULT]]
    assert gateway.asked[1] == [ASKED, message, RESULT]
