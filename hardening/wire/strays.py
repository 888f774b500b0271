"""Frames outside a stream's lane: where their payload stands, told without a parse where one can be spared."""

from __future__ import annotations

from hardening.wire.frame import Frame
from hardening.wire.grammar import INDEX, PAYLOAD, ROWS, TEXT_KEY, Grammar
from hardening.wire.shapes import Kind, Shape, Shapes, Skeleton, skeleton_of

# Frames with a head of their own that are read in full, to see whether they share a shape.
_SAMPLED = frozenset({8, 9})
_MANY = 8  # frames read in full after which their shape is worth finding, though the grammar knows no head of theirs

_WITH_ROWS = (Kind.ROWS, Kind.TRACE_ROWS)
_TRACES = (Kind.REASONING, Kind.TRACE_ROWS)

NOWHERE = (-1, -1)
"""The span of what is not there."""

Place = tuple[Kind, int, tuple[int, int], tuple[int, int]]
"""The kind of a payload, its index, its span, and the span of its rows."""


class Strays:
    """What one stream has taught about frames that its lane does not compare with.

    Only kinds of payload are told that the stream has had, at the same index, in a frame read in full.
    """

    __slots__ = (
        "_grammar",
        "_head",
        "_index",
        "_kind",
        "_met",
        "_read",
        "_seen",
        "_shape",
        "_shapes",
        "_skeleton",
        "_tail",
    )

    def __init__(self, grammar: Grammar | None, shapes: Shapes) -> None:
        self._grammar = grammar
        self._shapes = shapes
        self._met: set[tuple[Kind, int]] = set()
        self._head = self._tail = b""  # of the last frame that the grammar knew
        self._kind, self._index = Kind.TEXT, 0  # what that head says
        self._seen = self._read = 0
        self._skeleton: Skeleton | None = None
        self._shape: Shape | None = None

    def place(self, raw: bytes) -> Place | None:
        """Where the payload of one whole event stands; None where the event must be read in full.

        What stands there is the payload only if it is the inside of one string: the caller's to prove.
        """
        if not self._met:
            return None
        shape = self._shape
        if shape is not None and (found := shape.match(raw)) is not None:
            return (
                shape.kind,
                shape.index,
                found.span(1),
                found.span(2) if shape.kind in _WITH_ROWS else NOWHERE,
            )
        if self._grammar is None or (start := self._after_head(self._grammar, raw)) < 0:
            return None
        kind, tail = self._kind, self._tail
        if tail and raw.endswith(tail) and len(raw) >= start + len(tail):
            span, rows = (start, len(raw) - len(tail)), NOWHERE
        elif (found := self._grammar.tail(raw, start)) is not None:
            span, rows = found.span(PAYLOAD), found.span(ROWS)
            if rows == NOWHERE:
                self._tail = raw[span[1] :]
            else:
                kind = Kind.ROWS if kind is Kind.TEXT else Kind.TRACE_ROWS
        else:
            return None
        return (kind, self._index, span, rows) if (kind, self._index) in self._met else None

    def _after_head(self, grammar: Grammar, raw: bytes) -> int:
        """Where the head of a frame ends; -1 where it is none, or the frame shall be read in full."""
        if self._head and raw.startswith(self._head):
            return len(self._head)
        found = grammar.head(raw)
        if found is None:
            return -1
        self._seen += 1
        if self._seen in _SAMPLED:
            return -1
        self._head = raw[: found.end()]
        self._kind = Kind.REASONING if found.start(TEXT_KEY) < 0 else Kind.TEXT
        self._index = int(found[INDEX] or 0)
        return found.end()

    def learn(self, frame: Frame, kind: Kind, index: int) -> None:
        """Take a frame that was read in full and whose only payload is of `kind`."""
        self._met.add((kind, index))
        self._read += 1
        if not self._seen and self._read < _MANY:
            return
        skeleton = skeleton_of(frame, kind)
        if skeleton is not None and skeleton == self._skeleton:
            self._shape = self._shapes.find(kind, index, skeleton)
        self._skeleton = skeleton

    def forget_trace(self, index: int) -> None:
        """Know no trace of `index` any more, until one is read in full again."""
        self._met.difference_update((kind, index) for kind in _TRACES)
        if self._shape is not None and (self._shape.kind, self._shape.index) not in self._met:
            self._shape = None

    def forget(self) -> None:
        """Know no kind of payload any more."""
        self._shape = None
        self._met.clear()
