"""The body of one response: what kind it is, cut into frames, each frame rewritten."""

from __future__ import annotations

from typing import Literal

from hardening.errors import WireError
from hardening.lanes import NO_LANE, ElementLane, Lane, Lanes, NoLane
from hardening.moulds import Moulds
from hardening.rewrite import Rewriter
from hardening.sealed import Seals
from hardening.transform.chain import Chain
from hardening.transform.drift import Drift
from hardening.transform.tally import Tally
from hardening.wire.codec import Codec
from hardening.wire.framing import BOM, Envelope, Framing
from hardening.wire.json_array import JSON_ARRAY, ArrayJoint, is_between
from hardening.wire.ndjson import NDJSON
from hardening.wire.scan import read_json
from hardening.wire.sse import SSE
from hardening.wire.tags import tells_trace

_WHITE = b" \t\r\n"
_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")

MAX_BODY_BYTES = 64 * 1024 * 1024  # of a response that is one JSON text


class Reply:
    """Reads a body as it comes: a stream of events, or one JSON text.

    `reasons` names what looked wrong; `passes_unreadable` says whether what cannot be read leaves.
    """

    __slots__ = (
        "_between",
        "_body",
        "_body_bytes",
        "_border",
        "_codec",
        "_cut",
        "_declared",
        "_drift",
        "_envelope",
        "_joint",
        "_mode",
        "_moulds",
        "_passes_unreadable",
        "_reasons",
        "_status",
        "_taken",
        "_tally",
        "chain",
        "framer",
        "lanes",
        "rewriter",
        "stream",
    )

    def __init__(
        self,
        codec: Codec,
        chain: Chain,
        tally: Tally,
        *,
        reasons: set[str],
        drift: Drift | None,
        hides_drift: bool,
        passes_unreadable: bool,
        status: int,
        framing: Framing | None,
        seals: Seals | None = None,
        moulds: Moulds | None = None,
    ) -> None:
        """Prepare for a body of an answer with `status`; `framing` is how it says that it is cut, if it does."""
        self._codec = codec
        self._reasons = reasons
        self._passes_unreadable = passes_unreadable
        self._status = status
        self._declared = framing
        self._mode: Literal["sniff", "frames", "gather", "words", "pass"] = "sniff"
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._taken: list[bytes] = []  # the events of a piece, while they are read
        self._moulds = moulds
        self._tally = tally
        self._drift = drift
        self.chain = chain
        self.rewriter = Rewriter(chain, tally, drift=drift, hides_drift=hides_drift, seals=seals)
        cut = framing or SSE
        self._joint = ArrayJoint() if cut is JSON_ARRAY else None
        self._between = b""  # a comma in white space before the only element of the last piece of an array
        self._cut_by(cut)
        grammar = codec.grammar if codec.grammar is not None and codec.grammar.framing is cut else None
        self.lanes = Lanes(chain, tally, self.rewriter, grammar=grammar)

    def _cut_by(self, framing: Framing) -> None:
        self._cut = framing
        self.framer, self._envelope, self._border = framing.framer(), framing.envelope, framing.border
        self.stream = self._codec.stream(framing)
        self.rewriter.glue, self.rewriter.voice = framing.glue, self.stream

    @property
    def lane(self) -> Lane | ElementLane | NoLane:
        """What the next piece may be compared with: none where it goes on with an event that has begun."""
        lane, joint = self.lanes.lane, self._joint
        if self._mode != "frames" or self.framer.pending or isinstance(lane, NoLane):
            return NO_LANE
        if joint is None:
            return lane
        return ElementLane(self._between, lane, joint) if self._between and joint.some else NO_LANE

    def read(self, data: bytes) -> bytes:
        """What leaves for a piece that is not of the lane. Raises WireError where it cannot be read and must not pass."""
        if self._mode == "frames":
            return self._frames(data)
        if self._mode in ("gather", "words"):
            return self._gather(data)
        return data if self._mode == "pass" else self._sniff(data)

    def _sniff(self, data: bytes) -> bytes:
        """Tell by its first bytes what the body is; white space before them leaves at once."""
        if self._body:
            data = self._body.pop() + data
        rest = data.lstrip(_WHITE)
        if not rest:
            return data
        head = data[: len(data) - len(rest)]
        text = rest.removeprefix(BOM).lstrip(_WHITE)
        begun = bool(text) and not BOM.startswith(rest)
        if begun and self._joint is not None and text[:1] != b"[":
            self._is_no_array()
        declared = self._declared
        if not begun or (declared is None and any(key.startswith(text) for key in _FIELDS)):
            self._body.append(rest)
            return head
        if text[:1] in (b"{", b"[") and (declared is None or text[:1] not in declared.opens):
            self.chain.read_inline(whole=True)
            self._mode = "gather"
        elif declared is not None or text.startswith(_FIELDS):
            self._mode = "frames"
        else:
            self._mode = "words"
            if not self._may_be_words:
                self._body.append(rest)
                raise self._unlike()
        out = self.read(rest)
        return data if out is rest else head + out

    def _is_no_array(self) -> None:
        """Read on as if nothing had said how the body is cut."""
        self._declared = self._joint = None
        self._cut_by(SSE)

    @property
    def _may_be_words(self) -> bool:
        """Whether the body may be no JSON: so frameworks say where to go, or what was wrong with a request."""
        return self._passes_unreadable or 300 <= self._status < 500

    def _unlike(self) -> WireError:
        self._reasons.add("unreadable_body")
        return WireError(self._codec.name, 0, "expected a JSON text or server-sent events")

    def _words(self) -> bytes:
        """What leaves for a body that is no JSON: plain words, not text in another coding or packed bytes."""
        body = b"".join(self._body)
        try:
            plain = b"\0" not in body and body.decode().lstrip("\ufeff \t\r\n")[:1] not in ("{", "[")
        except UnicodeDecodeError:
            plain = False
        tells = self._tells(body)  # an error may quote the request, and what was restored in it
        if not self._passes_unreadable and (not plain or not self._may_be_words or tells):
            raise self._unlike()
        self._reasons.add("unreadable_body")
        return b"" if tells else body

    def _gather(self, data: bytes) -> bytes:
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > MAX_BODY_BYTES:
            raise WireError(self._codec.name, MAX_BODY_BYTES, f"a body of more than {MAX_BODY_BYTES} bytes")
        return b""

    def _frames(self, data: bytes) -> bytes:
        if self._joint is not None:
            return self._elements(data, self._joint)
        if not self.framer.pending and (known := self.lanes.change(data)) is not None:
            return known
        self._taken = taken = self.framer.feed(data)
        out = [self._whole_event(raw) if raw == data else self._event(raw) for raw in taken]
        self._taken = []
        if len(out) == 1:
            return data if out[0] == data else out[0]
        return b"".join(out)

    def _elements(self, data: bytes, joint: ArrayJoint) -> bytes:
        """As `_frames` where what leaves must be one array: what the chain still owes leaves before its end."""
        self._taken = [joint.held]
        self._taken += (pieces := self.framer.feed(data))
        out: list[bytes] = []
        for piece in pieces:
            if not is_between(piece):
                out.append(joint.element(self._event(piece)))
                continue
            if piece == b"]":
                out.append(joint.own(self.rewriter.rest()))
            out.append(joint.between(piece))
        self._taken = []
        # What stood before the one element of a piece; nothing is known where a piece ended otherwise.
        between = data[: -len(pieces[-1])] if pieces and not is_between(pieces[-1]) else b""
        self._between = between if between.strip(_WHITE) == b"," else b""
        left = b"".join(out)
        return data if left == data else left

    def beat(self) -> bytes:
        """A frame that says nothing, where one may stand now; else nothing."""
        beat = self.own(self.stream.beat())
        return beat if self._joint is None else self._joint.own(beat)

    def close(self, last: bytes) -> bytes:
        """The end of a stream that is ended here: what the chain still owes, and the format's own `last` frames."""
        rest, last = self.rewriter.rest(), self.own(last)
        joint = self._joint
        return rest + last if joint is None else joint.own(rest) + joint.own(last) + joint.close()

    def _event(self, raw: bytes) -> bytes:
        """What leaves for one whole event."""
        known = self.lanes.take(raw)
        return self._whole_event(raw) if known is None else known

    def _whole_event(self, raw: bytes) -> bytes:
        """`_event` for one whose shape is not known."""
        event = self._envelope(raw)
        data = event.data
        if not data:
            return self._silent(event)
        if event.beside and not self._passes_unreadable and (event.odd or self._tells(event.beside)):
            self._reasons.add("unreadable_frame")
            event = event.bare()
        if data.strip() == b"[DONE]":
            return self.rewriter.rest() + event.source
        try:
            frame = self._codec.frame(event.raw, event.data_at, event.data_end, source=event.source)
        except WireError:
            if event.lines:  # a stream that lost its empty lines: each line is an event
                return b"".join(self._event(line) for line in event.lines)
            if self._joint is not None and not self._passes_unreadable:
                # Past what is no JSON nobody knows where an element begins, nor what stands in it.
                read_json(raw, format=self._codec.name)
            return self._unreadable(raw)
        try:
            out = self.rewriter.frame(frame)
        except WireError:  # a vector that is none
            return self._unreadable(raw)
        if out:
            self.stream.note(frame, eol=event.eol, data=data)
        self.lanes.learn(frame, out, same=self.rewriter.same, masked=self.rewriter.masked)
        if self.rewriter.waits is not None:
            self.lanes.close()  # what follows it must be seen
        return out

    def own(self, words: bytes) -> bytes:
        """What the format says by itself, numbered as the frames of this stream are."""
        if not words or not self.rewriter.numbers.used:
            return words
        return b"".join(self._own_event(raw) for raw in self._cut.framer().feed(words))

    def _own_event(self, raw: bytes) -> bytes:
        event = self._envelope(raw)
        frame = self._codec.frame(event.raw, event.data_at, event.data_end, source=event.source)
        return self.rewriter.own(frame)

    def _silent(self, event: Envelope) -> bytes:
        """A comment or an empty event: it keeps a connection alive and must not carry a trace."""
        if event.odd or self._tells(event.source):
            return self._unreadable(event.source)
        return event.source

    def _unreadable(self, raw: bytes) -> bytes:
        self._reasons.add("unreadable_frame")
        return raw if self._passes_unreadable and not self._tells(raw) else b""

    def _tells(self, raw: bytes) -> bool:
        """Whether a trace stands in what is no JSON: one that is known, or one between tags."""
        text = raw.decode("utf-8", "replace")
        return self.chain.repeats(text) or (self.chain.hidden is not None and tells_trace(text))

    def surrender(self, data: bytes) -> bytes:
        """What was taken of the body and has not left, when reading `data`, its last piece, has failed."""
        taken = (
            self._body if self._mode in ("gather", "words") else [*self._taken, bytes(self.framer.pending)]
        )
        return b"".join(taken) or data

    def give_up(self) -> None:
        """Read nothing more of this body."""
        self._mode = "pass"

    def end(self) -> bytes:
        """What is left when the upstream has ended. Raises WireError as `read` does."""
        if self._mode == "frames":
            return self._last_frames()
        if self._mode == "words" or (self._mode == "sniff" and self._body):
            return self._words()
        if self._mode != "gather":
            return b""
        body = b"".join(self._body)
        known = None if self._moulds is None else self._moulds.take(body, self.chain, self._tally)
        if known is not None:
            if known is not body:
                self.rewriter.changed.add("embeddings")
            return known
        frame = None
        try:
            start = len(BOM) if body.startswith(BOM) else 0
            frame = self._codec.frame(body, start)
            out = self.rewriter.frame(frame, whole=True)
        except WireError:
            if frame is None and self._is_lines(body):
                return self._by_lines(body)
            self._reasons.add("unreadable_body")
            if not self._passes_unreadable:
                raise
            return b"" if self._tells(body) else body
        if self._moulds is not None:
            self._moulds.learn(frame, out, self._drift)
        return out

    def _last_frames(self) -> bytes:
        """What leaves for a frame that was cut off, and what the chain still owes."""
        joint, rest = self._joint, self.framer.rest()
        self._taken = [rest] if joint is None else [joint.held, rest]
        last = self._event(rest) if rest else b""
        owed = self.rewriter.rest()
        if joint is not None:
            return joint.element(last) + joint.own(owed)
        if last and owed and not self.framer.feed(last):
            last += self._border
        return last + owed

    def _is_lines(self, body: bytes) -> bool:
        """Whether a body that is no JSON text is one a line, whatever its content type says."""
        lines = [NDJSON.envelope(line) for line in body.splitlines(keepends=True)]
        try:
            for line in lines:
                if line.data:
                    self._codec.frame(line.raw, line.data_at, line.data_end)
        except WireError:
            return False
        return True

    def _by_lines(self, body: bytes) -> bytes:
        self.chain.read_inline(whole=False)
        self._cut_by(NDJSON)
        self._mode = "frames"
        return self._frames(body) + self.end()
