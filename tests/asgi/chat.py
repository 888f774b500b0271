"""Small recordings of our own: chats that reason, in the two formats, and policies to lay over them."""

from __future__ import annotations

import json

TRACE = (
    "First I look at the numbers. There are 17 apples and 25 pears in the baskets. "
    "Adding them is simple: 17 + 25 = 42. So the total of both baskets comes to forty-two, as was asked."
)
ANSWER = "There are 42 pieces of fruit in all."
ASKED = {"model": "glass-1", "stream": True, "messages": [{"role": "user", "content": "How many pieces?"}]}
BODY = json.dumps(ASKED).encode()
USAGE = {"prompt_tokens": 11, "completion_tokens": 60, "total_tokens": 71}


def chunk(delta: dict[str, object], finish: str | None = None, *, index: int = 0, **more: object) -> bytes:
    frame = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "glass-1",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(frame).encode() + b"\n\n"


def words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")]


def stream(*, trace: str = TRACE, answer: str = ANSWER, usage: bool = True) -> list[bytes]:
    """A chat that reasons, a chunk a word."""
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"reasoning_content": word}) for word in words(trace)),
        *(chunk({"content": word}) for word in words(answer)),
        chunk({}, "stop"),
        *([chunk({}, None, usage=USAGE)] if usage else []),
        b"data: [DONE]\n\n",
    ]


def whole(*, trace: str = TRACE, answer: str = ANSWER) -> bytes:
    """The same chat as one JSON body."""
    message = {"role": "assistant", "content": answer, "reasoning_content": trace}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "glass-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    ).encode()


PLAIN_JSON = (
    b'{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"}}]}'
)

HIDE = """\
version: 1
name: hide
limits:
  minute: {tokens: 100k, per: 1m}
  calls: {requests: 1k, per: 1m}
  trial: {requests: 1k, per: 1m}
accounts:
  unproven: {limits: [trial]}
defaults:
  limits: [minute, calls]
  reasoning: {show: none}
  logprobs: {top: 2}
"""
"""A policy under which no trace leaves."""
