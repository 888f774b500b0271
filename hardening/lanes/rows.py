"""The lane of frames in which rows of log-probabilities stand beside their payload."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.lanes.speech import EVEN, Speech
from hardening.lanes.trace import Thought
from hardening.transform.chain import Chain
from hardening.transform.rows import BoundedRows
from hardening.wire.around import Span
from hardening.wire.scan import write_string
from hardening.wire.shapes import Kind, Shape, is_list, text_of

_LINE_FEED, _RETURN = 10, 13


class Rows:
    """What becomes of rows: they go with a trace, and beside a text they are cut to what leaves of it."""

    __slots__ = ("_chain", "_speech", "_thought", "changed")

    def __init__(self, chain: Chain, changed: set[str], *, speech: Speech, thought: Thought) -> None:
        self._chain = chain
        self.changed = changed
        self._speech = speech
        self._thought = thought

    def of_trace(self, index: int, data: bytes, span: Span, rows: Span) -> bytes | None:
        """What leaves for `data`, where the rows go with their trace or nothing acts on either; else None."""
        if self._chain.hidden is None and self._chain.rows is not None:
            return None
        if not is_list(data[slice(*rows)]):  # another choice, which has an answer, may stand behind them
            return None
        return self._thought.take(index, data, data[slice(*span)])

    def of_text(self, index: int, data: bytes, span: Span, rows: Span, *, bare: bytes | None) -> bytes | None:
        """What leaves for `data`, in which rows stand beside a text; without `bare` only where some of both stay.

        `bare` is what follows the text where no row is left.
        """
        start, end = span
        piece = data[start:end]
        if not piece:
            return None
        visible = piece
        speech = self._speech
        even = speech.calm and not piece.strip(EVEN)
        if not even:
            text = text_of(piece)
            if not text or (not speech.calm and self._chain.holding):
                return None
            even = speech.calm and self._chain.passes(index, text)
            if not even:
                if bare is None or not is_list(data[slice(*rows)]):  # asked before a tag hears of the text
                    return None
                spoken = speech.spoken(index, text, piece)
                if spoken is None:
                    return None
                visible = piece if spoken == text else write_string(spoken)[1:-1]
        out = self._cut(index, data, span, rows, visible=visible, bare=bare)
        if even and out is not None:
            speech.passed(index, piece)
        return out

    def _cut(
        self, index: int, data: bytes, span: Span, rows: Span, *, visible: bytes, bare: bytes | None
    ) -> bytes | None:
        """`data` with `visible` as the inside of its text and with the rows that spell it."""
        start, end = span
        first, last = rows
        bounded, given = self._chain.rows, data[first:last]
        if bounded is None:  # nobody reads the rows, so nobody has proven that they are all that stands there
            return data if is_list(given) else None
        if not visible:
            return b""
        kept = bounded.cut(index, given, visible)
        if kept is None:
            if bare is None or not is_list(given):  # what stands behind them would go with them
                return None
            self.changed.add("logprobs")
            return b"".join((data[:start], visible, bare))
        if kept == given and visible == data[start:end]:
            return data
        self.changed.add("logprobs")
        return b"".join((data[:start], visible, data[end:first], kept, data[last:]))


class RowsLane(Lane):
    """Frames that say a piece of text or of a trace, and the rows of its log-probabilities; none has a number of its own."""

    __slots__ = ("_bare", "_bounded", "_is_trace", "_rows", "_speech")

    def __init__(
        self,
        shape: Shape,
        opened: frozenset[int],
        *,
        rows: Rows,
        speech: Speech,
        bounded: BoundedRows | None,
    ) -> None:
        super().__init__(shape, opened)
        self._rows = rows
        self._speech = speech
        self._bounded = bounded
        self._is_trace = shape.kind is Kind.TRACE_ROWS
        frame = shape.frame
        # What is left where no row is, as far as nothing in it changes from frame to frame.
        fixed = not self._is_trace and not self.after and not self.behind
        self._bare = frame.render({frame.events[1][1]: b"[]"})[shape.payload[1] :] if fixed else None

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`; what most chunks need is written out and not called."""
        bounded, speech = self._bounded, self._speech
        if self._bare is None or self.before or bounded is None or not speech.calm:
            return self._slowly(data)
        rest = data.removeprefix(self.prefix)
        tail = rest.lstrip(EVEN)
        size = len(rest) - len(tail)
        from_rows = tail.removeprefix(self.suffix)
        rows = from_rows.removesuffix(self.ending)
        if not (size and len(rest) < len(data) and len(rows) < len(from_rows) < len(tail)):
            return self._slowly(data)
        if _LINE_FEED in rows or _RETURN in rows:
            return None  # several events
        piece = rest[:size]
        kept = bounded.cut(self.index, rows, piece)
        if kept is None and not is_list(rows):  # what stands behind them would go with them
            return None
        speech.passed(self.index, piece)
        if kept == rows:
            return data
        self._rows.changed.add("logprobs")
        if kept is None:
            return data[: len(data) - len(tail)] + self._bare
        return b"".join((data[: len(data) - len(from_rows)], kept, self.ending))

    def _slowly(self, data: bytes) -> bytes | None:
        """`take` for a payload that needs a look, or for surroundings that change."""
        read = self.read(data)
        if read is None:
            return None
        span, rows = read.payload, read.slot
        first, last = rows
        if first == last or data.find(b"\n", first, last) >= 0 or data.find(b"\r", first, last) >= 0:
            return None  # none, or several events
        if self._is_trace:
            return self._rows.of_trace(self.index, data, span, rows)
        return self._rows.of_text(self.index, data, span, rows, bare=self._bare)
