"""The lane of frames in which the usage so far stands beside their payload."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.lanes.speech import EVEN, Speech
from hardening.lanes.trace import Thought
from hardening.transform.reasoning import MOST_PIECES, Trace
from hardening.transform.tally import Tally
from hardening.wire.around import DIGITS, PLAIN
from hardening.wire.shapes import Kind, Shape
from hardening.wire.usage import fixed_in

_ZEROS = bytes.maketrans(DIGITS, b"0" * len(DIGITS))


class UsageLane(Lane):
    """Frames that say a piece of text or of a trace, and a usage of which only the numbers grow.

    Of the counts only the last of a lane are read.
    """

    __slots__ = (
        "_digits",
        "_fixed",
        "_is_plain",
        "_is_trace",
        "_run",
        "_speech",
        "_tally",
        "_thought",
        "_told",
        "_trace",
        "_without",
    )

    def __init__(
        self,
        shape: Shape,
        opened: frozenset[int],
        *,
        speech: Speech,
        thought: Thought,
        tally: Tally,
        trace: Trace | None,
        told: bytes | None,
    ) -> None:
        """`trace` is where pieces of one go as long as it is open; `told` is what leaves for the usage, where it is not the same."""
        super().__init__(shape, opened)
        usage = shape.frame.raw[slice(*shape.slot)]
        self._without = usage.translate(None, DIGITS)
        self._digits = usage.translate(_ZEROS)  # of the last frame: how many digits each number has
        self._fixed = () if told is None else fixed_in(usage)
        self._told = told
        self._is_trace = shape.kind is Kind.TRACE_COUNTED
        self._run = PLAIN if self._is_trace else EVEN
        # Nothing changes but the payload and the numbers, and what leaves is what came.
        self._is_plain = not (self.before or self.after or self.behind or told is not None)
        self._speech = speech
        self._thought = thought
        self._tally = tally
        self._trace = trace

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`; every chunk comes here, so what can be written out is not called."""
        rest = data.removeprefix(self.prefix)
        tail = rest.lstrip(self._run)
        size = len(rest) - len(tail)
        from_usage = tail.removeprefix(self.suffix)
        usage = from_usage.removesuffix(self.ending)
        if not (
            size and len(rest) < len(data) and len(usage) < len(from_usage) < len(tail) and self._is_plain
        ):
            return self._slowly(data)
        tally, speech, trace = self._tally, self._speech, self._trace
        if trace is not None and trace.open:
            if not self._counts(usage):
                return None
            tally.bytes += size
            if self._is_trace:
                tally.reasoning_bytes += size
            pieces = trace.pieces
            pieces.append(rest[:size])
            if len(pieces) >= MOST_PIECES:
                trace.digest()
            tally.unread = usage
            return b"" if self.sequel is None else self.sequel.came(self, b"")
        if self._is_trace or speech.flows != self.index or not self._counts(usage):
            return self._slowly(data)
        speech.last = rest
        speech.size = size
        if speech.ear is not None:
            speech.ear.hear(self.index, rest[:size])
        tally.bytes += size
        tally.unread = usage
        return data if self.sequel is None else self.sequel.came(self, data)

    def _counts(self, usage: bytes) -> bool:
        """Whether a usage differs from the first in its numbers alone."""
        digits = usage.translate(_ZEROS)
        if digits != self._digits:
            if usage.translate(None, DIGITS) != self._without:
                return False
            self._digits = digits
        return not self._fixed or all(map(usage.__contains__, self._fixed))

    def _slowly(self, data: bytes) -> bytes | None:
        """`take` for a payload that needs a look, or a usage that does not leave as it came."""
        read = self.read(data)
        if read is None:
            return None
        (start, end), (first, last) = read.payload, read.slot
        usage = data[first:last]
        if not self._counts(usage):
            return None
        if self._is_trace:
            out = self._thought.take(self.index, data, data[start:end])
        else:
            out = self._speech.say(self.index, data, (start, end))
        if out is None:
            return None
        self._tally.unread = usage
        if out and self._told is not None:
            behind = data[last:]
            out = out[: len(out) - len(usage) - len(behind)] + self._told + behind
        return out if self.sequel is None else self.sequel.came(self, out)
