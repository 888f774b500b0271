"""The formats that laws are held against: where each is spoken, and an answer of each that reasons."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.exchanges import (
    ANSWER,
    NDJSON,
    SIGNED,
    SSE,
    TRACE,
    chat_stream,
    completions_stream,
    gemini_stream,
    line,
    message_item,
    messages_stream,
    ollama_chat_stream,
    ollama_generate_stream,
    reasoning_item,
    response,
    responses_stream,
    spoke,
    spoken,
    words,
)

QUESTION = {
    "messages": [{"role": "user", "content": "Tom has 5 apples and gives 2 away. How many are left?"}]
}
ROWS = [
    {
        "token": token,
        "logprob": -0.137,
        "bytes": list(token.encode()),
        "top_logprobs": [
            {"token": other, "logprob": -0.137 - 0.731 * rank, "bytes": list(other.encode())}
            for rank, other in enumerate([token, " Jim", " Ann", " Bob", " Eve", " Ida", " Uwe", " Kai"])
        ],
    }
    for token in ("Tom", " has", " three", " apples", " left", ".")
]
"""The log-probabilities of the answer, eight a position."""


@dataclass(frozen=True)
class Format:
    """A format, its door, a request, and the same answer as a stream and as one body."""

    name: str
    path: str
    asked: bytes
    stream: tuple[bytes, ...]
    whole: bytes
    hidden: range
    """The pieces of the stream that tell a trace."""
    kind: bytes = SSE
    """The content type of its streams."""


def _chat_whole() -> bytes:
    message = {"role": "assistant", "content": ANSWER, "refusal": None, "reasoning_content": TRACE}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": ROWS, "refusal": None},
        "finish_reason": "stop",
    }
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49},
        }
    ).encode()


def _messages_whole() -> bytes:
    content = [
        {"type": "thinking", "thinking": TRACE, "signature": "EqQBCkYIBxgCKkDx"},
        {"type": "text", "text": ANSWER},
    ]
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 40},
        }
    ).encode()


def _gemini_whole() -> bytes:
    parts = ({"text": TRACE, "thought": True}, {"text": ANSWER, "thoughtSignature": SIGNED})
    value = spoke(*parts, finish="STOP", candidatesTokenCount=5, thoughtsTokenCount=35)
    return json.dumps(value).encode()


_PIECES = len(words(TRACE))
CHAT = Format(
    "openai_chat",
    "/v1/chat/completions",
    json.dumps({"model": "m", **QUESTION}).encode(),
    tuple(chat_stream()),
    _chat_whole(),
    range(1, 1 + _PIECES),
)
MESSAGES = Format(
    "anthropic_messages",
    "/v1/messages",
    json.dumps({"model": "m", "max_tokens": 1000, **QUESTION}).encode(),
    tuple(messages_stream()),
    _messages_whole(),
    range(3, 4 + _PIECES),  # the signature as well
)
RESPONSES = Format(
    "openai_responses",
    "/v1/responses",
    json.dumps({"model": "m", "input": QUESTION["messages"]}).encode(),
    tuple(responses_stream()),
    json.dumps(response([reasoning_item(TRACE), message_item()])).encode(),
    range(3, 6 + _PIECES),  # the part begun, its pieces, the whole text, the part done
)
_COUNTS = {"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 40}
OLLAMA_CHAT = Format(
    "ollama_chat",
    "/api/chat",
    json.dumps({"model": "m", **QUESTION}).encode(),
    tuple(ollama_chat_stream()),
    line(**spoken(ANSWER, thinking=TRACE), done=True, **_COUNTS),
    range(1, 1 + _PIECES),
    NDJSON,
)
OLLAMA_GENERATE = Format(
    "ollama_generate",
    "/api/generate",
    json.dumps({"model": "m", "prompt": "Tom has 5 apples and gives 2 away. How many are left?"}).encode(),
    tuple(ollama_generate_stream()),
    line(response=ANSWER, thinking=TRACE, done=True, **_COUNTS),
    range(1, 1 + _PIECES),
    NDJSON,
)
COMPLETIONS = Format(
    "openai_completions",
    "/v1/completions",
    json.dumps({"model": "m", "prompt": "Tom has 5 apples and gives 2 away. How many are left?"}).encode(),
    tuple(completions_stream()),
    json.dumps(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "text": f"<think>{TRACE}</think>{ANSWER}",
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49},
        }
    ).encode(),
    range(1, 2 + _PIECES),  # its tags as well
)
GEMINI = Format(
    "gemini_generate",
    "/v1beta/models/m:streamGenerateContent",
    json.dumps(
        {"contents": [{"role": "user", "parts": [{"text": QUESTION["messages"][0]["content"]}]}]}
    ).encode(),
    tuple(gemini_stream()),
    _gemini_whole(),
    range(_PIECES),
)
FORMATS = (CHAT, COMPLETIONS, MESSAGES, RESPONSES, GEMINI, OLLAMA_CHAT, OLLAMA_GENERATE)
