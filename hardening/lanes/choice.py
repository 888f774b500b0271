"""The lane that a stream is in, and how it got there."""

from __future__ import annotations

from hardening.events import Event, Logprobs, Reasoning, ReasoningEnd, Text, UsageSeen
from hardening.lanes.lane import NO_LANE, Lane, NoLane, Numbering
from hardening.lanes.rows import Rows, RowsLane
from hardening.lanes.speech import Speech
from hardening.lanes.text import BareTextLane, TextLane
from hardening.lanes.trace import BareTraceLane, Thought, TraceLane
from hardening.lanes.usage import UsageLane
from hardening.rewrite import Rewriter
from hardening.transform.chain import Chain
from hardening.transform.tally import Tally
from hardening.wire.frame import Frame
from hardening.wire.grammar import Grammar
from hardening.wire.shapes import Kind, Shape, shape_of
from hardening.wire.strays import Strays

_TEXTS: tuple[list[type[Event]], ...] = ([Text], [Text, UsageSeen])
_WITH_ROWS = frozenset({Kind.ROWS, Kind.TRACE_ROWS})
_WITH_USAGE = frozenset({Kind.TEXT_COUNTED, Kind.TRACE_COUNTED})
_OF_TRACES = frozenset({Kind.REASONING, Kind.TRACE_ROWS, Kind.TRACE_COUNTED})
_ALONE = frozenset({Kind.TEXT, Kind.REASONING})  # nothing stands beside the payload
_TRIES = 4  # to find in a frame outside the lane what may change in it, until a frame is read in full again


class Lanes:
    """Finds the lane of a stream, and takes frames outside of it whose form the grammar of the format knows."""

    __slots__ = (
        "_chain",
        "_grammar",
        "_numbers",
        "_opened",
        "_rows",
        "_shape",
        "_speech",
        "_strays",
        "_tally",
        "_thought",
        "_told",
        "_tries",
        "lane",
    )

    def __init__(self, chain: Chain, tally: Tally, rewriter: Rewriter, *, grammar: Grammar | None) -> None:
        self._chain = chain
        self._tally = tally
        self._numbers = rewriter.numbers
        self._grammar = grammar
        self._strays = Strays(grammar)
        self._speech = Speech(chain, tally, rewriter.changed)
        self._thought = Thought(chain, tally, self._speech)
        self._rows = Rows(chain, rewriter.changed, speech=self._speech, thought=self._thought)
        self._shape: Shape | None = None  # of the last frame that was read in full
        self._opened: frozenset[int] = frozenset()  # what has changed around the payload since then
        self._told: bytes | None = None
        self._tries = 0
        self.lane: Lane | NoLane = NO_LANE

    def take(self, raw: bytes) -> bytes | None:
        """What leaves for one whole event; None where it must be read in full."""
        out = self.lane.take(raw)
        if out is None:
            out = self.change(raw)
        return out

    def change(self, raw: bytes) -> bytes | None:
        """As `take`, for an event that is not of the lane."""
        out = self._widened(raw)
        if out is None:
            out = self._placed(raw)
        if out is None:
            self._speech.catch_up()
        return out

    def close(self) -> None:
        """Know no shape any more: nothing of what still comes leaves."""
        self.lane = NO_LANE
        self._shape = None
        self._strays.forget()

    def _widened(self, raw: bytes) -> bytes | None:
        """`take` where only such values have changed as mean nothing: from now on they may."""
        shape = self._shape
        if shape is None or not shape.sites or not self._tries:
            return None
        self._tries -= 1
        changed = shape.changed(raw)
        if changed is None or changed <= self._opened:
            return None
        self._opened |= changed
        self.lane = self._made(shape)
        return self.lane.take(raw)

    def _placed(self, raw: bytes) -> bytes | None:
        """`take` by what the grammar says of a frame."""
        place = self._strays.place(raw)
        if place is None:
            return None
        kind, index, span, rows = place
        if kind is Kind.TEXT:
            return self._speech.say(index, raw, span)
        if kind is Kind.REASONING:
            return self._thought.take(index, raw, raw[slice(*span)])
        if kind is Kind.TRACE_ROWS:
            return self._rows.of_trace(index, raw, span, rows)
        return self._rows.of_text(index, raw, span, rows, bare=None)

    # -- what is learnt

    def learn(self, frame: Frame, out: bytes, *, same: bool, masked: bool) -> None:
        """Take the shape of a frame that was read in full, and for which `out` left, as the lane.

        `same` says that it left as it came, but for its number and its counts; `masked` that a string left empty that no
        table knows: then each one like it is read in full.
        """
        self._speech.heard()
        self.lane, self._shape = NO_LANE, None
        for event, _ in frame.events:
            if isinstance(event, ReasoningEnd):  # the frame in whose shape its summary left is held no longer
                self._strays.forget_trace(event.index)
        if self._chain.counts_listen:
            self.close()  # what follows a count, or the end of a choice, must be seen
            return
        kind = None if masked else self._kind(frame, out, same=same)
        shape = None if kind is None else shape_of(frame, kind)
        if shape is None:
            return
        self._shape, self._tries = shape, _TRIES
        self._opened = shape.behind if frame.numbers else frozenset()
        self._told = self._told_by(frame)
        self.lane = self._made(shape)
        if not frame.numbers and shape.kind not in _WITH_USAGE:
            self._strays.learn(shape.kind, shape.index)

    def _made(self, shape: Shape) -> Lane | NoLane:
        """The lane of a shape, in which what is opened may change."""
        lane = self._of_kind(shape)
        if not shape.frame.numbers:
            return lane
        numbering = self._numbering(shape.frame, lane)
        if numbering is None or shape.kind not in _ALONE:
            return NO_LANE  # it would fit once
        lane.sequel = numbering
        numbering.expect(lane)
        return lane

    def _numbering(self, frame: Frame, lane: Lane) -> Numbering | None:
        """What makes a lane begin or end with the next number; None where a frame's number stands elsewhere."""
        number, *more = frame.numbers
        behind = len(frame.raw) - len(lane.suffix)
        if more or len(lane.prefix) <= number.start < behind:
            return None
        ahead = number.start < behind
        literal, start = (lane.prefix, 0) if ahead else (lane.suffix, behind)
        before, after = literal[: number.start - start], literal[number.end - start :]
        return Numbering(self._numbers, before, after, ahead=ahead)

    def _of_kind(self, shape: Shape) -> Lane:
        kind, opened, hidden = shape.kind, self._opened, self._chain.hidden
        if kind in _WITH_ROWS:
            return RowsLane(shape, opened, rows=self._rows, speech=self._speech, bounded=self._chain.rows)
        trace = None if hidden is None else hidden.open_trace(shape.index)
        inside = trace if kind in _OF_TRACES or self._chain.tags(shape.index) is not None else None
        if kind in _WITH_USAGE:
            return UsageLane(
                shape,
                opened,
                speech=self._speech,
                thought=self._thought,
                tally=self._tally,
                trace=inside,
                told=self._told,
            )
        bare = not (opened or shape.frame.numbers)
        if kind is Kind.REASONING:
            of_trace = BareTraceLane if bare else TraceLane
            return of_trace(shape, opened, thought=self._thought, tally=self._tally, trace=trace)
        of_text = BareTextLane if bare else TextLane
        return of_text(
            shape,
            opened,
            speech=self._speech,
            tally=self._tally,
            trace=inside,
            grammar=None if shape.frame.numbers else self._grammar,
            lengths=self._chain.usage is not None,
        )

    def _told_by(self, frame: Frame) -> bytes | None:
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
