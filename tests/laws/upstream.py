"""A model server written by hand: what it says is named by the model that is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope, Send

from tests.exchanges import (
    ANSWER,
    DONE,
    NDJSON,
    SIGNED,
    SSE,
    TRACE,
    USAGE,
    Told,
    chunk,
    completion,
    event,
    gemini_event,
    gemini_frames,
    line,
    message_item,
    reasoning_item,
    response,
    spoke,
    spoken,
    told_response,
    told_text,
    told_trace,
    words,
)
from tests.laws.formats import MESSAGES, ROWS
from tests.laws.vectors import embedded

PAUSE_S = 0.05
PLAN = "I need to find how many apples Tom has for himself after the gift.\n"
"""A sentence of the trace that a summary tells."""
CALL = {"city": "Rome", "days": 3}
CHAT_USAGE = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}
Frames = tuple[bytes, ...]


@dataclass(frozen=True)
class Says:
    """One answer as a stream and as a body; `breaks_at` that frame the server dies; an `array` is JSON."""

    stream: Frames
    whole: bytes = b""
    breaks_at: int | None = None
    slow: bool = False
    array: bool = False


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


_SAID_LAST = {"done_reason": "stop", "total_duration": 987, "prompt_eval_count": 9, "eval_count": 40}


def _lines(*values: dict[str, object], last: dict[str, object]) -> Frames:
    ends = {**_SAID_LAST, **last}
    return (*(line(at, **value) for at, value in enumerate(values)), line(len(values), done=True, **ends))


_THOUGHTS = [spoken("", thinking=word) for word in words(PLAN + TRACE)]
_LINES = _lines(*_THOUGHTS, *map(spoken, words(ANSWER)), last=spoken(""))
_TOOL_CALL = {"function": {"name": "weather", "arguments": CALL}}
_WHOLE_LINE = line(**spoken(ANSWER, thinking=PLAN + TRACE), done=True, **_SAID_LAST)
OLLAMA_CHATS = {
    "plain": Says(_LINES, _WHOLE_LINE),
    "slow": Says(_LINES, slow=True),
    "breaks": Says(_LINES, breaks_at=len(_LINES) - 4),
    "tools": Says(
        _lines(*_THOUGHTS, spoken("", tool_calls=[_TOOL_CALL]), last=spoken("")),
        line(**spoken("", thinking=PLAN + TRACE, tool_calls=[_TOOL_CALL]), done=True, **_SAID_LAST),
    ),
    "rows": Says(
        _lines(
            *_THOUGHTS,
            *({**spoken(str(row["token"])), "logprobs": [row]} for row in ROWS),
            last={**spoken(""), "logprobs": ROWS[:1]},
        ),
        line(**spoken(SAID_ROWS, thinking=PLAN + TRACE), done=True, logprobs=ROWS, **_SAID_LAST),
    ),
}
_TOKENS = {"response": "", "context": [31, 41, 59]}
OLLAMA_TEXTS = {
    "plain": Says(
        _lines(
            *({"response": "", "thinking": word} for word in words(PLAN + TRACE)),
            *({"response": word} for word in words(ANSWER)),
            last=_TOKENS,
        ),
        line(**{**_TOKENS, "response": ANSWER}, thinking=PLAN + TRACE, done=True, **_SAID_LAST),
    ),
    "raw": Says(
        _lines(
            *({"response": word} for word in words(f"<think>{PLAN}{TRACE}</think> {ANSWER}")), last=_TOKENS
        ),
        line(**{**_TOKENS, "response": f"<think>{PLAN}{TRACE}</think> {ANSWER}"}, done=True, **_SAID_LAST),
    ),
}
_ROWS_IN_LISTS = {
    "tokens": [row["token"] for row in ROWS],
    "token_logprobs": [row["logprob"] for row in ROWS],
    "top_logprobs": [{one["token"]: one["logprob"] for one in row["top_logprobs"]} for row in ROWS],  # type: ignore[attr-defined]
    "text_offset": [7 + at for at in range(len(ROWS))],
}
_COMPLETED = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "usage": CHAT_USAGE}


def _completed(*texts: str, rows: object = None) -> bytes:
    choices = [
        {"index": at, "text": text, "logprobs": rows, "finish_reason": "stop"}
        for at, text in enumerate(texts)
    ]
    return json.dumps({**_COMPLETED, "choices": choices}).encode()


_TAGGED = [*words(f"<think>{PLAN}{TRACE}"), "</think>", *words(ANSWER)]
_TEXT_END = (*_tail()[-2:],)
COMPLETIONS = {
    "plain": Says(
        (*map(completion, _TAGGED), completion("", finish="stop"), *_TEXT_END), _completed("".join(_TAGGED))
    ),
    "two": Says(
        (
            *_woven(*([completion(text, index=at) for text in _TAGGED] for at in (0, 1))),
            *(completion("", index=at, finish="stop") for at in (0, 1)),
            *_TEXT_END,
        ),
        _completed("".join(_TAGGED), "".join(_TAGGED)),
    ),
    "rows": Says(
        (
            *(
                completion(
                    str(token), logprobs={name: [column[at]] for name, column in _ROWS_IN_LISTS.items()}
                )
                for at, token in enumerate(_ROWS_IN_LISTS["tokens"])
            ),
            completion("", finish="stop"),
            *_TEXT_END,
        ),
        _completed(SAID_ROWS, rows=_ROWS_IN_LISTS),
    ),
}


def _thinking(text: str) -> dict[str, object]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


MISTRALS = {
    **CHATS,
    "parts": Says(
        (
            *_head(),
            *(chunk({"content": [_thinking(word)]}) for word in words(PLAN + TRACE)),
            chunk({"content": [{"type": "text", "text": words(ANSWER)[0]}]}),
            *(chunk({"content": word}) for word in words(ANSWER)[1:]),
            *_tail(),
        ),
        _whole(
            {"content": [_thinking(PLAN + TRACE), {"type": "text", "text": ANSWER}], "reasoning_content": ""}
        ),
    ),
}
_AT: dict[str, dict[str, Says]] = {
    "/chat/completions": MISTRALS,
    "/completions": COMPLETIONS,
    "/api/chat": OLLAMA_CHATS,
    "/api/generate": OLLAMA_TEXTS,
    "/messages": MESSAGE_ANSWERS,
    "/responses": RESPONSES,
}


GEMINI_STREAM = tuple(
    gemini_event(value) for value in (spoke({"text": PLAN, "thought": True}), *gemini_frames())
)
_PARTS = ({"text": PLAN + TRACE, "thought": True}, {"text": ANSWER, "thoughtSignature": SIGNED})
_CALLS = {"functionCall": {"name": "weather", "args": CALL}, "thoughtSignature": SIGNED}
_COUNTED = {"candidatesTokenCount": 5, "thoughtsTokenCount": 35}


def _said(*parts: dict[str, object]) -> bytes:
    return json.dumps(spoke(*parts, finish="STOP", **_COUNTED)).encode()


GEMINI_ANSWERS = {
    "plain": Says(GEMINI_STREAM, _said(*_PARTS)),
    "slow": Says(GEMINI_STREAM, slow=True),
    "breaks": Says(GEMINI_STREAM, breaks_at=len(GEMINI_STREAM) - 4),
    "together": Says(
        tuple(
            gemini_event(value)
            for value in (
                spoke({"text": PLAN, "thought": True}),
                spoke(*_PARTS),
                spoke({"text": ""}, finish="STOP", **_COUNTED),
            )
        ),
        _said(*_PARTS[:1], {"text": "Tom has ", "thought": False}, {"text": "three apples left."}),
    ),
    "two": Says(
        tuple(
            gemini_event(spoke(part, index=index, finish=finish, **_COUNTED))
            for part, finish in ((_PARTS[0], None), (_PARTS[1], None), ({"text": ""}, "STOP"))
            for index in (0, 1)
        ),
        json.dumps(
            {
                **spoke(),
                "candidates": [spoke(*_PARTS, index=at, finish="STOP")["candidates"][0] for at in (0, 1)],
            }  # type: ignore[index]
        ).encode(),
    ),
    "tools": Says(
        (*GEMINI_STREAM[:-1], gemini_event(spoke(_CALLS, finish="STOP", **_COUNTED))),
        _said(_PARTS[0], _CALLS),
    ),
}


def as_array(frames: Frames) -> Frames:
    """Server-sent events as the elements of one array."""
    first, *rest = (frame[len(b"data: ") :].rstrip() for frame in frames)
    return (b"[" + first, *(b"\n,\r\n" + one for one in rest), b"\n]")


def _gemini(scope: Scope) -> tuple[Says, bool]:
    """What the model in a path says, and whether it streams; as an array where nobody asked for events."""
    model, _, verb = scope["path"].rpartition("/")[2].partition(":")
    says, streamed = GEMINI_ANSWERS[model], verb.startswith("stream")
    if streamed and b"alt=sse" not in scope["query_string"]:
        says = replace(says, stream=as_array(says.stream), array=True)
    return says, streamed


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
    if (vectors := embedded(scope["path"], asked)) is not None:
        typed = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": typed})
        await send({"type": "http.response.body", "body": vectors, "more_body": False})
        return
    lines = "/api/" in scope["path"]
    if ":" in scope["path"]:
        says, streamed = _gemini(scope)
    else:
        path = scope["path"].rpartition("/")[0] if kept else scope["path"]
        says = next(says for end, says in _AT.items() if path.endswith(end))[asked["model"]]
        streamed = bool(asked.get("stream", lines))
    kind = (NDJSON if lines else SSE) if streamed and not says.array else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for at, piece in enumerate(says.stream if streamed else (says.whole,)):
        if at == says.breaks_at:
            raise RuntimeError("the model server dies")
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(PAUSE_S if says.slow and at in (4, 6, 8) else 0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
