"""A format as one value: its tables and the few things it says in its own words."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from hardening.facts import Refusal, RequestFacts, Usage
from hardening.wire import anthropic_messages, openai_chat
from hardening.wire.frame import Frame
from hardening.wire.grammar import Grammar
from hardening.wire.requests import Edits, edit_request, read_request
from hardening.wire.roles import Node


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


@dataclass(frozen=True, slots=True)
class Codec:
    """One wire format: requests in, events out, refusals in its shape."""

    name: str
    module: ModuleType
    response: Node
    request: Node
    bound: bytes | None
    grammar: Grammar | None

    def read_request(
        self, body: bytes, *, door: str, client: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> RequestFacts:
        """The facts of a request. Raises WireError where the body is no JSON object."""
        return read_request(body, format=self.name, door=door, client=client, headers=headers)

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        """The body asking for no more than `edits` allow; the same object where nothing changes."""
        return edit_request(body, edits, table=self.request, format=self.name, insert=self.bound)

    def frame(self, raw: bytes, start: int = 0, end: int | None = None, *, source: bytes = b"") -> Frame:
        """The frame whose JSON stands at `start:end` of `raw`. Raises WireError where it is none."""
        stop = len(raw) if end is None else end
        return Frame(raw, start, stop, table=self.response, format=self.name, source=source or raw)

    def stream(self) -> Stream:
        """A new stream's own voice."""
        stream: Stream = self.module.Stream()
        return stream

    def refusal(self, refusal: Refusal, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of a refusal, as the format's own clients expect it."""
        body: bytes = self.module.error_body(refusal, request_id)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return refusal.status, headers, body


def _codec(module: ModuleType) -> Codec:
    return Codec(module.NAME, module, module.RESPONSE, module.REQUEST, module.BOUND, module.GRAMMAR)


CODECS: dict[str, Codec] = {module.NAME: _codec(module) for module in (openai_chat, anthropic_messages)}
