"""Frames that differ only in their payload: which have one, where it stands, and what its bytes say.

A stream repeats one shape thousands of times. Once a frame was read in full, the bytes around
its payload are known (`wire.around`); a later frame with the same bytes around is proven to be of
that shape, and cannot hold a field that the first did not hold. It is an allow-list: a frame that does
not compare is read in full. `wire.grammar` knows what no frame had before.
"""

from __future__ import annotations

import enum
import re

import orjson

from hardening.wire.around import NOWHERE, PLAIN, Around, Span, openable
from hardening.wire.frame import Frame
from hardening.wire.grammar import INSIDE
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Site
from hardening.wire.traces import texts_of


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
_NO_STRINGS = frozenset({Role.LOGPROBS, Role.USAGE})
_QUOTE = 34


class Shape:
    """A frame that was read in full and has one payload of `kind`, and what may change in frames like it.

    `slot` is where its rows stand or its usage; `sites` are the values that may change and mean nothing.
    """

    __slots__ = ("frame", "index", "kind", "payload", "sites", "slot")

    def __init__(self, frame: Frame, kind: Kind, spans: list[Span]) -> None:
        """`spans` are those of `payload_of`."""
        self.frame = frame
        self.kind = kind
        self.index: int = frame.events[0][0].index  # type: ignore[union-attr]
        self.payload = spans[0]
        self.slot = spans[1] if len(spans) > 1 else NOWHERE
        last = len(frame.raw) if self.slot == NOWHERE else self.slot[0]
        changing = [site for site in frame.sites if site.role is Role.VOLATILE]
        self.sites = sorted(
            (site for site in changing if openable(frame.raw, site, behind=last)), key=lambda site: site.start
        )

    @property
    def behind(self) -> frozenset[int]:
        """Which of the sites stand behind the payload."""
        return frozenset(place for place, site in enumerate(self.sites) if site.start > self.payload[1])

    def changed(self, raw: bytes) -> frozenset[int] | None:
        """Which of the values that may change are others in `raw`; None where it is of another shape."""
        wide = Around(self.frame.raw, self.payload, slot=self.slot, opened=self.sites)
        there = wide.read(raw)
        here = None if there is None else wide.read(self.frame.raw)
        if here is None or there is None:
            return None
        pairs = zip(here.values, there.values, strict=True)
        return frozenset(place for place, (own, other) in enumerate(pairs) if own != other)


def shape_of(frame: Frame, kind: Kind) -> Shape | None:
    """The shape of a frame that was read in full and whose only payload is of `kind`; None where it has none."""
    spans = payload_of(frame, kind)
    return None if spans is None or frame.raw is not frame.source else Shape(frame, kind, spans)


def payload_of(frame: Frame, kind: Kind) -> list[Span] | None:
    """Where the payload stands, in the order of the frame: inside a string's quotes, or a whole list of rows."""
    sites = [site for _, site in frame.events]
    if [site.role for site in sites] != _ROLES[kind] or frame.unknown:
        return None
    spans = []
    for site in sites:
        string = frame.raw[site.start] == _QUOTE
        span: Span | None = (site.start + 1, site.end - 1) if string else None
        if site.role in _NO_STRINGS:
            span = None if string else (site.start, site.end)
        elif not string and site.role is Role.REASONING:
            span = _only_text(frame, site)
        if span is None:
            return None
        spans.append(span)
    return spans if spans == sorted(spans) else None


def _only_text(frame: Frame, site: Site) -> Span | None:
    """The inside of the one text in a trace of another shape, such as a list of parts; None where it has several."""
    texts = [text for text in texts_of(read_json(frame.value(site), format=frame.format)) if text]
    strings = _strings(frame.raw, site.start, site.end)
    found = [one.span() for one in strings if frame.string(*one.span()) in texts]
    return (found[0][0] + 1, found[0][1] - 1) if len(texts) == len(found) == 1 else None


_strings = re.compile(b'"' + INSIDE + b'"').finditer


def text_of(piece: bytes) -> str | None:
    """As `string_text`, without a parse where nothing is escaped."""
    return string_text(piece) if piece.strip(PLAIN) else piece.decode("utf-8", "replace")


def string_text(piece: bytes) -> str | None:
    """The text of a JSON string's inside; None where `piece` is not the inside of exactly one."""
    if _QUOTE in piece and not _is_inside(piece):
        return None
    try:
        text: str = orjson.loads(b'"' + piece + b'"')
    except orjson.JSONDecodeError:
        return None
    return text


_is_inside = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+').fullmatch


def is_list(piece: bytes) -> bool:
    """Whether `piece` is one list of JSON and nothing behind it."""
    try:
        return isinstance(orjson.loads(piece), list)
    except orjson.JSONDecodeError:
        return False
