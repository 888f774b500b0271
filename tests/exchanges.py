"""Drives an Exchange in tests: streams written by hand, any split, real transforms."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hardening.exchange import Exchange, Settlement, Tools
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.transform.chain import Makers
from hardening.transform.logprobs import LogprobCutter
from hardening.wire.codec import CODECS

SSE, NDJSON = b"text/event-stream", b"application/x-ndjson"
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
    """An exchange at the start of its response; with `sse` one that comes in pieces, as the format's do."""
    facts = RequestFacts(door="/test", format=format, prompt_bytes=more.pop("prompt_bytes", 40))
    made = Exchange(CODECS[format], facts, decision, TOOLS, **more)
    streamed = NDJSON if format.startswith("ollama") else SSE
    made.start(200, [(b"content-type", streamed if sse else b"application/json")])
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


def line(number: int = 0, *, done: bool = False, **more: object) -> bytes:
    """A line as Ollama writes it, with the time of each."""
    head = {"model": "m", "created_at": f"2026-01-01T00:00:00.{number:06}Z"}
    return json.dumps({**head, **more, "done": done}, separators=(",", ":")).encode() + b"\n"


def spoken(text: str, **more: object) -> dict[str, object]:
    """A message of Ollama's chat."""
    return {"message": {"role": "assistant", "content": text, **more}}


_END = {"done_reason": "stop", "total_duration": 987, "prompt_eval_count": 9, "eval_count": 40}


def ollama_chat_stream() -> list[bytes]:
    """The same in lines of Ollama's chat."""
    said = [spoken(""), *(spoken("", thinking=word) for word in words(TRACE)), *map(spoken, words(ANSWER))]
    return [
        *(line(number, **value) for number, value in enumerate(said)),
        line(len(said), **spoken(""), done=True, **_END),
    ]


def ollama_generate_stream() -> list[bytes]:
    """The same in lines of Ollama's completions."""
    said: list[dict[str, object]] = [{"response": ""}]
    said += [{"response": "", "thinking": word} for word in words(TRACE)]
    said += [{"response": word} for word in words(ANSWER)]
    return [
        *(line(number, **value) for number, value in enumerate(said)),
        line(len(said), response="", done=True, **_END),
    ]


def completion(text: str, *, index: int = 0, finish: str | None = None, **more: object) -> bytes:
    """A chunk of a text completion."""
    choice = {"index": index, "text": text, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps({**body, **more}).encode() + b"\n\n"


def completions_stream() -> list[bytes]:
    """The same as a base model writes it: the trace between tags."""
    return [
        completion(""),
        *(completion(word) for word in [*words(f"<think>{TRACE}"), "</think>", *words(ANSWER)]),
        completion("", finish="stop"),
        USAGE.replace(b"chat.completion.chunk", b"text_completion"),
        DONE,
    ]


def deltas(out: bytes) -> list[dict[str, object]]:
    """The parsed data of every event, or of every line, read independently of the codec."""
    lines = out.decode().replace("\r\n", "\n").split("\n")
    return [
        json.loads(line.removeprefix("data:"))
        for line in lines
        if line.startswith(("data:", "{")) and "[DONE]" not in line
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
