"""One request and its response, without I/O: bytes in, bytes out, and what it came to.

The same object serves ASGI, tests and benchmarks. What arrives is cut into frames, frames
into events; transforms act on events; what nothing touched leaves as the bytes that came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hardening.errors import WireError
from hardening.facts import Decision, Refusal, RequestFacts, Usage
from hardening.lanes import Lanes
from hardening.rewrite import Rewriter
from hardening.transform.chain import Chain, Makers
from hardening.transform.question import Question
from hardening.transform.tally import Tally
from hardening.wire.codec import Codec
from hardening.wire.requests import Edits
from hardening.wire.shapes import Shapes
from hardening.wire.sse import SseFrame, SseFramer

BEAT_S = 10.0  # silence after which a stream says that it lives; some proxies cut at 15 s
MAX_BODY_BYTES = 64 * 1024 * 1024  # of a response that is one JSON text

_Mode = Literal["sniff", "frames", "gather", "pass"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the exchanges of a process share; `pass_unreadable` as the policy's `on_failure` says."""

    makers: Makers
    pass_unreadable: bool = False
    shapes: dict[str, Shapes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """Headers that may go out; with `hold` not before the first byte, or the end, of the body."""

    headers: list[tuple[bytes, bytes]]
    hold: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an exchange came to: tokens and their source, what was changed, what looked wrong."""

    usage: Usage
    source: Literal["usage", "events", "none"]
    changed: tuple[str, ...]
    reasons: tuple[str, ...]


class Exchange:
    """The way of one request through one Decision."""

    def __init__(
        self,
        codec: Codec,
        facts: RequestFacts,
        decision: Decision,
        tools: Tools,
        *,
        reserved_tokens: int | None = None,
        bytes_per_token: float = 4.0,
    ) -> None:
        """Prepare for one response; `reserved_tokens` None means that nothing bounds its length."""
        self._codec = codec
        self._facts = facts
        self._decision = decision
        self._tools = tools
        self._acts = decision.acts
        self._hides = self._acts and decision.reasoning.show != "full"
        self._pass_unreadable = tools.pass_unreadable or not self._acts
        self._question = Question()
        self._tally = Tally(prompt_bytes=facts.prompt_bytes, bytes_per_token=bytes_per_token)
        self._bytes_per_token = bytes_per_token
        self._granted_bytes = None if reserved_tokens is None else int(reserved_tokens * bytes_per_token)
        self._mode: _Mode = "sniff"
        self._started = self._closed = False
        self._reasons: set[str] = set()
        self.wake_at: float | None = None

    def _prepare(self) -> None:
        """Make what a response needs; only now, since the app was called in the meantime."""
        codec, tools = self._codec, self._tools
        self._started = True
        self._chain = Chain(self._decision, tools.makers, self._question.values)
        self._rewriter = Rewriter(self._chain, self._tally)
        self._framer = SseFramer()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._stream = codec.stream()
        shapes = tools.shapes.setdefault(codec.name, Shapes())
        self._lanes = Lanes(
            self._chain, self._tally, grammar=codec.grammar, shapes=shapes, changed=self._rewriter.changed
        )

    @property
    def treatment(self) -> dict[str, str | int | bool]:
        """What this exchange may change, for disclosure; empty where nothing."""
        told: dict[str, str | int | bool] = {}
        if self._hides:
            told["reasoning"] = self._decision.reasoning.show
        if self._acts and self._decision.logprobs.top is not None:
            told["logprobs"] = self._decision.logprobs.top
        return told

    def request(self, body: bytes) -> bytes:
        """The body for the app: the same object, or one that asks for no more than is allowed."""
        if not self._acts:
            return body
        self._question.take(body)
        edits = Edits(
            max_tokens=self._decision.max_tokens,
            top_logprobs=self._decision.logprobs.top if self._facts.top_logprobs is not None else None,
            drop_resent=self._hides and b'"thinking"' in body,
        )
        return body if edits == Edits() else self._codec.edit_request(body, edits)

    def start(self, status: int, headers: list[tuple[bytes, bytes]], now: float = 0.0) -> Start:
        """How the response is read, by its content type. A stream of events is not held."""
        kind = b"".join(value for name, value in headers if name.lower() == b"content-type")
        self._prepare()
        self._status = status
        self._declared_sse = kind.lower().lstrip().startswith(b"text/event-stream")
        return Start(headers, hold=self._acts and not self._declared_sse)

    def receive(self, data: bytes, now: float) -> bytes:
        """What leaves for a piece of the response; the same object where it is untouched.

        Raises WireError where the policy acts and the body cannot be read.
        """
        if not self._framer.pending:
            lane = self._lanes.lane
            known = (
                self._lanes.take(lane, data) if lane is not None and data.startswith(lane.prefix) else None
            )
            if known:
                return known
            if known is None:
                known = self._lanes.change(data)
            if known is not None:
                if not known and self.wake_at is None and self._chain.holding:
                    self.wake_at = now + BEAT_S
                return known
        if self._closed:
            return b""
        if not self._acts:
            return self._watch(data)
        out = self._read(data)
        self.wake_at = (self.wake_at or now + BEAT_S) if self._chain.holding else None
        return out

    def _watch(self, data: bytes) -> bytes:
        """Read for the token counts alone; what cannot be read is not counted."""
        try:
            self._read(data)
        except WireError:
            self._reasons.add("unreadable_body")
            self._mode = "pass"
        return data

    # -- bodies

    def _read(self, data: bytes) -> bytes:
        if self._mode == "frames":
            return self._frames(data)
        if self._mode == "gather":
            return self._gather(data)
        return data if self._mode == "pass" else self._sniff(data)

    def _sniff(self, data: bytes) -> bytes:
        """Tell by its first byte what the body is; white space before it leaves at once."""
        rest = data.lstrip(b" \t\r\n")
        if not rest:
            return data
        first = rest.removeprefix(b"\xef\xbb\xbf")[:1]
        if first in (b"{", b"["):
            self._chain.read_inline(whole=True)
            self._mode = "gather"
        elif self._declared_sse or rest.startswith((b"data:", b"event:", b":", b"id:", b"retry:")):
            self._mode = "frames"
        else:
            self._reasons.add("unreadable_body")
            if not self._pass_unreadable and not 400 <= self._status < 500:
                raise WireError(self._codec.name, 0, "expected a JSON text or server-sent events")
            self._mode = "pass"
        head = data[: len(data) - len(rest)]
        out = self._read(rest)
        return data if out is rest else head + out

    def _gather(self, data: bytes) -> bytes:
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > MAX_BODY_BYTES:
            raise WireError(self._codec.name, MAX_BODY_BYTES, f"a body of more than {MAX_BODY_BYTES} bytes")
        return b""

    def _frames(self, data: bytes) -> bytes:
        out = [self._whole_event(raw) if raw == data else self._event(raw) for raw in self._framer.feed(data)]
        if len(out) == 1:
            return data if out[0] == data else out[0]
        return b"".join(out)

    def _event(self, raw: bytes) -> bytes:
        """What leaves for one whole server-sent event."""
        known = self._lanes.change(raw)
        return self._whole_event(raw) if known is None else known

    def _whole_event(self, raw: bytes) -> bytes:
        """`_event` for one whose shape is not known."""
        event = SseFrame(raw)
        data = event.data
        if not data:
            return self._silent(event)
        if data.strip() == b"[DONE]":
            return self._rewriter.rest() + raw
        try:
            frame = self._codec.frame(event.raw, event.data_at, event.data_end, source=raw)
        except WireError:
            if event.lines:  # a stream that lost its empty lines: each line is an event
                return b"".join(self._event(line) for line in event.lines)
            return self._unreadable(raw)
        out = self._rewriter.frame(frame)
        if out:
            self._stream.note(frame, eol=event.eol, data=data)
        self._lanes.learn(frame, out)
        return out

    def _silent(self, event: SseFrame) -> bytes:
        """A comment or an empty event: it keeps a connection alive and must not carry a trace."""
        if event.odd or self._chain.repeats(event.source.decode("utf-8", "replace")):
            return self._unreadable(event.source)
        return event.source

    def _unreadable(self, raw: bytes) -> bytes:
        self._reasons.add("unreadable_frame")
        passes = self._pass_unreadable and not self._chain.repeats(raw.decode("utf-8", "replace"))
        return raw if passes else b""

    # -- the end

    def end(self, now: float) -> bytes:
        """What is left when the upstream has ended. Raises WireError as `receive` does."""
        self.wake_at = None
        if self._closed:
            return b""
        self._closed = True
        if self._mode == "frames":
            rest = self._framer.rest()
            out = self._event(rest) if rest else b""
            return (out + self._rewriter.rest()) if self._acts else b""
        if self._mode != "gather":
            return b""
        try:
            return self._whole(b"".join(self._body))
        except WireError:
            self._reasons.add("unreadable_body")
            if not self._pass_unreadable:
                raise
            return b"".join(self._body) if self._acts else b""

    def _whole(self, body: bytes) -> bytes:
        start = 3 if body.startswith(b"\xef\xbb\xbf") else 0
        out = self._rewriter.frame(self._codec.frame(body, start), whole=True)
        return out if self._acts else b""

    def wake(self, now: float) -> bytes:
        """A heart-beat in the format, while a trace is held back."""
        self.wake_at = now + BEAT_S
        return b"" if self._framer.pending else self._stream.beat()

    @property
    def owed(self) -> int:
        """Tokens counted beyond what was reserved; 0 where nothing bounds them."""
        if self._granted_bytes is None or self._tally.bytes <= self._granted_bytes:
            return 0
        return int((self._tally.bytes - self._granted_bytes) / self._bytes_per_token) + 1

    def granted(self, tokens: int) -> None:
        """The store gave `tokens` more."""
        if self._granted_bytes is not None:
            self._granted_bytes += int(tokens * self._bytes_per_token)

    def cut(self, now: float) -> bytes:
        """End the stream the way the format ends one that reached its length; a trace stays hidden."""
        self._reasons.add("cut")
        return self._close(self._stream.cut(self._tally.usage))

    def fail(self, now: float, refusal: Refusal, request_id: str = "") -> bytes:
        """End a stream that has begun with the format's own error."""
        return self._close(self._stream.fail(refusal, request_id))

    def _close(self, last: bytes) -> bytes:
        self.wake_at = None
        self._closed = True
        self._lanes.close()
        return self._rewriter.rest() + last

    def settlement(self) -> Settlement:
        """What the exchange came to, when it is over."""
        return Settlement(
            usage=self._tally.usage,
            source=self._tally.source,
            changed=tuple(sorted(self._changed())) if self._started and self._acts else (),
            reasons=tuple(sorted(self._reasons | self._alarms())),
        )

    def _changed(self) -> set[str]:
        hidden = self._chain.hidden
        hid = {"reasoning"} if hidden is not None and hidden.chars else set()
        return self._rewriter.changed | hid

    def _alarms(self) -> set[str]:
        inline = self._chain.inline if self._started else None
        return inline.alarms if inline is not None else set()
