"""A format as one value: its tables and the few things it says in its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hardening.facts import LimitState, Refusal, RequestFacts, Usage
from hardening.wire import (
    anthropic_messages,
    cohere_embed,
    gemini_embed,
    gemini_generate,
    ollama_chat,
    ollama_embed,
    ollama_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    scores,
)
from hardening.wire.asked import read_request, read_spoken
from hardening.wire.frame import Frame
from hardening.wire.framing import Framing, Write
from hardening.wire.grammar import Grammar
from hardening.wire.json_array import JSON_ARRAY
from hardening.wire.ndjson import NDJSON
from hardening.wire.pins import Switch, Touch
from hardening.wire.questions import switches
from hardening.wire.rate_limits import ANTHROPIC, OPENAI, told
from hardening.wire.requests import Edits, as_utf8, edit_request
from hardening.wire.roles import Node, Role, Table, graft, said_by
from hardening.wire.spoken import Hear
from hardening.wire.sse import SSE


class Stream(Protocol):
    """What a format says by itself inside a stream that runs."""

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        ...

    def beat(self) -> bytes:
        """A frame that says nothing, where one is allowed now; else nothing."""
        ...

    def cut(self, usage: Usage) -> bytes:
        """The frames that end a stream which is out of tokens."""
        ...

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """The frame that ends a stream with an error."""
        ...


@runtime_checkable
class Sealing(Stream, Protocol):
    """The voice of a format whose seals have frames of their own."""

    def seal(self, index: int, member: bytes, like: Frame) -> bytes:
        """A frame that gives the seal of a trace, which came in frames `like` this one; `member` is its JSON."""
        ...


class Format(Protocol):
    """What the module of a format holds; a new format is one more of these, in FORMATS below."""

    @property
    def NAME(self) -> str:  # noqa: N802  these are constants of a module
        """What policies and receipts call it."""
        ...

    @property
    def RESPONSE(self) -> Table:  # noqa: N802
        """What stands where in a response."""
        ...

    @property
    def REQUEST(self) -> Node:  # noqa: N802
        """What stands where in a request."""
        ...

    @property
    def BOUND(self) -> tuple[str, ...] | None:  # noqa: N802
        """The path of the key that bounds an answer, where there is one."""
        ...

    @property
    def TOP(self) -> tuple[str, ...] | None:  # noqa: N802
        """The path of the key that says how many alternatives are asked for beside another that asks for rows."""
        ...

    @property
    def GRAMMAR(self) -> tuple[str, Framing] | None:  # noqa: N802
        """The path and the framing of payloads that are known without a parse, where identifiers change around them."""
        ...

    @property
    def Stream(self) -> Callable[[Write], Stream]:  # noqa: N802
        """Makes a new stream's own voice."""
        ...

    @property
    def error_body(self) -> Callable[[Refusal, str], bytes]:
        """Writes what the format's own clients raise from."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One wire format: requests in, events out, refusals in its shape."""

    name: str
    format: Format
    response: Table
    request: Node
    grammar: Grammar | None
    resends: bool
    """Whether its clients send reasoning back."""

    def read_request(
        self,
        body: bytes,
        *,
        door: str,
        model: str = "",
        stream: bool = False,
        client: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> RequestFacts:
        """The facts of a request; `model` and `stream` are what its path says already.

        Raises WireError where the body is no JSON object.
        """
        facts = RequestFacts(door, self.name, model, stream, 1, None, None, 0, 0, client, headers)
        return read_request(body, facts, table=self.request)

    def read_spoken(
        self,
        body: bytes,
        *,
        door: str,
        model: str = "",
        stream: bool = False,
        client: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> tuple[RequestFacts, Hear]:
        """As `read_request`, with what tells what whoever asks said last: to score it, and for nothing else."""
        facts = RequestFacts(door, self.name, model, stream, 1, None, None, 0, 0, client, headers)
        return read_spoken(body, facts, table=self.request)

    def switches(self, body: bytes, touches: Touch) -> tuple[Switch, ...]:
        """What in the body touches one of `touches` and is not harmless. Raises WireError as `read_request`."""
        return switches(as_utf8(body), self.request, touches, format=self.name)

    def edit_request(self, body: bytes, edits: Edits, switches: tuple[Switch, ...] = ()) -> bytes:
        """The body asking for no more than `edits` allow, `switches` of it set to what is harmless.

        It is the same object where nothing changes.
        """
        return edit_request(
            body,
            edits,
            table=self.request,
            format=self.name,
            bound=self.format.BOUND,
            rows=self.format.TOP,
            switches=switches,
        )

    def frame(self, raw: bytes, start: int = 0, end: int | None = None, *, source: bytes = b"") -> Frame:
        """The frame whose JSON stands at `start:end` of `raw`. Raises WireError where it is none."""
        stop = len(raw) if end is None else end
        return Frame(raw, start, stop, table=self.response, format=self.name, source=source or raw)

    def framing(self, content_type: bytes) -> Framing | None:
        """How a response of this content type is cut into events; None where it is one JSON text."""
        framing = _FRAMINGS.get(content_type.partition(b";")[0].strip().lower())
        return JSON_ARRAY if framing is None and self.name in _IN_ARRAYS else framing

    def stream(self, framing: Framing) -> Stream:
        """A new stream's own voice."""
        return self.format.Stream(framing.write)

    def rate_limits(self, states: Iterable[LimitState], wall: float) -> list[tuple[bytes, bytes]]:
        """The headers that tell what is left of limits; `wall` is in seconds since 1970."""
        return told(_RATE_LIMITS.get(self.name, OPENAI), states, wall)

    def refusal(self, refusal: Refusal, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of a refusal, as the format's own clients expect it."""
        body = self.format.error_body(refusal, request_id)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return refusal.status, headers, body


# What may stand by itself where an answer should, at any door: gateways mix formats, and leave out what is around.
_BARE = {
    b"choices": openai_chat.RESPONSE.root.keys[b"choices"],
    b"candidates": gemini_generate.RESPONSE.root.keys[b"candidates"],
    b"content_block": anthropic_messages.RESPONSE.root.keys[b"content_block"],
    b"delta": anthropic_messages.RESPONSE.root.keys[b"delta"],
    b"content": anthropic_messages.RESPONSE.root.keys[b"content"],
    b"message": ollama_chat.RESPONSE.root.keys[b"message"],
    **said_by({"output_text": Role.TEXT_ALL, "generated_text": Role.TEXT_COPY, "text": Role.TEXT_COPY}),
}


def _codec(format: Format) -> Codec:
    if not format.RESPONSE.embeds:
        graft(format.RESPONSE.root, _BARE)
    resends = format.REQUEST.holds(Role.PARTS) or format.REQUEST.holds(Role.RESENT)
    # Only now: a grammar takes for harmless what the table does not know.
    grammar = Grammar(format.RESPONSE.root, *format.GRAMMAR) if format.GRAMMAR else None
    return Codec(format.NAME, format, format.RESPONSE, format.REQUEST, grammar, resends)


_FRAMINGS = {
    b"text/event-stream": SSE,
    b"application/x-ndjson": NDJSON,
    b"application/ndjson": NDJSON,
    b"application/jsonl": NDJSON,
    b"application/stream+json": NDJSON,
}

_RATE_LIMITS = {anthropic_messages.NAME: ANTHROPIC}

# A JSON text of theirs is a stream where it is an array; no content type tells.
_IN_ARRAYS = frozenset({gemini_generate.NAME})

FORMATS: tuple[Format, ...] = (
    openai_chat,
    openai_completions,
    openai_responses,
    anthropic_messages,
    gemini_generate,
    ollama_chat,
    ollama_generate,
    openai_embeddings,
    gemini_embed,
    ollama_embed,
    cohere_embed,
    scores,
)

CODECS: dict[str, Codec] = {format.NAME: _codec(format) for format in FORMATS}
