"""The lane of a reasoning trace."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.lanes.speech import Speech
from hardening.transform.chain import Chain
from hardening.transform.reasoning import MOST_PIECES, Trace
from hardening.transform.tally import Tally
from hardening.wire.around import PLAIN
from hardening.wire.shapes import Shape, text_of


class Thought:
    """What becomes of a piece of a trace: it is counted, and held where traces are hidden."""

    __slots__ = ("_chain", "_speech", "_tally")

    def __init__(self, chain: Chain, tally: Tally, speech: Speech) -> None:
        self._chain = chain
        self._tally = tally
        self._speech = speech

    def take(self, index: int, data: bytes, piece: bytes) -> bytes | None:
        """What leaves for `data`, in which `piece` stands; None where it must be read in full."""
        text = text_of(piece)
        if not text:
            return None
        size = len(piece)
        tally = self._tally
        tally.bytes += size
        tally.reasoning_bytes += size
        hidden = self._chain.hidden
        if hidden is None:
            return data
        hidden.take(index, text)
        self._speech.stop()
        return b""


class TraceLane(Lane):
    """Frames that say a piece of a trace and nothing else that matters."""

    __slots__ = ("_ahead", "_behind", "_tally", "_thought", "_trace")

    def __init__(
        self,
        shape: Shape,
        opened: frozenset[int],
        *,
        thought: Thought,
        tally: Tally,
        trace: Trace | None,
    ) -> None:
        """`trace` is where the pieces go as long as it is open; None where they pass."""
        super().__init__(shape, opened)
        self._thought = thought
        self._tally = tally
        self._trace = trace
        self._ahead, self._behind = len(self.prefix), len(self.suffix)  # where no number stands in them

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`; every chunk of a trace comes here, so what can be written out is not called."""
        rest = data.removeprefix(self.prefix)
        if len(rest) == len(data):
            return None
        for run, literal in self.before:
            cut = rest.lstrip(run)
            rest = cut.removeprefix(literal)
            if len(rest) == len(cut):
                return None
        tail = rest.lstrip(PLAIN)
        size = len(rest) - len(tail)
        for literal, run in self.after:
            cut = tail.removeprefix(literal)
            if len(cut) == len(tail):
                return self._slowly(data)
            tail = cut.lstrip(run)
        trace = self._trace
        if tail != self.suffix or not size or trace is None or not trace.open:
            return self._slowly(data)
        tally = self._tally
        tally.bytes += size
        tally.reasoning_bytes += size
        pieces = trace.pieces
        pieces.append(rest[:size])
        if len(pieces) >= MOST_PIECES:
            trace.digest()
        return b"" if self.sequel is None else self.sequel.came(self, b"")

    def _slowly(self, data: bytes) -> bytes | None:
        """`take` for a piece with escapes, or one that passes."""
        read = self.read(data)
        if read is None or (self._trace is not None and not self._trace.open):
            return None
        start, end = read.payload
        return self._came(self._thought.take(self.index, data, data[start:end]))


class BareTraceLane(TraceLane):
    """A lane of a trace in which nothing changes but its pieces, as in most streams."""

    __slots__ = ()

    def take(self, data: bytes) -> bytes | None:
        """As `TraceLane.take`, which is asked for all but a piece without escapes of a trace that is open."""
        rest = data.removeprefix(self.prefix)
        size = len(rest) - self._behind
        trace = self._trace
        if (
            rest.lstrip(PLAIN) != self.suffix
            or trace is None
            or not trace.open
            or not size
            or len(data) - len(rest) != self._ahead
        ):
            return super().take(data)
        tally = self._tally
        tally.bytes += size
        tally.reasoning_bytes += size
        pieces = trace.pieces
        pieces.append(rest[:size])
        if len(pieces) >= MOST_PIECES:
            trace.digest()
        return b""
