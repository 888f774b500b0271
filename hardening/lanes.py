"""Frames of a known shape, taken without reading them: the path that nearly every chunk goes."""

from __future__ import annotations

import re

from hardening.events import Event, Logprobs, Reasoning, ReasoningEnd, Text, UsageSeen
from hardening.rewrite import Rewriter
from hardening.transform.chain import Chain
from hardening.transform.inline import FIRST_BYTES, FIRST_CHARACTERS
from hardening.transform.tally import Tally
from hardening.wire.counted import CountedLane, counted_lane_of
from hardening.wire.frame import Frame
from hardening.wire.grammar import Grammar
from hardening.wire.scan import write_string
from hardening.wire.shapes import DIGITS, Kind, Lane, Shapes, is_list, lane_of, string_end, string_text
from hardening.wire.strays import Strays

_TEXTS: tuple[list[type[Event]], ...] = ([Text], [Text, UsageSeen])

# Bytes inside a string that need no look: no end of it, no escape, no control; of a text no start of a tag.
_PLAIN = bytes(byte for byte in range(32, 256) if byte not in b'"\\')
_EVEN = bytes(byte for byte in _PLAIN if byte not in FIRST_BYTES)

# The inside of one string with short escapes: none of them writes the start of a tag.
_is_even = re.compile(
    rb'[^"\\\x00-\x1f%b]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f%b]*+)*+' % ((re.escape(FIRST_BYTES),) * 2)
).fullmatch


class Lanes:
    """The lane that a stream is in, and how it got there.

    What a lane lets through or takes out is what a full reading by `rewriter` would: it only skips the parse.
    """

    __slots__ = ("_calm", "_chain", "_changed", "_last", "_numbers", "_spoke", "_strays", "_tally", "lane")

    def __init__(
        self, chain: Chain, tally: Tally, rewriter: Rewriter, *, grammar: Grammar | None, shapes: Shapes
    ) -> None:
        self._chain = chain
        self._tally = tally
        self._changed = rewriter.changed
        self._numbers = rewriter.numbers
        self._strays = Strays(grammar, shapes)
        self._calm = chain.settled  # no trace is open, no text is held back
        self._spoke = 0  # the index of what passed last, and its piece, until the tags hear of it
        self._last = b""
        self.lane: Lane | None = None

    def take(self, lane: Lane, data: bytes) -> bytes | None:
        """What leaves for `data`, which begins as the lane does; None where it must be read in full."""
        if not data.endswith(lane.suffix) or len(data) < lane.least:
            return None
        if lane.is_plain:  # first, for most frames are: what follows is looked at for others alone
            piece = data[lane.head : lane.tail]
            if not piece.strip(_EVEN) and piece and self._calm and lane.index == self._spoke:
                self._last = piece  # as `_passed`, without its call
                self._tally.bytes += len(piece)
                return data
            return self._text(lane.index, data, piece, lane.head)
        if isinstance(lane, CountedLane):
            return self._counted(lane, data)
        return self._with_more(lane, data)

    def _with_more(self, lane: Lane, data: bytes) -> bytes | None:
        """`take` for a lane that is more than a text between known bytes."""
        head = lane.head
        if lane.gap:
            at = data.find(lane.gap, head)
            if at < 0 or data[head:at].strip(_PLAIN):
                return None
            head = at + lane.gap_size
        if lane.is_text:
            return self._text(lane.index, data, data[head : lane.tail], head)
        if lane.counts is not None:
            return self._with_counts(lane, lane.counts, data, head)
        if lane.kind is Kind.REASONING:
            return self._reasoning(lane.index, data, data[head : lane.tail])
        return self._beside_rows(lane, data, head)

    def _beside_rows(self, lane: Lane, data: bytes, head: int) -> bytes | None:
        """`take` for a lane that has rows; the payload begins at `head`."""
        text_end = data.find(b'"', head)
        if 92 in data[head:text_end]:
            text_end = string_end(data, head)
        if not data.startswith(lane.middle, text_end):
            return None
        rows = (text_end + len(lane.middle), len(data) + lane.tail)
        if rows[0] > rows[1] or data.find(b"\n", head, rows[1]) >= 0 or data.find(b"\r", head, rows[1]) >= 0:
            return None  # none, or several events
        if lane.kind is Kind.TRACE_ROWS:
            return self._trace_with_rows(lane.index, data, (head, text_end), rows)
        return self._rows(lane.index, data, (head, text_end), rows, lane.bare)

    def _with_counts(self, lane: Lane, counts: bytes, data: bytes, start: int) -> bytes | None:
        """As `take` where the usage so far stands beside the payload; only the last of a lane is read.

        The payload begins at `start`.
        """
        middle = lane.middle
        end = data.find(b'"', start)
        if not data.startswith(middle, end):  # an escaped quote in the text
            end = data.find(middle, start)
        usage = data[end + len(middle) : lane.tail]
        if end < 0 or usage.translate(None, DIGITS) != counts or not all(map(usage.__contains__, lane.fixed)):
            return None
        piece = data[start:end]
        tally = self._tally
        if lane.is_trace:
            out = self._reasoning(lane.index, data, piece)
        elif not piece.strip(_EVEN) and piece and self._calm and lane.index == self._spoke:
            self._last = piece  # as `_passed`, without its call
            tally.bytes += len(piece)
            out = data
        else:
            out = self._text(lane.index, data, piece, start)
        if out is not None:
            tally.unread = usage
        if out and lane.told is not None:
            return out[: len(out) + lane.tail - len(usage)] + lane.told + lane.suffix
        return out

    def change(self, raw: bytes) -> bytes | None:
        """What leaves for a frame outside the lane whose shape is known; None where it must be read in full."""
        lane = self.lane
        if isinstance(lane, CountedLane) and raw.startswith(lane.prefix):
            out = self.take(lane, raw)
            if out is not None:
                return out
        place = self._strays.place(raw)
        if place is not None:
            kind, index, span, rows = place
            if kind is Kind.TEXT:
                start = span[0]
                out = self._text(index, raw, raw[start : span[1]], start)
            elif kind is Kind.REASONING:
                out = self._reasoning(index, raw, raw[slice(*span)])
            elif kind is Kind.TRACE_ROWS:
                out = self._trace_with_rows(index, raw, span, rows)
            else:
                out = self._rows(index, raw, span, rows, None)
            if out is not None:
                return out
        self._catch_up()
        return None

    def close(self) -> None:
        """Know no shape any more: nothing of what still comes leaves."""
        self.lane = None
        self._strays.forget()

    # -- what leaves for a payload

    def _counted(self, lane: CountedLane, data: bytes) -> bytes | None:
        """As `take`, where the frame begins and ends as the lane does, its number included."""
        start, end, middle = lane.head, len(data) + lane.tail, lane.middle
        if middle:
            at = data.find(middle, start, end)
            if at < 0 or data[at + len(middle) : end].strip(_PLAIN):
                return None
            end = at
        piece = data[start:end]
        if not lane.is_text:
            out = self._reasoning(lane.index, data, piece)
        elif not piece.strip(_EVEN) and piece and self._calm and lane.index == self._spoke:
            self._last = piece
            self._tally.bytes += len(piece)
            out = data
        else:
            out = self._text(lane.index, data, piece, start)
        if out is None:
            return None
        numbers = self._numbers
        numbers.came = came = numbers.came + 1
        if not out:
            numbers.shift -= 1
        elif numbers.shift:
            out = lane.renumbered(out, max(0, came + numbers.shift))
        lane.expect(came + 1)
        return out

    def _text(self, index: int, data: bytes, piece: bytes, start: int) -> bytes | None:
        """What leaves for `data`, at whose `start` the text `piece` stands."""
        if self._calm and piece and (not piece.strip(_EVEN) or _is_even(piece)):
            self._passed(index, piece)
            return data
        if not self._calm and (tags := self._chain.tags(index)) is not None:
            return self._goes_on(index, piece, tags)
        text = _text_of(piece)
        if not text or (not self._calm and self._chain.holding):
            return None
        spoken = self._spoken(index, text, piece)
        if spoken is None:
            return None
        if spoken == text:
            return data
        return data[:start] + write_string(spoken)[1:-1] + data[start + len(piece) :] if spoken else b""

    def _goes_on(self, index: int, piece: bytes, tags: tuple[str, str]) -> bytes | None:
        """Nothing, for a text inside of a trace between `tags`; None where one of them may stand in it."""
        hidden = self._chain.hidden
        text = _text_of(piece)
        if not text or hidden is None or not FIRST_CHARACTERS.isdisjoint(text):
            return None
        self._tally.bytes += len(piece)
        hidden.take(index, text, tags)
        return b""

    def _passed(self, index: int, piece: bytes) -> None:
        """Count a text that left unseen, and keep it for the tags: its last character may be a quote."""
        if index != self._spoke:
            self._catch_up()
            self._spoke = index
        self._last = piece
        self._tally.bytes += len(piece)

    def _spoken(self, index: int, text: str, piece: bytes) -> str | None:
        """The text that leaves for `text`, counted; None, and nothing done, where a tag acts."""
        if self._calm and self._chain.passes(index, text):
            self._passed(index, piece)
            return text
        self._catch_up()
        spoken = self._chain.spoken(index, text)
        self._calm = self._chain.settled
        if spoken is not None:
            self._tally.bytes += len(piece)
            if spoken != text:
                self._changed.add("reasoning")
        return spoken

    def _catch_up(self) -> None:
        """Tell the tags which character stands before the next text."""
        if self._last:
            self._chain.follows(self._spoke, chr(self._last[-1]))
            self._last = b""

    def _reasoning(self, index: int, data: bytes, piece: bytes) -> bytes | None:
        if not piece:
            return None
        text = _text_of(piece)
        if text is None:
            return None
        size = len(piece)
        tally = self._tally
        tally.bytes += size
        tally.reasoning_bytes += size
        hidden = self._chain.hidden
        if hidden is None:
            return data
        self._calm = False
        hidden.take(index, text)
        return b""

    def _trace_with_rows(
        self, index: int, data: bytes, span: tuple[int, int], rows: tuple[int, int]
    ) -> bytes | None:
        """As `_reasoning`, where the rows go with their trace or nothing acts on either."""
        if self._chain.hidden is None and self._chain.rows is not None:
            return None
        if not is_list(data[slice(*rows)]):  # another choice, which has an answer, may stand behind them
            return None
        return self._reasoning(index, data, data[slice(*span)])

    def _rows(
        self, index: int, data: bytes, span: tuple[int, int], rows: tuple[int, int], bare: bytes | None
    ) -> bytes | None:
        """As `_text`, with the rows beside it cut; without `bare` only where text and some rows stay."""
        start, end = span
        piece = data[start:end]
        if not piece:
            return None
        visible = piece
        even = self._calm and not piece.strip(_EVEN)
        if not even:
            text = _text_of(piece)
            if not text or (not self._calm and self._chain.holding):
                return None
            even = self._calm and self._chain.passes(index, text)
            if not even:
                if bare is None or not is_list(data[slice(*rows)]):  # asked before a tag hears of the text
                    return None
                spoken = self._spoken(index, text, piece)
                if spoken is None:
                    return None
                visible = piece if spoken == text else write_string(spoken)[1:-1]
        out = self._cut(index, data, span, rows, visible=visible, bare=bare)
        if even and out is not None:
            self._passed(index, piece)
        return out

    def _cut(
        self,
        index: int,
        data: bytes,
        span: tuple[int, int],
        rows: tuple[int, int],
        *,
        visible: bytes,
        bare: bytes | None,
    ) -> bytes | None:
        """`data` with `visible` as the inside of its text and with the rows that spell it."""
        start, end = span
        first, last = rows
        bounded = self._chain.rows
        if bounded is None:
            return data
        if not visible:
            return b""
        given = data[first:last]
        kept = bounded.cut(index, given, visible)
        if kept is None:
            if bare is None or not is_list(given):  # what stands behind them would go with them
                return None
            self._changed.add("logprobs")
            return b"".join((data[:start], visible, bare))
        if kept == given and visible == data[start:end]:
            return data
        self._changed.add("logprobs")
        return b"".join((data[:start], visible, data[end:first], kept, data[last:]))

    # -- what is learnt

    def learn(self, frame: Frame, out: bytes, *, same: bool, masked: bool) -> None:
        """Take the shape of a frame that was read in full, and for which `out` left, as the lane.

        `same` says that it left as it came, but for its number and its counts; `masked` that a string left empty that no
        table knows: then each one like it is read in full.
        """
        self._calm = self._chain.settled and not self._chain.holding
        self.lane = None
        for event, _ in frame.events:
            if isinstance(event, ReasoningEnd):  # the frame in whose shape its summary left is held no longer
                self._strays.forget_trace(event.index)
        if self._chain.counts_told:
            self.close()  # what follows a count, by which all later ones stay hidden, must be seen
            return
        kind = None if masked else self._kind(frame, out, same=same)
        if kind is None:
            return
        if frame.numbers:
            lane = counted_lane_of(frame, kind)  # one with a number would fit once
            if lane is not None:
                lane.expect(self._numbers.came + 1)
            self.lane = lane
            return
        self.lane = lane_of(frame, kind, self._told(frame))
        if self.lane is None or self.lane.counts is not None:
            return
        self._strays.learn(frame, kind, self.lane.index)

    def _told(self, frame: Frame) -> bytes | None:
        """What leaves for the usage of a frame with a piece of the answer; None where that is as it came."""
        event, site = frame.events[-1]
        if self._chain.usage is None or not isinstance(event, UsageSeen):
            return None
        return frame.with_counts(site, self._chain.usage.running(event))

    def _kind(self, frame: Frame, out: bytes, *, same: bool) -> Kind | None:
        kinds = [type(event) for event, _ in frame.events]
        if not self._chain.lanes(kinds):
            return None
        if not out or self._chain.hidden is None:
            if kinds == [Reasoning]:
                return Kind.REASONING
            if kinds == [Reasoning, Logprobs]:
                return Kind.TRACE_ROWS
            if kinds == [Reasoning, UsageSeen]:
                return Kind.TRACE_COUNTED
        if not self._chain.settled:
            return self._kind_inside(frame, kinds) if not out else None
        if out and same and kinds in _TEXTS:
            return Kind.TEXT if kinds == [Text] else Kind.TEXT_COUNTED
        return Kind.ROWS if kinds == [Text, Logprobs] else None

    def _kind_inside(self, frame: Frame, kinds: list[type[Event]]) -> Kind | None:
        """The kind of a frame that is left out because all of its text is of a trace between tags."""
        if kinds not in _TEXTS or self._chain.tags(frame.events[0][0].index) is None:  # type: ignore[union-attr]
            return None
        return Kind.TEXT if kinds == [Text] else Kind.TEXT_COUNTED


def _text_of(piece: bytes) -> str | None:
    """As `string_text`, without a parse where nothing is escaped."""
    return string_text(piece) if piece.strip(_PLAIN) else piece.decode("utf-8", "replace")
