"""A model server written by hand: what it says is named by the model that is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from tests.exchanges import (
    ANSWER,
    DONE,
    TRACE,
    USAGE,
    Told,
    chunk,
    event,
    message_item,
    reasoning_item,
    response,
    told_response,
    told_text,
    told_trace,
    words,
)
from tests.laws.formats import MESSAGES, ROWS

PAUSE_S = 0.05
PLAN = "I need to find how many apples Tom has for himself after the gift.\n"
"""A sentence of the trace that a summary tells."""
CALL = {"city": "Rome", "days": 3}
CHAT_USAGE = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}
Frames = tuple[bytes, ...]


@dataclass(frozen=True)
class Says:
    """One answer as a stream and as a body; `breaks_at` that frame the server dies."""

    stream: Frames
    whole: bytes = b""
    breaks_at: int | None = None
    slow: bool = False


def _head(choices: int = 1) -> Frames:
    return tuple(chunk({"role": "assistant", "content": ""}, index=index) for index in range(choices))


def _tail(finish: str = "stop", choices: int = 1) -> Frames:
    return (*(chunk({}, finish=finish, index=index) for index in range(choices)), USAGE, DONE)


def _traced(index: int = 0) -> Frames:
    return tuple(chunk({"reasoning_content": word}, index=index) for word in words(PLAN + TRACE))


def _woven(*streams: Sequence[bytes]) -> Frames:
    return tuple(frame for row in zip(*streams, strict=True) for frame in row)


def _whole(*messages: dict[str, object], finish: str = "stop", rows: object = None) -> bytes:
    choices = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "reasoning_content": PLAN + TRACE,
                **said,
            },
            "logprobs": rows,
            "finish_reason": finish,
        }
        for index, said in enumerate(messages)
    ]
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    return json.dumps({**body, "usage": CHAT_USAGE}).encode()


ARGUMENTS = json.dumps(CALL)
TOOL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
ONCE = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
SAID_ROWS = "".join(str(row["token"]) for row in ROWS)
PLAIN = (*_head(), *_traced(), *(chunk({"content": word}) for word in words(ANSWER)), *_tail())
CHATS = {
    "plain": Says(PLAIN, _whole({"content": ANSWER})),
    "slow": Says(PLAIN, slow=True),
    "breaks": Says(PLAIN, breaks_at=len(PLAIN) - 4),
    "together": Says(
        (
            chunk({"role": "assistant", "reasoning_content": PLAN}),
            chunk({"reasoning_content": TRACE}),
            *(chunk({"content": word}) for word in words(ANSWER)),
            *_tail(),
        ),
        _whole({"content": ANSWER}),
    ),
    "two": Says(
        (
            *_head(2),
            *_woven(_traced(0), _traced(1)),
            *_woven(*([chunk({"content": word}, index=at) for word in words(ANSWER)] for at in (0, 1))),
            *_tail(choices=2),
        ),
        _whole({"content": ANSWER}, {"content": ANSWER}),
    ),
    "tools": Says(
        (
            *_head(),
            *_traced(),
            chunk({"tool_calls": [ONCE]}),
            *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": a}}]}) for a in words(ARGUMENTS)),
            *_tail("tool_calls"),
        ),
        _whole({"tool_calls": [TOOL]}, finish="tool_calls"),
    ),
    "rows": Says(
        (
            *_head(),
            *_traced(),
            *(chunk({"content": r["token"]}, logprobs={"content": [r], "refusal": None}) for r in ROWS),
            *_tail(),
        ),
        _whole({"content": SAID_ROWS}, rows={"content": ROWS, "refusal": None}),
    ),
    "refuses": Says(
        (*_head(), *_traced(), *(chunk({"refusal": word}) for word in ("I ", "will ", "not.")), *_tail()),
        _whole({"refusal": "I will not."}),
    ),
}


def _delta(index: int, kind: str, **more: object) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **more})


MESSAGE: Frames = (*MESSAGES.stream[:3], _delta(0, "thinking_delta", thinking=PLAN), *MESSAGES.stream[3:])
_TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
_WITH_TOOL: Frames = (
    *MESSAGE[:-2],
    event("content_block_start", index=2, content_block=_TOOL_USE),
    *(_delta(2, "input_json_delta", partial_json=piece) for piece in ["", *words(ARGUMENTS)]),
    event("content_block_stop", index=2),
    MESSAGE[-2].replace(b"end_turn", b"tool_use"),
    MESSAGE[-1],
)
_WHOLE = MESSAGES.whole.replace(json.dumps(TRACE).encode(), json.dumps(PLAN + TRACE).encode())
_body = json.loads(_WHOLE)
_BODY_WITH_TOOL = {
    **_body,
    "content": [*_body["content"], {**_TOOL_USE, "input": CALL}],
    "stop_reason": "tool_use",
}
_REDACTED = _WHOLE.replace(b'"content": [', b'"content": [{"type": "redacted_thinking", "data": "EmwK"}, ')
MESSAGE_ANSWERS = {
    "plain": Says(MESSAGE, _WHOLE),
    "slow": Says(MESSAGE, slow=True),
    "breaks": Says(MESSAGE, breaks_at=len(MESSAGE) - 4),
    "tools": Says(_WITH_TOOL, json.dumps(_BODY_WITH_TOOL).encode()),
    "redacted": Says(MESSAGE, _REDACTED),
}


_CALL_ITEM = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "status": "completed",
}
_CALLED: Told = [
    ("output_item.added", {"output_index": 2, "item": {**_CALL_ITEM, "arguments": "", "status": "in_progress"}}),
    *(
        ("function_call_arguments.delta", {"output_index": 2, "item_id": "fc_1", "delta": piece})
        for piece in words(ARGUMENTS)
    ),
    ("function_call_arguments.done", {"output_index": 2, "item_id": "fc_1", "name": "weather", "arguments": ARGUMENTS}),
    ("output_item.done", {"output_index": 2, "item": {**_CALL_ITEM, "arguments": ARGUMENTS}}),
]  # fmt: skip


def _responses(channel: str, said: str = ANSWER, *, calls: bool = False) -> Says:
    """A response that reasons in one channel, in its stream and as a body."""
    trace = PLAN + TRACE
    item = reasoning_item(**{"content" if channel == "reasoning_text" else "summary": trace})
    more = [{**_CALL_ITEM, "arguments": ARGUMENTS}] if calls else []
    middle: Told = [
        ("output_item.added", {"output_index": 0, "item": reasoning_item()}),
        *told_trace(trace, channel),
        ("output_item.done", {"output_index": 0, "item": item}),
        *told_text(said),
        *(_CALLED if calls else []),
    ]
    output = [item, message_item(said), *more]
    return Says(tuple(told_response(middle, output)), json.dumps(response(output)).encode())


_plain = _responses("reasoning_text")
RESPONSES = {
    "plain": _plain,
    "summaries": _responses("reasoning_summary_text"),
    "tags": _responses("reasoning_text", f"<think>{PLAN}{TRACE}</think>{ANSWER}"),
    "tools": _responses("reasoning_text", calls=True),
    "slow": Says(_plain.stream, slow=True),
    "breaks": Says(_plain.stream, breaks_at=len(_plain.stream) - 6),
}


_ANSWERS = {"completions": CHATS, "messages": MESSAGE_ANSWERS, "responses": RESPONSES}


async def model_server(scope: Scope, receive: Receive, send: Send) -> None:
    """The app: answers what the model's name says, streamed where that is asked."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    kept = scope["method"] == "GET"
    asked = (
        {"model": "plain", "stream": b"stream=true" in scope["query_string"]} if kept else json.loads(body)
    )
    endpoint = next(part for part in reversed(scope["path"].split("/")) if part in _ANSWERS)
    says = _ANSWERS[endpoint][asked["model"]]
    streamed = asked.get("stream", False)
    kind = b"text/event-stream" if streamed else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for at, piece in enumerate(says.stream if streamed else (says.whole,)):
        if at == says.breaks_at:
            raise RuntimeError("the model server dies")
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(PAUSE_S if says.slow and at in (4, 6, 8) else 0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
