"""Anthropic messages and their imitators.

Sources: Anthropic API reference, messages and streaming messages; anthropic-sdk-python
(read 2026-11-23).
"""

from __future__ import annotations

import orjson

from hardening.facts import Refusal, RefusalKind, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.names import speaks_of_reasoning
from hardening.wire.questions import compile_questions
from hardening.wire.roles import IN_ERRORS, Retelling, Role, compile_table
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

NAME = "anthropic_messages"

_BLOCK = (
    "{content,content[],message.content,message.content[],content_block}"  # a list of blocks, or only one
)
_OBJECTS = ("content", "content[]", "message.content", "message.content[]", "content_block", "delta")
# A new kind of block or delta may say anything under the keys of the answer.
_OF_NO_KIND = Retelling(
    lambda kind: b"text" not in kind and not speaks_of_reasoning(kind), {Role.TEXT: Role.TEXT_UNKNOWN}
)
RESPONSE = compile_table(
    {
        "type": Role.KIND,
        "index": Role.INDEX,
        "{content,content[],message.content,message.content[]}": Role.TEXT,
        "completion": Role.TEXT,
        f"{_BLOCK}.{{text,text.value,text.content,text.text}}": Role.TEXT,
        f"{_BLOCK}.{{thinking,reasoning,reasoning_content,summary}}": Role.REASONING,
        f"{_BLOCK}.{{signature,data,encrypted_content}}": Role.SEAL,
        f"{_BLOCK}.{{input,caller}}": Role.TOOL,
        f"{_BLOCK}.{{content,citations}}": Role.RESULT,
        "delta.text": Role.TEXT,
        "delta.{thinking,reasoning,reasoning_content,summary}": Role.REASONING,
        "delta.{signature,encrypted_content}": Role.SEAL,
        "delta.{partial_json,content}": Role.TOOL,
        "delta.citation": Role.RESULT,
        "{reasoning_content,reasoning,message.reasoning_content,message.reasoning}": Role.REASONING,
        "{stop_reason,delta.stop_reason}": Role.FINISH,
        "{usage,message.usage}": Role.USAGE,
        "delta.estimated_tokens": Role.LENGTH,
        "{token_ids,prompt_token_ids,message.prompt_token_ids}": Role.IDS,
        "error": Role.FAILED,
        "{,message.,delta.}stop_details": Role.ENDED,
        f"error.{IN_ERRORS}": Role.TRACE,
        "{model,message.model}": Role.NAME,
        f"{_BLOCK}.{{name,id,tool_use_id}}": Role.NAME,
        "{id,message.id}": Role.VOLATILE,
    },
    owners=("content[]", "message.content[]"),
    guarded=("", "message", *_OBJECTS),
    retold=dict.fromkeys(_OBJECTS, (_OF_NO_KIND,)),
    ends=("content_block_stop",),
    deltas=("content_block_delta",),
    blocks=("content_block_start", "content_block_stop"),
)

REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "stream": Role.ASK_STREAM,
        "max_tokens": Role.ASK_TOKENS,
        "top_logprobs": Role.ASK_TOP,
        "messages[].content": Role.PARTS,
        "messages[].content[]": Role.PART,
    },
    pins=SWITCHES,
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("max_tokens",)
TOP = ("top_logprobs",)
GRAMMAR = None  # its frames carry no identifiers: they compare literally

_KINDS: dict[RefusalKind, str] = {
    "forbidden": "permission_error",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "unreadable": "invalid_request_error",
    "pinned": "invalid_request_error",
    "too_large": "request_too_large",
    "unauthenticated": "authentication_error",
    "unavailable": "overloaded_error",
    "internal": "api_error",
}


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The error object that Anthropic's clients raise from."""
    error = {"type": _KINDS[refusal.kind], "message": refusal.message}
    return orjson.dumps({"type": "error", "error": error, "request_id": request_id})


class Stream:
    """What a stream of this format needs to say something itself: which blocks are open."""

    __slots__ = ("_ended", "_eol", "_open", "_started", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._eol = b"\n"
        self._open: set[int] = set()
        self._started = False
        self._ended = False

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        self._eol = eol
        for site in frame.sites:
            if site.role is not Role.KIND:
                continue
            kind = frame.text(site)
            if kind == "content_block_start":
                self._open.add(site.owner.index)
            elif kind == "content_block_stop":
                self._open.discard(site.owner.index)
            self._started = self._started or kind == "message_start"
            self._ended = self._ended or kind == "message_stop"

    def beat(self) -> bytes:
        """A ping, allowed anywhere between the start and the end of a message."""
        return self._event("ping", {"type": "ping"}) if self._started and not self._ended else b""

    def seal(self, index: int, member: bytes, like: Frame) -> bytes:
        """A delta with the seal of a trace as the signature of its block."""
        delta = {"type": "signature_delta", "signature": orjson.Fragment(member)}
        return self._event(
            "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        )

    def cut(self, usage: Usage) -> bytes:
        """The format's own end for a stream that is out of tokens."""
        closed = [
            self._event("content_block_stop", {"type": "content_block_stop", "index": index})
            for index in sorted(self._open)
        ]
        delta: dict[str, object] = {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"output_tokens": usage.completion},
        }
        return (
            b"".join(closed)
            + self._event("message_delta", delta)
            + self._event("message_stop", {"type": "message_stop"})
        )

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte."""
        return self._write(error_body(refusal, request_id), eol=self._eol, name="error")

    def _event(self, name: str, value: dict[str, object]) -> bytes:
        return self._write(orjson.dumps(value), eol=self._eol, name=name)
