"""Drives an Exchange in tests: streams written by hand, any split, real transforms."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hardening.exchange import Exchange, Settlement, Tools
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.transform.chain import Makers
from hardening.transform.logprobs import LogprobCutter
from hardening.wire.codec import CODECS

TRACE = "Tom has 5 apples. He gives 2 away, so 5 - 2 = 3 are left. Let me check: 3 + 2 = 5."
SUMMARY = "Subtracted what was given away."
ANSWER = "Tom has three apples left."


class FixedSummary:
    """Stands where a summariser stands; what it says is told apart from any trace."""

    def feed(self, text: str) -> None:
        """Take a piece."""

    def finish(self, question_values: frozenset[str]) -> str:
        """The same sentence always."""
        return SUMMARY


TOOLS = Tools(Makers(cutter=LogprobCutter, summariser=lambda max_tokens: FixedSummary()))

SUMMARISED = Decision(reasoning=ReasoningTerms(show="summary"), logprobs=LogprobTerms(top=2, step=0.25))
HIDDEN = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=0))
SHADOW = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=0), enforced=False)
EXEMPT = Decision(reasoning=ReasoningTerms(show="none"), exempt=True)


def exchange(
    format: str = "openai_chat", decision: Decision = SUMMARISED, *, sse: bool = True, **more: int
) -> Exchange:
    """An exchange at the start of its response."""
    facts = RequestFacts(door="/test", format=format, prompt_bytes=more.pop("prompt_bytes", 40))
    made = Exchange(CODECS[format], facts, decision, TOOLS, **more)
    made.start(200, [(b"content-type", b"text/event-stream" if sse else b"application/json")])
    return made


def run(
    pieces: Iterable[bytes], format: str = "openai_chat", decision: Decision = SUMMARISED, *, sse: bool = True
) -> tuple[bytes, Settlement]:
    """What leaves for a whole response, and its settlement."""
    made = exchange(format, decision, sse=sse)
    out = b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)
    return out, made.settlement()


def chunk(delta: dict[str, object], *, index: int = 0, finish: str | None = None, **more: object) -> bytes:
    """A chat chunk as vLLM writes it."""
    choice = {"index": index, "delta": delta, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def words(text: str) -> list[str]:
    """A text in pieces that join to it."""
    return [word + " " for word in text.split(" ")[:-1]] + text.split(" ")[-1:]


USAGE = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":40,"total_tokens":49}}\n\n'
DONE = b"data: [DONE]\n\n"


def chat_stream(field: str = "reasoning_content") -> list[bytes]:
    """Trace, answer, end, usage: a chat stream frame by frame."""
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({field: word}) for word in words(TRACE)),
        *(chunk({"content": word}) for word in words(ANSWER)),
        chunk({}, finish="stop"),
        USAGE,
        DONE,
    ]


def event(kind: str, **more: object) -> bytes:
    """A messages event."""
    return b"event: " + kind.encode() + b"\ndata: " + json.dumps({"type": kind, **more}).encode() + b"\n\n"


def messages_stream() -> list[bytes]:
    """The same as Anthropic messages."""

    def delta(index: int, kind: str, **more: object) -> bytes:
        return event("content_block_delta", index=index, delta={"type": kind, **more})

    usage = {"input_tokens": 9, "output_tokens": 1}
    return [
        event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}),
        event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
        event("ping"),
        *(delta(0, "thinking_delta", thinking=word) for word in words(TRACE)),
        delta(0, "signature_delta", signature="EqQBCkYIBxgCKkDx"),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        *(delta(1, "text_delta", text=word) for word in words(ANSWER)),
        event("content_block_stop", index=1),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 40}),
        event("message_stop"),
    ]  # fmt: skip


def spoke(
    *parts: dict[str, object], index: int = 0, finish: str | None = None, **usage: int
) -> dict[str, object]:
    """A Gemini response that says `parts`."""
    candidate: dict[str, object] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9, **usage},
        "modelVersion": "gemini-m",
        "responseId": "r1",
    }


SIGNED = "EqQBCkYIBxgCKkDx7Tz9QmP0"


def gemini_frames() -> list[dict[str, object]]:
    """The same as Gemini's responses, chunk by chunk."""
    return [
        *(
            spoke({"text": word, "thought": True}, thoughtsTokenCount=at)
            for at, word in enumerate(words(TRACE))
        ),
        *(spoke({"text": word}, candidatesTokenCount=at + 1) for at, word in enumerate(words(ANSWER))),
        spoke(
            {"text": "", "thoughtSignature": SIGNED},
            finish="STOP",
            candidatesTokenCount=5,
            thoughtsTokenCount=35,
        ),
    ]


def gemini_event(value: object) -> bytes:
    """A chunk as the Gemini API writes it where events are asked for."""
    return b"data: " + json.dumps(value, separators=(",", ": ")).encode() + b"\r\n\r\n"


def gemini_stream() -> list[bytes]:
    """`gemini_frames` as server-sent events."""
    return [gemini_event(value) for value in gemini_frames()]


def gemini_array() -> list[bytes]:
    """`gemini_frames` as one array, in the pieces in which the Gemini API writes it."""
    first, *rest = (json.dumps(value, indent=2).encode() for value in gemini_frames())
    return [b"[" + first, *(b"\n,\r\n" + one for one in rest), b"\n]"]


def deltas(out: bytes) -> list[dict[str, object]]:
    """The parsed data of every event, read independently of the codec."""
    return [
        json.loads(line[5:])
        for line in out.decode().replace("\r\n", "\n").split("\n")
        if line.startswith("data:") and "[DONE]" not in line
    ]


def said(out: bytes, *names: str, index: int = 0) -> str:
    """What a chat stream says under any of `names`, joined."""
    return "".join(
        str(choice["delta"].get(name) or "")
        for value in deltas(out)
        for choice in value.get("choices", [])  # type: ignore[attr-defined]
        if choice["index"] == index
        for name in names
    )
