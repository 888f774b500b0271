"""Frames that differ only in their payload: told by comparing bytes, without a parse.

A stream repeats one shape thousands of times. Once a frame was read in full, the bytes around
its payload are known; a later frame with the same bytes around is proven to be of that shape,
and cannot hold a field that the first did not hold. It is an allow-list: a frame that does not
compare is read in full. A Lane compares literally, but for one string; a Shape allows for identifiers and padding
that change from frame to frame; `wire.grammar` knows what no frame had before.
"""

from __future__ import annotations

import enum
import re

import orjson

from hardening.wire.frame import Frame
from hardening.wire.grammar import INSIDE, PLAIN
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Site
from hardening.wire.traces import texts_of
from hardening.wire.usage import fixed_in

_UNSAFE = (34, 10, 13)  # a quote or a line end: more than one string stands there


class Kind(enum.IntEnum):
    """What the payload of a shape is."""

    TEXT = enum.auto()
    REASONING = enum.auto()
    ROWS = enum.auto()  # text and the rows of its log-probabilities
    TRACE_ROWS = enum.auto()  # reasoning and the rows of its log-probabilities
    TEXT_COUNTED = enum.auto()  # text, and the usage so far
    TRACE_COUNTED = enum.auto()  # reasoning, and the usage so far


_ROLES = {
    Kind.TEXT: [Role.TEXT],
    Kind.REASONING: [Role.REASONING],
    Kind.ROWS: [Role.TEXT, Role.LOGPROBS],
    Kind.TRACE_ROWS: [Role.REASONING, Role.LOGPROBS],
    Kind.TEXT_COUNTED: [Role.TEXT, Role.USAGE],
    Kind.TRACE_COUNTED: [Role.REASONING, Role.USAGE],
}
_COUNTED = frozenset({Kind.TEXT_COUNTED, Kind.TRACE_COUNTED})
_NO_STRINGS = frozenset({Role.LOGPROBS, Role.USAGE})
DIGITS = b"0123456789"
"""What changes in a usage object while its numbers grow."""


class Lane:
    """The literal surroundings of one payload, or of one and its rows or the usage beside it.

    With a `gap` the one string that changes from frame to frame stands before it, after the prefix.
    """

    __slots__ = (
        "bare",
        "counts",
        "fixed",
        "gap",
        "gap_size",
        "head",
        "index",
        "is_plain",
        "is_text",
        "is_trace",
        "kind",
        "least",
        "middle",
        "prefix",
        "suffix",
        "tail",
        "told",
    )

    def __init__(
        self,
        kind: Kind,
        index: int,
        prefix: bytes,
        suffix: bytes,
        *,
        gap: bytes = b"",
        middle: bytes = b"",
        bare: bytes | None = None,
        counts: bytes | None = None,
        told: bytes | None = None,
        fixed: tuple[bytes, ...] = (),
    ) -> None:
        """`bare` is what follows the text in a frame of this lane that has no rows left.

        `counts` is the usage beside it without its numbers; `told` is what leaves in its place, where that is
        not the same, as long as all that is `fixed` stands in it.
        """
        self.kind = kind
        self.is_text = kind is Kind.TEXT  # asked for every frame, and the members of an Enum are slow
        self.is_plain = self.is_text and not gap  # a text between bytes that stay, and nothing else
        self.is_trace = kind is Kind.TRACE_COUNTED
        self.index = index
        self.prefix = prefix
        self.gap = gap
        self.gap_size = len(gap)
        self.middle = middle
        self.bare = bare
        self.counts = counts
        self.told = told
        self.fixed = fixed
        self.suffix = suffix
        self.head = len(prefix)
        self.tail = -len(suffix)
        self.least = len(prefix) + len(gap) + len(middle) + len(suffix)


def lane_of(frame: Frame, kind: Kind, told: bytes | None = None) -> Lane | None:
    """The lane of a frame that was read in full and whose only payload is of `kind`; None where it has none.

    `told` is what leaves for the usage beside it, where that is not the same.
    """
    spans = payload_of(frame, kind)
    if spans is None or frame.raw is not frame.source:
        return None
    raw = frame.raw
    (start, end), (last_start, last_end) = spans[0], spans[-1]
    index = frame.events[0][0].index  # type: ignore[union-attr]
    prefix, gap = _before(frame, start)
    if len(spans) == 1:
        return Lane(kind, index, prefix, raw[end:], gap=gap)
    if kind in _COUNTED:
        usage = raw[last_start:last_end]
        return Lane(
            kind,
            index,
            prefix,
            raw[last_end:],
            gap=gap,
            middle=raw[end:last_start],
            counts=usage.translate(None, DIGITS),
            told=told,
            fixed=() if told is None else fixed_in(usage),
        )
    bare = frame.render({frame.events[1][1]: b"[]"})[end:] if kind is Kind.ROWS else None
    return Lane(kind, index, prefix, raw[last_end:], gap=gap, middle=raw[end:last_start], bare=bare)


def _before(frame: Frame, start: int) -> tuple[bytes, bytes]:
    """Prefix and gap of a lane whose payload begins at `start`."""
    raw = frame.raw
    changing = [site for site in frame.sites if site.role is Role.VOLATILE]
    if len(changing) == 1 and changing[0].end < start and raw[changing[0].start] == 34:
        return raw[: changing[0].start + 1], raw[changing[0].end - 1 : start]
    return raw[:start], b""


def payload_of(frame: Frame, kind: Kind) -> list[tuple[int, int]] | None:
    """Where the payload stands, in the order of the frame: inside a string's quotes, or a whole list of rows."""
    sites = [site for _, site in frame.events]
    if [site.role for site in sites] != _ROLES[kind] or frame.unknown:
        return None
    spans = []
    for site in sites:
        string = frame.raw[site.start] == 34
        span: tuple[int, int] | None = (site.start + 1, site.end - 1) if string else None
        if site.role in _NO_STRINGS:
            span = None if string else (site.start, site.end)
        elif not string and site.role is Role.REASONING:
            span = _only_text(frame, site)
        if span is None:
            return None
        spans.append(span)
    return spans if spans == sorted(spans) else None


def _only_text(frame: Frame, site: Site) -> tuple[int, int] | None:
    """The inside of the one text in a trace of another shape, such as a list of parts; None where it has several."""
    texts = [text for text in texts_of(read_json(frame.value(site), format=frame.format)) if text]
    strings = _strings(frame.raw, site.start, site.end)
    found = [one.span() for one in strings if frame.string(*one.span()) in texts]
    return (found[0][0] + 1, found[0][1] - 1) if len(texts) == len(found) == 1 else None


_strings = re.compile(b'"' + INSIDE + b'"').finditer


def string_text(piece: bytes) -> str | None:
    """The text of a JSON string's inside; None where `piece` is not the inside of exactly one."""
    if 34 in piece and not _escaped_quotes(piece):
        return None
    try:
        text: str = orjson.loads(b'"' + piece + b'"')
    except orjson.JSONDecodeError:
        return None
    return text


_inside = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+')


def _escaped_quotes(piece: bytes) -> bool:
    return _inside.fullmatch(piece) is not None


def is_list(piece: bytes) -> bool:
    """Whether `piece` is one list of JSON and nothing behind it."""
    try:
        return isinstance(orjson.loads(piece), list)
    except orjson.JSONDecodeError:
        return False


def string_end(raw: bytes, at: int) -> int:
    """Where the inside of a JSON string ends that begins at `at`."""
    found = _inside.match(raw, at)
    return at if found is None else found.end()


class Shape:
    """A frame as a pattern: its payload, and the values that change and mean nothing, left open.

    In a match the payload is group 1, rows are group 2.
    """

    __slots__ = ("index", "kind", "match", "skeleton")

    def __init__(self, kind: Kind, index: int, skeleton: Skeleton) -> None:
        self.kind = kind
        self.index = index
        self.skeleton = skeleton
        self.match = re.compile(b"".join(hole + re.escape(literal) for hole, literal in skeleton)).fullmatch


Skeleton = tuple[tuple[bytes, bytes], ...]
"""Holes, each with the literal bytes after it; the first hole is empty."""


def skeleton_of(frame: Frame, kind: Kind) -> Skeleton | None:
    """What a frame that was read in full shares with every frame of its shape; None as `lane_of`."""
    spans = payload_of(frame, kind)
    if spans is None or frame.raw is not frame.source:
        return None
    raw = frame.raw
    holes = [(start, end, _ROWS if raw[start : start + 1] == b"[" else _PAYLOAD) for start, end in spans]
    for site in frame.sites:
        if site.role is Role.VOLATILE:
            string = raw[site.start] == 34
            holes.append((site.start, site.end, _ANY_STRING if string else _ANY_NUMBER))
    parts: list[tuple[bytes, bytes]] = []
    at, hole = 0, b""
    for start, end, following in sorted(holes):
        parts.append((hole, raw[at:start]))
        at, hole = end, following
    return (*parts, (hole, raw[at:]))


_PAYLOAD = b"(" + INSIDE + b")"
_ROWS = rb"(\[[^\n\r]*\])"
_ANY_STRING = b'"' + PLAIN + b'*+"'
_ANY_NUMBER = rb"[0-9.eE+-]++"


class Shapes:
    """The shapes of one format that this process has met, newest use first; bounded.

    A shape costs a regular expression's compilation (some 400 us), so it is made only of frames
    that are known to come in numbers.
    """

    __slots__ = ("_known",)

    _MOST = 32

    def __init__(self) -> None:
        self._known: list[Shape] = []

    def find(self, kind: Kind, index: int, skeleton: Skeleton) -> Shape:
        """The shape with this skeleton, made where it is new."""
        for place, shape in enumerate(self._known):
            if shape.skeleton == skeleton and shape.kind is kind and shape.index == index:
                self._known.insert(0, self._known.pop(place))
                return shape
        shape = Shape(kind, index, skeleton)
        self._known.insert(0, shape)
        del self._known[self._MOST :]
        return shape
