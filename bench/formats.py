"""One answer and one trace as each streaming format says them, with what changes from chunk to chunk in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import orjson

from bench.apps import JSON, SSE
from bench.streams import ANSWER, CHUNKS, TRACE, TRACE_CHUNKS, deltas, name_of

Value = dict[str, object]
Told = Iterator[Value]

NDJSON = b"application/x-ndjson"

_MODEL = "aurora-4-mini"
_ASKED: Value = {"model": _MODEL, "stream": True}
_TURNS: Value = {"messages": [{"role": "user", "content": "How do I merge intervals?"}]}
_CONTENTS: Value = {"contents": [{"role": "user", "parts": [{"text": "How do I merge intervals?"}]}]}


@dataclass(frozen=True, slots=True)
class Format:
    """A format's door, a request, and its events of a text or of a trace that ends in one piece of text."""

    path: str
    kind: bytes
    request: Value
    tell: Callable[[Random, list[str], bool], Told]

    def events(self, seed: int, *, trace: bool) -> list[bytes]:
        """The JSON of each event; the last one of a trace is the first of the answer."""
        pieces = deltas(TRACE, TRACE_CHUNKS) if trace else deltas(ANSWER, CHUNKS)
        return [orjson.dumps(event) for event in self.tell(Random(seed), pieces, trace)]

    def chunks(self, events: list[bytes]) -> list[bytes]:
        """Each event in its framing."""
        if self.kind is NDJSON:
            return [event + b"\n" for event in events]
        if self.kind is JSON:
            return [(b",\n" if place else b"[") + event for place, event in enumerate(events)]
        return [_named(event) + b"data: " + event + b"\n\n" for event in events]


def _named(event: bytes) -> bytes:
    """The line with an event's name, which the formats that write one take from its type."""
    kind = orjson.loads(event).get("type")
    return b"event: %b\n" % kind.encode() if isinstance(kind, str) else b""


def _completions(random: Random, pieces: list[str], trace: bool) -> Told:
    head = {"id": f"cmpl-{name_of(random, 29)}", "object": "text_completion", "created": 1_790_000_000}
    told = ["<think>", *pieces, "</think>", "Yes"] if trace else pieces
    for text in told:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None}
        yield {**head, "choices": [choice], "model": _MODEL}


def _mistral(random: Random, pieces: list[str], trace: bool) -> Told:
    head = {"id": name_of(random, 32), "object": "chat.completion.chunk", "created": 1_790_000_000}

    def chunk(delta: Value) -> Value:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return {**head, "model": _MODEL, "choices": [choice], "p": name_of(random, random.randint(2, 30))}

    yield chunk({"role": "assistant", "content": ""})
    for text in pieces:
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
        yield chunk({"content": thought if trace else text})
    if trace:
        yield chunk({"content": "Yes"})


def _messages(random: Random, pieces: list[str], trace: bool) -> Told:
    message = {"id": f"msg_{name_of(random, 24)}", "type": "message", "role": "assistant", "model": _MODEL}
    usage = {"input_tokens": 412, "output_tokens": 1}
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": begun}

    def block(index: int, texts: list[str], kind: str) -> Told:
        more = {"signature": ""} if kind == "thinking" else {}
        yield {
            "type": "content_block_start",
            "index": index,
            "content_block": {"type": kind, kind: "", **more},
        }
        for text in texts:
            yield {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": f"{kind}_delta", kind: text},
            }

    if not trace:
        yield from block(0, pieces, "text")
        return
    yield from block(0, pieces, "thinking")
    signature = {"type": "signature_delta", "signature": name_of(random, 300)}
    yield {"type": "content_block_delta", "index": 0, "delta": signature}
    yield {"type": "content_block_stop", "index": 0}
    yield from block(1, ["Yes"], "text")


def _responses(random: Random, pieces: list[str], trace: bool) -> Told:
    response = {"id": f"resp_{name_of(random, 48)}", "object": "response", "model": _MODEL, "output": []}
    events: list[Value] = [
        {"type": f"response.{word}", "response": {**response, "status": "in_progress"}}
        for word in ("created", "in_progress")
    ]

    def item(index: int, texts: list[str], kind: str) -> None:
        own = f"{kind}_{name_of(random, 48)}"
        begun: Value = {"id": own, "type": "reasoning", "summary": []} if kind == "rs" else {}
        if kind == "msg":
            begun = {
                "id": own,
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        word = "reasoning_text" if kind == "rs" else "output_text"
        at = {"item_id": own, "output_index": index, "content_index": 0}
        part = {"type": word, "text": ""}
        events.append({"type": "response.content_part.added", **at, "part": part})
        events.extend(
            {"type": f"response.{word}.delta", **at, "delta": text, "obfuscation": name_of(random, 9)}
            for text in texts
        )
        if kind == "rs":
            whole = "".join(texts)
            events.append({"type": f"response.{word}.done", **at, "text": whole})
            done = {**begun, "content": [{"type": word, "text": whole}], "status": "completed"}
            events.append({"type": "response.output_item.done", "output_index": index, "item": done})

    if trace:
        item(0, pieces, "rs")
    item(int(trace), ["Yes"] if trace else pieces, "msg")
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _gemini(random: Random, pieces: list[str], trace: bool) -> Told:
    own = {"modelVersion": _MODEL, "responseId": name_of(random, 23)}

    def spoke(part: Value, count: int) -> Value:
        usage: Value = {"promptTokenCount": 412, "totalTokenCount": 412 + count}
        usage["thoughtsTokenCount" if trace else "candidatesTokenCount"] = count
        content = {"parts": [part], "role": "model"}
        return {"candidates": [{"content": content, "index": 0}], "usageMetadata": usage, **own}

    for number, text in enumerate(pieces):
        yield spoke({"text": text, "thought": True} if trace else {"text": text}, number + 1)
    if trace:
        yield spoke({"text": "Yes"}, len(pieces))


def _ollama(random: Random, pieces: list[str], trace: bool, key: str = "message") -> Told:
    def line(text: str, thinking: str) -> Value:
        at = f"2026-11-25T20:31:07.{random.randrange(10**9):09d}Z"
        said: Value = {"content" if key == "message" else key: text}
        said |= {"thinking": thinking} if thinking else {}
        held = {key: {"role": "assistant", **said}} if key == "message" else said
        return {"model": _MODEL, "created_at": at, **held, "done": False}

    for text in pieces:
        yield line("", text) if trace else line(text, "")
    if trace:
        yield line("Yes", "")


def _ollama_generate(random: Random, pieces: list[str], trace: bool) -> Told:
    return _ollama(random, pieces, trace, key="response")


FORMATS: dict[str, Format] = {
    "completions": Format("/v1/completions", SSE, {**_ASKED, "prompt": "Merge."}, _completions),
    "mistral": Format("/v1/chat/completions", SSE, {**_ASKED, **_TURNS}, _mistral),
    "responses": Format("/v1/responses", SSE, {**_ASKED, "input": "Merge."}, _responses),
    "anthropic": Format("/v1/messages", SSE, {**_ASKED, "max_tokens": 2000, **_TURNS}, _messages),
    "gemini": Format(f"/v1beta/models/{_MODEL}:streamGenerateContent", SSE, _CONTENTS, _gemini),
    "gemini_array": Format(f"/v1beta/models/{_MODEL}:streamGenerateContent", JSON, _CONTENTS, _gemini),
    "ollama_chat": Format("/api/chat", NDJSON, {"model": _MODEL, **_TURNS}, _ollama),
    "ollama_generate": Format(
        "/api/generate", NDJSON, {"model": _MODEL, "prompt": "Merge."}, _ollama_generate
    ),
}
"""By their names in the claims; OpenAI's chat has streams of its own in `bench.streams`."""
