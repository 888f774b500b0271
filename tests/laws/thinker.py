"""A model that thinks before each of its tool calls, and says whether its thoughts come back to it as it had them."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from starlette.types import Receive, Scope, Send

from tests.exchanges import SSE, chunk, event, gemini_event, message_item, numbered, response, words

Value = dict[str, Any]
Thoughts = dict[int, tuple[str | None, object]]
"""By step what came back of a thought: its text, and what signed it; None for what lacks."""

_ALPHABET = "abcdefghijklmnopqrstuvwxyz      \n\n\t\"'\\/<>{}[]éß中文字😀 "


def thought(talk: str, step: int) -> str:
    """What is thought at a step of a conversation: any characters, of any length."""
    chance = random.Random(f"{talk}/{step}")
    length = int(40 * 2 ** chance.uniform(0, 7))
    return f"thought {step} of {talk}: " + "".join(chance.choices(_ALPHABET, k=length))


def signed(talk: str, step: int) -> str:
    """What the server itself signs that thought with."""
    return base64.urlsafe_b64encode(random.Random(f"{step}/{talk}").randbytes(48)).decode()


@dataclass
class Thinker:
    """The app: it calls `look` as often as the question says, then answers; `back` is what came back of each thought.

    A question is `talk NAME: N calls`. What comes back is held against what was thought: None where it lacks,
    the text and what signed it else.
    """

    back: dict[tuple[str, int], tuple[str | None, object]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        asked = json.loads(body)
        path = scope["path"]
        dialect = next(dialect for end, dialect in DIALECTS.items() if end in path)
        talk, calls, thoughts = dialect.read(asked)
        for step, found in thoughts.items():
            self.back[talk, step] = found
        step = max(thoughts, default=-1) + 1
        streamed = bool(asked.get("stream")) or "streamGenerate" in path
        frames = (dialect.stream if streamed else dialect.whole)(talk, step, step < calls)
        kind = SSE if streamed else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def strayed(self) -> dict[tuple[str, int], tuple[str | None, object]]:
        """The thoughts that did not come back as they were."""
        return {
            (talk, step): found
            for (talk, step), found in self.back.items()
            if found[0] != thought(talk, step) or found[1] not in (None, signed(talk, step))
        }


def _question(text: str) -> tuple[str, int]:
    name, _, rest = text.removeprefix("talk ").partition(":")
    return name, int(rest.split()[0])


def call_id(talk: str, step: int) -> str:
    """The id of the call at a step."""
    return f"call_{talk}_{step}"


def _step(call_id: str) -> int:
    return int(call_id.rpartition("_")[2])


def _arguments(step: int) -> Value:
    return {"place": step}


# -- OpenAI chat, as a model server speaks it that knows no seals


def _chat_read(asked: Value) -> tuple[str, int, Thoughts]:
    first = next(one for one in asked["messages"] if one["role"] == "user")
    own = [one for one in asked["messages"] if one["role"] == "assistant"]
    assert all("reasoning_details" not in one for one in own)
    said = first["content"]
    text = said if isinstance(said, str) else said[0]["text"]
    return *_question(text), {
        _step(one["tool_calls"][0]["id"]): (one.get("reasoning_content"), None) for one in own
    }


def _chat_call(talk: str, step: int) -> Value:
    told = {"name": "look", "arguments": json.dumps(_arguments(step))}
    return {"id": call_id(talk, step), "type": "function", "function": told}


def _chat_whole(talk: str, step: int, calls: bool) -> list[bytes]:
    message: Value = {"role": "assistant", "content": None if calls else f"answer of {talk}"}
    message["reasoning_content"] = thought(talk, step)
    if calls:
        message["tool_calls"] = [_chat_call(talk, step)]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return [json.dumps({**head, "choices": [choice]}).encode()]


def _chat_stream(talk: str, step: int, calls: bool) -> list[bytes]:
    last = (
        [chunk({"tool_calls": [{"index": 0, **_chat_call(talk, step)}]})]
        if calls
        else [chunk({"content": word}) for word in words(f"answer of {talk}")]
    )
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"reasoning_content": word}) for word in words(thought(talk, step))),
        *last,
        chunk({}, finish="tool_calls" if calls else "stop"),
        b"data: [DONE]\n\n",
    ]


# -- Anthropic


def _messages_read(asked: Value) -> tuple[str, int, Thoughts]:
    first = asked["messages"][0]["content"]
    text = first if isinstance(first, str) else first[0]["text"]
    thoughts: Thoughts = {}
    for one in asked["messages"]:
        if one["role"] == "assistant":
            blocks = {block["type"]: block for block in one["content"]}
            block = blocks.get("thinking", {})
            if "tool_use" in blocks:  # agents put words between
                thoughts[_step(blocks["tool_use"]["id"])] = (block.get("thinking"), block.get("signature"))
    return *_question(text), thoughts


def _messages_blocks(talk: str, step: int, calls: bool) -> list[Value]:
    call = {"type": "tool_use", "id": call_id(talk, step), "name": "look", "input": _arguments(step)}
    return [
        {"type": "thinking", "thinking": thought(talk, step), "signature": signed(talk, step)},
        call if calls else {"type": "text", "text": f"answer of {talk}"},
    ]


def _message(content: list[Value], stop: str | None) -> Value:
    usage = {"input_tokens": 9, "output_tokens": 40}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return {**head, "content": content, "stop_reason": stop, "usage": usage}


def _messages_whole(talk: str, step: int, calls: bool) -> list[bytes]:
    stop = "tool_use" if calls else "end_turn"
    return [json.dumps(_message(_messages_blocks(talk, step, calls), stop)).encode()]


def _messages_stream(talk: str, step: int, calls: bool) -> list[bytes]:
    def delta(index: int, kind: str, **more: object) -> bytes:
        return event("content_block_delta", index=index, delta={"type": kind, **more})

    second = _messages_blocks(talk, step, calls)[1]
    begun = {**second, "input": {}} if calls else {**second, "text": ""}
    said = (
        delta(1, "input_json_delta", partial_json=json.dumps(_arguments(step)))
        if calls
        else delta(1, "text_delta", text=second["text"])
    )
    empty = {"type": "thinking", "thinking": "", "signature": ""}
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    return [
        event("message_start", message=_message([], None)),
        event("content_block_start", index=0, content_block=empty),
        *(delta(0, "thinking_delta", thinking=word) for word in words(thought(talk, step))),
        delta(0, "signature_delta", signature=signed(talk, step)),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block=begun),
        said,
        event("content_block_stop", index=1),
        event("message_delta", delta=stop, usage={"output_tokens": 40}),
        event("message_stop"),
    ]


# -- OpenAI responses, by a server that has sealed content of its own


def _responses_read(asked: Value) -> tuple[str, int, Thoughts]:
    first = next(one for one in asked["input"] if one.get("role") == "user")
    said = first["content"]
    thoughts: Thoughts = {}
    found: tuple[str | None, object] = (None, None)
    for one in asked["input"]:
        if one.get("type") == "reasoning":
            parts = one.get("content") or []
            text = "".join(part["text"] for part in parts) if parts else None
            found = (text, one.get("encrypted_content"))
        elif one.get("type") == "function_call":
            thoughts[_step(one["call_id"])] = found
            found = (None, None)
    return *_question(said if isinstance(said, str) else said[0]["text"]), thoughts


def _reasoning(talk: str, step: int) -> Value:
    part = {"type": "reasoning_text", "text": thought(talk, step)}
    head: Value = {"id": f"rs_{talk}_{step}", "type": "reasoning", "summary": []}
    return {**head, "content": [part], "encrypted_content": signed(talk, step), "status": "completed"}


def _responses_call(talk: str, step: int) -> Value:
    told = {"call_id": call_id(talk, step), "name": "look", "arguments": json.dumps(_arguments(step))}
    return {"type": "function_call", "id": f"fc_{talk}_{step}", **told, "status": "completed"}


def _responses_output(talk: str, step: int, calls: bool) -> list[Value]:
    said = {**message_item(f"answer of {talk}"), "id": f"msg_{talk}_{step}"}
    return [_reasoning(talk, step), _responses_call(talk, step) if calls else said]


def _responses_whole(talk: str, step: int, calls: bool) -> list[bytes]:
    return [json.dumps(response(_responses_output(talk, step, calls))).encode()]


def _responses_stream(talk: str, step: int, calls: bool) -> list[bytes]:
    whole, last = _responses_output(talk, step, calls)
    at = {"item_id": whole["id"], "output_index": 0, "content_index": 0}
    part = whole["content"][0]
    begun = {**whole, "content": [], "encrypted_content": "gAAAAAB", "status": "in_progress"}
    to: Value = {"item_id": last["id"], "output_index": 1}
    if calls:
        arguments = last["arguments"]
        item = {**last, "arguments": "", "status": "in_progress"}
        said: list[tuple[str, Value]] = [
            ("function_call_arguments.delta", {**to, "delta": arguments}),
            ("function_call_arguments.done", {**to, "name": "look", "arguments": arguments}),
        ]
    else:
        said_part, item = last["content"][0], {**last, "content": [], "status": "in_progress"}
        to["content_index"] = 0
        said = [
            ("content_part.added", {**to, "part": {**said_part, "text": ""}}),
            ("output_text.delta", {**to, "delta": said_part["text"], "logprobs": []}),
            ("output_text.done", {**to, "text": said_part["text"], "logprobs": []}),
            ("content_part.done", {**to, "part": said_part}),
        ]
    return numbered(
        [
            ("created", {"response": response([], "in_progress")}),
            ("output_item.added", {"output_index": 0, "item": begun}),
            ("content_part.added", {**at, "part": {**part, "text": ""}}),
            *(("reasoning_text.delta", {**at, "delta": word}) for word in words(part["text"])),
            ("reasoning_text.done", {**at, "text": part["text"]}),
            ("content_part.done", {**at, "part": part}),
            ("output_item.done", {"output_index": 0, "item": whole}),
            ("output_item.added", {"output_index": 1, "item": item}),
            *said,
            ("output_item.done", {"output_index": 1, "item": last}),
            ("completed", {"response": response([whole, last])}),
        ]
    )


# -- Gemini, whose calls carry a signature of their own


def _gemini_read(asked: Value) -> tuple[str, int, Thoughts]:
    first = asked["contents"][0]["parts"][0]["text"]
    thoughts: Thoughts = {}
    for role, contents in groupby(
        asked["contents"], lambda one: one["role"]
    ):  # a client sends chunks as they came
        if role == "model":
            parts = [part for one in contents for part in one["parts"]]
            told = [part["text"] for part in parts if part.get("thought") and part.get("text")]
            (call,) = (part for part in parts if "functionCall" in part)
            found = "".join(told) if told else None
            thoughts[_step(call["functionCall"]["id"])] = (found, call.get("thoughtSignature"))
    return *_question(first), thoughts


def _gemini(*parts: Value, finish: str | None = None) -> Value:
    candidate: Value = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "m", "responseId": "r"}


def _gemini_said(talk: str, step: int, calls: bool) -> Value:
    told = {"id": call_id(talk, step), "name": "look", "args": _arguments(step)}
    call = {"functionCall": told, "thoughtSignature": signed(talk, step)}
    return call if calls else {"text": f"answer of {talk}"}


def _gemini_whole(talk: str, step: int, calls: bool) -> list[bytes]:
    parts = ({"text": thought(talk, step), "thought": True}, _gemini_said(talk, step, calls))
    return [json.dumps(_gemini(*parts, finish="STOP")).encode()]


def _gemini_stream(talk: str, step: int, calls: bool) -> list[bytes]:
    return [
        *(gemini_event(_gemini({"text": word, "thought": True})) for word in words(thought(talk, step))),
        gemini_event(_gemini(_gemini_said(talk, step, calls), finish="STOP")),
    ]


@dataclass(frozen=True)
class Dialect:
    """How a format is read and spoken."""

    read: Callable[[Value], tuple[str, int, Thoughts]]
    whole: Callable[[str, int, bool], list[bytes]]
    stream: Callable[[str, int, bool], list[bytes]]


DIALECTS = {
    "/chat/completions": Dialect(_chat_read, _chat_whole, _chat_stream),
    "/messages": Dialect(_messages_read, _messages_whole, _messages_stream),
    "/responses": Dialect(_responses_read, _responses_whole, _responses_stream),
    "enerateContent": Dialect(_gemini_read, _gemini_whole, _gemini_stream),
}
