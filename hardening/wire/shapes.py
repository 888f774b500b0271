"""Frames that differ only in their payload: told by comparing bytes, without a parse.

A stream repeats one shape thousands of times. Once a frame was read in full, the bytes around
its payload are known; a later frame with the same bytes around is proven to be of that shape,
and cannot hold a field that the first did not hold. It is an allow-list: a frame that does not
compare is read in full. A Lane compares literally; a Shape allows for identifiers and padding
that change from frame to frame.
"""

from __future__ import annotations

import enum
import re

import orjson

from hardening.wire.frame import Frame
from hardening.wire.roles import Role

_UNSAFE = (34, 10, 13)  # a quote or a line end: more than one string stands there


class Kind(enum.Enum):
    """What the payload of a shape is."""

    TEXT = enum.auto()
    REASONING = enum.auto()
    ROWS = enum.auto()  # text and the rows of its log-probabilities


class Lane:
    """The literal surroundings of one payload (TEXT, REASONING) or of text and its rows (ROWS)."""

    __slots__ = ("head", "index", "kind", "least", "middle", "prefix", "suffix", "tail")

    def __init__(self, kind: Kind, index: int, prefix: bytes, suffix: bytes, middle: bytes = b"") -> None:
        self.kind = kind
        self.index = index
        self.prefix = prefix
        self.middle = middle
        self.suffix = suffix
        self.head = len(prefix)
        self.tail = -len(suffix)
        self.least = len(prefix) + len(middle) + len(suffix)


def lane_of(frame: Frame, kind: Kind) -> Lane | None:
    """The lane of a frame that was read in full and whose only payload is of `kind`; None where it has none."""
    spans = _payload(frame, kind)
    if spans is None or frame.raw is not frame.source:
        return None
    raw = frame.raw
    (start, end), (last_start, last_end) = spans[0], spans[-1]
    middle = raw[end:last_start] if kind is Kind.ROWS else b""
    return Lane(kind, frame.events[0][0].index, raw[:start], raw[last_end:], middle)  # type: ignore[union-attr]


def _payload(frame: Frame, kind: Kind) -> list[tuple[int, int]] | None:
    """Where the payload stands, in the order of the frame: inside a string's quotes, or a whole list."""
    roles = {Kind.TEXT: [Role.TEXT], Kind.REASONING: [Role.REASONING], Kind.ROWS: [Role.TEXT, Role.LOGPROBS]}
    sites = [site for _, site in frame.events]
    if [site.role for site in sites] != roles[kind] or frame.unknown:
        return None
    spans = []
    for site in sites:
        string = frame.raw[site.start] == 34
        if string == (site.role is Role.LOGPROBS):
            return None
        spans.append((site.start + 1, site.end - 1) if string else (site.start, site.end))
    return spans if spans == sorted(spans) else None


def string_text(piece: bytes) -> str | None:
    """The text of a JSON string's inside; None where `piece` is not the inside of exactly one."""
    if 34 in piece and not _escaped_quotes(piece):
        return None
    try:
        text: str = orjson.loads(b'"' + piece + b'"')
    except orjson.JSONDecodeError:
        return None
    return text


_inside = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+').fullmatch


def _escaped_quotes(piece: bytes) -> bool:
    return _inside(piece) is not None


class Shape:
    """A frame as a pattern: its payload, and the values that change and mean nothing, left open."""

    __slots__ = ("_match", "index", "kind")

    def __init__(self, frame: Frame, kind: Kind, spans: list[tuple[int, int]]) -> None:
        self.kind = kind
        self.index: int = frame.events[0][0].index  # type: ignore[union-attr]
        raw = frame.raw
        holes = [(start, end, _ROWS if raw[start : start + 1] == b"[" else _PAYLOAD) for start, end in spans]
        for site in frame.sites:
            if site.role is Role.VOLATILE:
                string = raw[site.start] == 34
                holes.append((site.start, site.end, _ANY_STRING if string else _ANY_NUMBER))
        pattern, at = b"", 0
        for start, end, hole in sorted(holes):
            pattern += re.escape(raw[at:start]) + hole
            at = end
        self._match = re.compile(pattern + re.escape(raw[at:])).fullmatch

    def lane(self, raw: bytes) -> Lane | None:
        """The lane that `raw` is in, if `raw` is of this shape."""
        found = self._match(raw)
        if found is None:
            return None
        start, end = found.span(1)
        if self.kind is not Kind.ROWS:
            return Lane(self.kind, self.index, raw[:start], raw[end:])
        rows_start, rows_end = found.span(2)
        return Lane(self.kind, self.index, raw[:start], raw[rows_end:], raw[end:rows_start])


_STRING_INSIDE = rb'[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+'
_PAYLOAD = b"(" + _STRING_INSIDE + b")"
_ROWS = rb"(\[[^\n\r]*\])"
_ANY_STRING = b'"' + _STRING_INSIDE + b'"'
_ANY_NUMBER = rb"[0-9.eE+-]++"


class Shapes:
    """The shapes of one format that this process has met, newest use first; bounded.

    A shape costs a regular expression's compilation (some 400 us), so it is made only when a
    stream shows that its frames differ outside the payload, and at most a few times a stream.
    """

    __slots__ = ("_known",)

    _MOST = 32
    TRIED = 6

    def __init__(self) -> None:
        self._known: list[Shape] = []

    def lane(self, raw: bytes) -> Lane | None:
        """The lane of `raw` by the shapes used last; None where none of them is its own."""
        for place, shape in enumerate(self._known[: self.TRIED]):
            lane = shape.lane(raw)
            if lane is not None:
                if place:
                    self._known.insert(0, self._known.pop(place))
                return lane
        return None

    def learn(self, frame: Frame, kind: Kind) -> None:
        """Remember the shape of a frame that was read in full."""
        spans = _payload(frame, kind)
        if spans is not None and frame.raw is frame.source:
            self._known.insert(0, Shape(frame, kind, spans))
            del self._known[self._MOST :]
