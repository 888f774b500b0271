"""A client of each format that sends back what it got, as an agent without an SDK does, and may change it on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.exchanges import deltas

Value = dict[str, Any]
Turns = list[Value]
CALLS = 3


def _joined(pieces: list[Value]) -> Value:
    """What a client makes of deltas: texts join, lists follow one another."""
    made: Value = {}
    for piece in pieces:
        for name, value in piece.items():
            if isinstance(value, str) and isinstance(made.get(name), str) and name != "role":
                made[name] += value
            elif isinstance(value, list) and name in made:
                made[name] = made[name] + value
            elif value is not None:
                made[name] = value
    return made


# -- by format: the turns of an answer, the ids that it calls


def _chat_turns(body: bytes, streamed: bool) -> Turns:
    if streamed:
        pieces = [choice["delta"] for value in deltas(body) for choice in value["choices"]]  # type: ignore[attr-defined]
        return [_joined(pieces)]
    return [json.loads(body)["choices"][0]["message"]]


def _chat_results(turns: Turns) -> Turns:
    calls = [call for turn in turns for call in turn.get("tool_calls") or ()]
    return [{"role": "tool", "tool_call_id": call["id"], "content": "seen"} for call in calls]


def _messages_turns(body: bytes, streamed: bool) -> Turns:
    if not streamed:
        return [{"role": "assistant", "content": json.loads(body)["content"]}]
    blocks: dict[int, Value] = {}
    for value in deltas(body):
        one: Any = value
        if one["type"] == "content_block_start":
            blocks[one["index"]] = {**one["content_block"], "_json": ""}
        elif one["type"] == "content_block_delta":
            block, delta = blocks[one["index"]], one["delta"]
            if "partial_json" in delta:
                block["_json"] += delta["partial_json"]
            if "signature" in delta:
                block["signature"] = delta["signature"]
            for name in ("thinking", "text"):
                if name in delta:
                    block[name] += delta[name]
    for block in blocks.values():
        if told := block.pop("_json"):
            block["input"] = json.loads(told)
    return [{"role": "assistant", "content": [*blocks.values()]}]


def _messages_results(turns: Turns) -> Turns:
    calls = [one for turn in turns for one in turn["content"] if one["type"] == "tool_use"]
    told = [{"type": "tool_result", "tool_use_id": call["id"], "content": "seen"} for call in calls]
    return [{"role": "user", "content": told}] if told else []


def _responses_turns(body: bytes, streamed: bool) -> Turns:
    if not streamed:
        return json.loads(body)["output"]  # type: ignore[no-any-return]
    done = [value for value in deltas(body) if value["type"] == "response.output_item.done"]
    last: Any = deltas(body)[-1]
    items = [one["item"] for one in done]
    assert items == last["response"]["output"]
    return items  # type: ignore[return-value]


def _responses_results(turns: Turns) -> Turns:
    calls = [one for one in turns if one["type"] == "function_call"]
    return [{"type": "function_call_output", "call_id": one["call_id"], "output": "seen"} for one in calls]


def _gemini_turns(body: bytes, streamed: bool) -> Turns:
    told: Any = deltas(body) if streamed else [json.loads(body)]
    parts = [part for one in told for part in one["candidates"][0]["content"]["parts"]]
    return [{"role": "model", "parts": parts}]


def _gemini_results(turns: Turns) -> Turns:
    calls = [part["functionCall"] for turn in turns for part in turn["parts"] if "functionCall" in part]
    told = [
        {"functionResponse": {"id": one["id"], "name": one["name"], "response": {"r": 1}}} for one in calls
    ]
    return [{"role": "user", "parts": told}] if told else []


@dataclass(frozen=True)
class Way:
    """How a client speaks a format: its paths, the key of its history, what it makes of an answer."""

    path: Callable[[str, bool], str]
    key: str
    asks: Callable[[str], Value]
    turns: Callable[[bytes, bool], Turns]
    results: Callable[[Turns], Turns]
    more: Value = field(default_factory=dict)


def _says(text: str) -> Value:
    return {"role": "user", "content": text}


def _gemini_path(model: str, streamed: bool) -> str:
    return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if streamed else 'generateContent'}"


WAYS = {
    "openai_chat": Way(
        lambda model, streamed: "/v1/chat/completions", "messages", _says, _chat_turns, _chat_results
    ),
    "anthropic_messages": Way(
        lambda model, streamed: "/v1/messages",
        "messages",
        _says,
        _messages_turns,
        _messages_results,
        {"max_tokens": 999},
    ),
    "openai_responses": Way(
        lambda model, streamed: "/v1/responses",
        "input",
        _says,
        _responses_turns,
        _responses_results,
        {"store": False},
    ),
    "gemini_generate": Way(
        _gemini_path,
        "contents",
        lambda text: {"role": "user", "parts": [{"text": text}]},
        _gemini_turns,
        _gemini_results,
    ),
}

Change = Callable[[Turns], Turns]


@dataclass
class Talk:
    """One conversation of `CALLS` tool calls with the server behind `client`; `left` is what it got."""

    client: httpx.AsyncClient
    format: str
    name: str
    streamed: bool
    account: str = "agent"
    model: str = "m"
    more: Value = field(default_factory=dict)
    write: Callable[[Value], bytes] = lambda value: json.dumps(value).encode()
    left: list[bytes] = field(default_factory=list)
    turns: Turns = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turns = [WAYS[self.format].asks(f"talk {self.name}: {CALLS} calls")]

    async def go_on(self, change: Change = lambda turns: turns) -> httpx.Response:
        """Ask once, with the history as `change` makes it, and take what came."""
        way = WAYS[self.format]
        asked = {"model": self.model, way.key: change(self.turns), "stream": self.streamed, **way.more}
        answer = await self.client.post(
            way.path(self.model, self.streamed),
            content=self.write({**asked, **self.more}),
            headers={"x-who": self.account, "content-type": "application/json"},
        )
        self.left.append(answer.content)
        if answer.status_code == 200:
            own = way.turns(answer.content, self.streamed)
            self.turns = [*self.turns, *own, *way.results(own)]
        return answer

    async def to_the_end(self, change: Change = lambda turns: turns) -> None:
        """Ask until the model calls nothing any more."""
        for _ in range(CALLS + 1):
            answer = await self.go_on(change)
            assert answer.status_code == 200, answer.text
        assert f"answer of {self.name}" in json.dumps(self.turns[-1])
