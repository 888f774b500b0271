"""Frames of a known shape, taken without reading them: the path that nearly every chunk goes."""

from __future__ import annotations

from hardening.events import Logprobs, Reasoning, Text
from hardening.transform.chain import Chain
from hardening.transform.tally import Tally
from hardening.wire.frame import Frame
from hardening.wire.shapes import Kind, Lane, Shapes, lane_of, string_text

_SHAPES_A_STREAM = 4  # patterns that one stream may cost, at some 400 us each


class Lanes:
    """The lane that a stream is in, and how it got there.

    What a lane lets through or takes out is what a full reading would: it only skips the parse.
    `changed` is the set that names what was altered.
    """

    __slots__ = ("_chain", "_changed", "_learnt", "_met", "_shapes", "_tally", "lane")

    def __init__(self, chain: Chain, tally: Tally, shapes: Shapes, changed: set[str]) -> None:
        self._chain = chain
        self._tally = tally
        self._shapes = shapes
        self._changed = changed
        self._learnt = 0
        self._met: set[Kind] = set()
        self.lane: Lane | None = None

    def take(self, lane: Lane, data: bytes) -> bytes | None:
        """What leaves for `data`, which begins as the lane does; None where it must be read in full."""
        if not data.endswith(lane.suffix) or len(data) < lane.least:
            return None
        if lane.kind is Kind.ROWS:
            return self._rows(lane, data)
        piece = data[lane.head : lane.tail]
        if not piece or 10 in piece or 13 in piece:
            return None
        plain = 34 not in piece and 92 not in piece
        if lane.kind is Kind.REASONING:
            return self._reasoning(lane, data, piece, plain=plain)
        if plain:
            if not self._chain.untagged(piece):
                return None
        else:
            text = string_text(piece)
            if text is None or not self._chain.untagged(text.encode("utf-8", "replace")):
                return None
        self._tally.bytes += len(piece)
        return data

    def _reasoning(self, lane: Lane, data: bytes, piece: bytes, *, plain: bool) -> bytes | None:
        text = piece.decode("utf-8", "replace") if plain else string_text(piece)
        if text is None:
            return None
        self._tally.bytes += len(piece)
        self._tally.reasoning_bytes += len(piece)
        hidden = self._chain.hidden
        if hidden is None:
            return data
        hidden.take(lane.index, text)
        return b""

    def _rows(self, lane: Lane, data: bytes) -> bytes | None:
        end = data.find(b'"', lane.head)
        at = end + len(lane.middle)
        piece = data[lane.head : end]
        if not data.startswith(lane.middle, end) or 92 in piece or 10 in data[lane.head : lane.tail]:
            return None
        bounded = self._chain.rows
        if bounded is not None:
            rows = data[at : lane.tail]
            cut = bounded.cut(rows, piece) if self._chain.untagged(piece) else None
            if cut is None:
                return None
            if cut != rows:
                data = data[:at] + cut + data[lane.tail :]
                self._changed.add("logprobs")
        self._tally.bytes += len(piece)
        return data

    def change(self, raw: bytes) -> bytes | None:
        """What leaves for a frame of a shape met before, whose lane the stream is in from now on."""
        lane = self._shapes.lane(raw) if self._met else None
        if lane is None:
            return None
        if lane.kind is not Kind.REASONING and (self._chain.holding or not self._chain.settled):
            return None  # text ends a trace, and its summary comes first
        out = self.take(lane, raw)
        if out is not None:
            self.lane = lane
        return out

    def learn(self, frame: Frame, out: bytes) -> None:
        """Take the shape of a frame that was read in full, and for which `out` left, as the lane."""
        self.lane = None
        kind = self._kind(frame, out)
        if kind is None:
            return
        self.lane = lane_of(frame, kind)
        if self.lane is not None and kind in self._met and self._learnt < _SHAPES_A_STREAM:
            self._shapes.learn(frame, kind)
            self._learnt += 1
        self._met.add(kind)

    def _kind(self, frame: Frame, out: bytes) -> Kind | None:
        kinds = [type(event) for event, _ in frame.events]
        if kinds == [Reasoning] and (not out or self._chain.hidden is None):
            return Kind.REASONING
        if not self._chain.settled:
            return None
        if kinds == [Text] and out == frame.source:
            return Kind.TEXT
        return Kind.ROWS if kinds == [Text, Logprobs] else None
