"""Frames outside a stream's lane: where their payload stands, told without a parse where one can be spared."""

from __future__ import annotations

from hardening.wire.around import NOWHERE, Span
from hardening.wire.grammar import INDEX, PAYLOAD, ROWS, TEXT_KEY, Grammar
from hardening.wire.shapes import Kind

_TRACES = (Kind.REASONING, Kind.TRACE_ROWS)

Place = tuple[Kind, int, Span, Span]
"""The kind of a payload, its index, its span, and the span of its rows."""


class Strays:
    """What one stream has taught about frames that its lane does not compare with.

    Only kinds of payload are told that the stream has had, at the same index, in a frame read in full.
    """

    __slots__ = ("_grammar", "_head", "_index", "_kind", "_met", "_tail")

    def __init__(self, grammar: Grammar | None) -> None:
        self._grammar = grammar
        self._met: set[tuple[Kind, int]] = set()
        self._head = self._tail = b""  # of the last frame that the grammar knew
        self._kind, self._index = Kind.TEXT, 0  # what that head says

    def place(self, raw: bytes) -> Place | None:
        """Where the payload of one whole event stands; None where the event must be read in full.

        What stands there is the payload only if it is the inside of one string: the caller's to prove.
        """
        grammar = self._grammar
        if not self._met or grammar is None or (start := self._after_head(grammar, raw)) < 0:
            return None
        kind, rows = self._kind, NOWHERE
        if self._tail and raw.endswith(self._tail) and len(raw) >= start + len(self._tail):
            span = start, len(raw) - len(self._tail)
        elif (found := grammar.tail(raw, start)) is not None:
            span, rows = found.span(PAYLOAD), found.span(ROWS)
            if rows == NOWHERE:
                self._tail = raw[span[1] :]
            else:
                kind = Kind.ROWS if kind is Kind.TEXT else Kind.TRACE_ROWS
        else:
            return None
        return (kind, self._index, span, rows) if (kind, self._index) in self._met else None

    def _after_head(self, grammar: Grammar, raw: bytes) -> int:
        """Where the head of a frame ends; -1 where it is none."""
        if self._head and raw.startswith(self._head):
            return len(self._head)
        found = grammar.head(raw)
        if found is None:
            return -1
        self._head = raw[: found.end()]
        self._kind = Kind.REASONING if found.start(TEXT_KEY) < 0 else Kind.TEXT
        self._index = int(found[INDEX] or 0)
        return found.end()

    def learn(self, kind: Kind, index: int) -> None:
        """Take that a frame was read in full whose only payload is of `kind`."""
        self._met.add((kind, index))

    def forget_trace(self, index: int) -> None:
        """Know no trace of `index` any more, until one is read in full again."""
        self._met.difference_update((kind, index) for kind in _TRACES)

    def forget(self) -> None:
        """Know no kind of payload any more."""
        self._met.clear()
