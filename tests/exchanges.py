"""Drives an Exchange in tests: streams written by hand, any split, real transforms."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hardening.exchange import Exchange, Settlement, Tools
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.transform.chain import Makers
from hardening.transform.embeddings import VectorStepper
from hardening.transform.logprobs import LogprobCutter
from hardening.wire.codec import CODECS

SSE, NDJSON = b"text/event-stream", b"application/x-ndjson"
TRACE = "Tom has 5 apples. He gives 2 away, so 5 - 2 = 3 are left. Let me check: 3 + 2 = 5."
TRACED = -(-len(TRACE) // 4)  # the tokens that its bytes come to
SUMMARY = "Subtracted what was given away."
ANSWER = "Tom has three apples left."


class FixedSummary:
    """Stands where a summariser stands; what it says is told apart from any trace."""

    def feed(self, text: str) -> None:
        """Take a piece."""

    def finish(self, question_values: frozenset[str]) -> str:
        """The same sentence always."""
        return SUMMARY


TOOLS = Tools(
    Makers(cutter=LogprobCutter, summariser=lambda max_tokens: FixedSummary(), stepper=VectorStepper)
)

SUMMARISED = Decision(reasoning=ReasoningTerms(show="summary"), logprobs=LogprobTerms(top=2, step=0.25))
HIDDEN = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=0))
SHADOW = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=0), enforced=False)
EXEMPT = Decision(reasoning=ReasoningTerms(show="none"), exempt=True)


def exchange(
    format: str = "openai_chat", decision: Decision = SUMMARISED, *, sse: bool = True, **more: int
) -> Exchange:
    """An exchange at the start of its response; with `sse` one that comes in pieces, as the format's do."""
    facts = RequestFacts(
        door="/test",
        format=format,
        prompt_bytes=more.pop("prompt_bytes", 40),
        choices=more.pop("choices", 1),
        top_logprobs=more.pop("top_logprobs", None),
    )
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


def _part(kind: str, text: str) -> dict[str, object]:
    more = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
    return {"type": kind, "text": text, **more}


def reasoning_item(content: str = "", summary: str = "", **more: object) -> dict[str, object]:
    """A reasoning item; empty texts stand in no part."""
    return {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [_part("summary_text", summary)] if summary else [],
        "content": [_part("reasoning_text", content)] if content else [],
        **more,
    }


def message_item(text: str = ANSWER, status: str = "completed") -> dict[str, object]:
    """A message item that says `text`."""
    content = [_part("output_text", text)] if text else []
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}


RESPONSE_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 25},
    "total_tokens": 49,
}


def response(output: list[dict[str, object]], status: str = "completed") -> dict[str, object]:
    """A response object as the strict client wants it."""
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": "m", "output": output,
        "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "reasoning": {"effort": "high", "summary": "auto"},
        "usage": RESPONSE_USAGE if status == "completed" else None,
    }  # fmt: skip


def numbered(frames: Iterable[tuple[str, dict[str, object]]]) -> list[bytes]:
    """Events of a responses stream, counted from 0."""
    return [event(f"response.{kind}", sequence_number=n, **more) for n, (kind, more) in enumerate(frames)]


Told = list[tuple[str, dict[str, object]]]


def told_trace(trace: str, channel: str = "reasoning_text", number: int = 0) -> Told:
    """The events of one part of a trace: begun, in pieces, whole, and whole again."""
    summary = channel == "reasoning_summary_text"
    at: dict[str, object] = {"item_id": "rs_1", "output_index": 0}
    at["summary_index" if summary else "content_index"] = number
    part, kind = ("reasoning_summary_part", "summary_text") if summary else ("content_part", "reasoning_text")
    return [
        (f"{part}.added", {**at, "part": _part(kind, "")}),
        *((f"{channel}.delta", {**at, "delta": word}) for word in words(trace)),
        (f"{channel}.done", {**at, "text": trace}),
        (f"{part}.done", {**at, "part": _part(kind, trace)}),
    ]


def told_text(text: str, index: int = 1) -> Told:
    """The events of a message from its beginning to its end."""
    at: dict[str, object] = {"item_id": "msg_1", "output_index": index, "content_index": 0}
    return [
        ("output_item.added", {"output_index": index, "item": message_item("", "in_progress")}),
        ("content_part.added", {**at, "part": _part("output_text", "")}),
        *(("output_text.delta", {**at, "delta": word, "logprobs": []}) for word in words(text)),
        ("output_text.done", {**at, "text": text, "logprobs": []}),
        ("content_part.done", {**at, "part": _part("output_text", text)}),
        ("output_item.done", {"output_index": index, "item": message_item(text)}),
    ]


def told_response(middle: Told, output: list[dict[str, object]]) -> list[bytes]:
    """A stream of a response: its beginning, `middle`, and the whole."""
    opening: Told = [(kind, {"response": response([], "in_progress")}) for kind in ("created", "in_progress")]
    return numbered([*opening, *middle, ("completed", {"response": response(output)})])


def responses_stream(*channels: str) -> list[bytes]:
    """Trace, answer, end as responses: a trace is told five times in each channel."""
    channels = channels or ("reasoning_text",)
    item = reasoning_item(
        TRACE if "reasoning_text" in channels else "",
        TRACE if "reasoning_summary_text" in channels else "",
    )
    trace: Told = [
        ("output_item.added", {"output_index": 0, "item": reasoning_item()}),
        *(one for channel in channels for one in told_trace(TRACE, channel)),
        ("output_item.done", {"output_index": 0, "item": item}),
    ]
    return told_response([*trace, *told_text(ANSWER)], [item, message_item()])


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
