"""The lane of visible text."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.lanes.speech import EVEN, Speech
from hardening.transform.reasoning import MOST_PIECES, Trace
from hardening.transform.tally import Tally
from hardening.wire.grammar import Grammar
from hardening.wire.shapes import Shape


class TextLane(Lane):
    """Frames that say a piece of text and nothing else that matters."""

    __slots__ = ("_ahead", "_behind", "_grammar", "_lengths", "_open_end", "_speech", "_tally", "_trace")

    def __init__(
        self,
        shape: Shape,
        opened: frozenset[int],
        *,
        speech: Speech,
        tally: Tally,
        trace: Trace | None,
        grammar: Grammar | None,
        lengths: bool,
    ) -> None:
        """`trace` is the one that is open between tags: the texts are of it as long as it is.

        `grammar` knows which members may stand at the end of a frame and say nothing; with `lengths` none of
        those may that tell one.
        """
        super().__init__(shape, opened)
        self._speech = speech
        self._tally = tally
        self._trace = trace
        self._grammar = grammar
        self._lengths = lengths
        self._open_end: bytes | None = None
        self._ahead, self._behind = len(self.prefix), len(self.suffix)  # where no number stands in them

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`; every chunk comes here, so what can be written out is not called."""
        rest = data.removeprefix(self.prefix)
        if len(rest) == len(data):
            return None
        for run, literal in self.before:
            cut = rest.lstrip(run)
            rest = cut.removeprefix(literal)
            if len(rest) == len(cut):
                return None
        tail = rest.lstrip(EVEN)
        size = len(rest) - len(tail)
        for literal, run in self.after:
            cut = tail.removeprefix(literal)
            if len(cut) == len(tail):
                return self._slowly(data, rest, size)
            tail = cut.lstrip(run)
        if tail != self.suffix and not self._ends(tail):
            return self._slowly(data, rest, size)
        speech = self._speech
        if not size or speech.flows != self.index:
            return self._with_care(data, rest, size)
        speech.last = rest
        speech.size = size
        if speech.ear is not None:
            speech.ear.hear(self.index, rest[:size])
        self._tally.bytes += size
        return data if self.sequel is None else self.sequel.came(self, data)

    def _ends(self, tail: bytes) -> bool:
        """Whether a frame ends as the lane does but for members of the root that say nothing, here or there."""
        grammar, known = self._grammar, self._open_end
        if grammar is None:
            return False
        if known is None:
            self._open_end = known = grammar.open_end(self.suffix, lengths=self._lengths)
        return tail.startswith(known) and grammar.ends(tail, len(known), lengths=self._lengths)

    def _with_care(self, data: bytes, rest: bytes, size: int) -> bytes | None:
        """`take` for an even text of `size` bytes at the beginning of `rest`, while a trace is open or text is held back."""
        trace = self._trace
        if trace is None or not trace.open or not size:
            start = len(data) - len(rest)
            return self._came(self._speech.say(self.index, data, (start, start + size)))
        self._tally.bytes += size
        pieces = trace.pieces
        pieces.append(rest[:size])
        if len(pieces) >= MOST_PIECES:
            trace.digest()
        return b"" if self.sequel is None else self.sequel.came(self, b"")

    def _slowly(self, data: bytes, rest: bytes, size: int) -> bytes | None:
        """`take` where `rest` begins with a text of which `size` bytes are even: more of the text, or what is not of the lane."""
        if rest.startswith(b'"', size):
            return None
        piece = rest.removesuffix(self.suffix)
        if not self.after and len(piece) < len(rest) and self._speech.glides(self.index, piece):
            return self._came(data)
        read = self.read(data)
        return None if read is None else self._came(self._speech.say(self.index, data, read.payload))


class BareTextLane(TextLane):
    """A text lane in which nothing changes but the text, as in most streams: two cuts and two comparisons."""

    __slots__ = ()

    def take(self, data: bytes) -> bytes | None:
        """As `TextLane.take`, which is asked for all but an even text that nobody has to look at."""
        rest = data.removeprefix(self.prefix)
        size = len(rest) - self._behind
        speech = self._speech
        if (
            rest.lstrip(EVEN) != self.suffix
            or speech.flows != self.index
            or not size
            or len(data) - len(rest) != self._ahead
        ):
            return super().take(data)
        speech.last = rest
        speech.size = size
        if speech.ear is not None:
            speech.ear.hear(self.index, rest[:size])
        self._tally.bytes += size
        return data
