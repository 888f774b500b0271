"""Where the seal of a trace stands in a response: by format, under which name, beside which members.

A seal is an opaque text that the client sends back. Where a format gives a trace in pieces and has a delta for what signs
it, the seal comes in a frame of its own; else in the object that holds the trace as a whole.
Sources: the formats' own references; OpenRouter's for `reasoning_details`, whose clients send them back (read 2026-11-26).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from hardening.events import THE_TRACE
from hardening.wire.frame import Frame
from hardening.wire.mark import MARK
from hardening.wire.roles import SEALS, Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Site
from hardening.wire.traces import trace_of

_TRACES = frozenset({Role.REASONING, Role.REASONING_WHOLE})
_HELD = _TRACES | SEALS
_key = re.compile(rb'"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*$').search
_KEY_BYTES = 64
_TEXTS = ("text", "thinking", "summary")  # of a block of reasoning
_blobs = re.compile(MARK.encode() + rb"[A-Za-z0-9+/=_-]*+").sub
# Members that stand for a trace, and say nothing without it.
_OPAQUE = frozenset(
    {"encrypted_content", "reasoning_opaque", "signature", "thoughtSignature", "thought_signature"}
)
_nested = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL).finditer

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a format's seals.

    `name` is the member that holds one, `value` its JSON for a blob and its number in the answer. `members` are those
    of the same object that hold the trace, or stand for it. `alone` says whether one leaves in a frame of its own
    where the trace came in pieces; frames called one of `begins` hold an object that is not whole yet.
    """

    name: str
    value: Callable[[str, int], bytes]
    members: frozenset[str]
    alone: bool
    begins: frozenset[bytes] = frozenset()
    wraps: bool = False
    """Whether an opaque member without a trace beside it is sealed as well."""
    holders: frozenset[str] = frozenset()
    """The names under which such an object stands, where others look like it; any where there are none."""


def _text(blob: str, number: int) -> bytes:
    return orjson.dumps(blob)


def _detail(blob: str, number: int) -> bytes:
    return orjson.dumps([{"type": "reasoning.encrypted", "data": blob, "index": number}])


PLACES = {
    "openai_chat": Place(
        "reasoning_details",
        _detail,
        frozenset(
            {
                "reasoning_content",
                "reasoning",
                "reasoning_text",
                "thinking",
                "encrypted_content",
                "reasoning_opaque",
                "signature",
                "reasoning_details",
                "thinking_blocks",
            }
        ),
        alone=True,
        holders=frozenset({"message", "delta"}),
    ),
    "openai_responses": Place(
        "encrypted_content",
        _text,
        frozenset({"content", "summary", "encrypted_content"}),
        alone=False,
        begins=frozenset({b'"response.output_item.added"'}),
        wraps=True,
    ),
    "anthropic_messages": Place("signature", _text, frozenset({"thinking", "signature"}), alone=True),
    "gemini_generate": Place(
        "thoughtSignature", _text, frozenset({"text", "thoughtSignature", "thought_signature"}), alone=True
    ),
}
"""By format; what is not here has no place that its clients send back."""


def key_of(frame: Frame, site: Site) -> str:
    """The name under which a site stands in its object; empty for an element of a list."""
    return _name_before(frame.raw, site.start)


def _name_before(raw: bytes, start: int) -> str:
    found = _key(raw, max(0, start - _KEY_BYTES), start)
    return "" if found is None else found[1].decode("utf-8", "replace")


def objects(frame: Frame, place: Place) -> list[tuple[int, Span, list[Site]]]:
    """The objects of a frame that hold a trace, or what stands for it, as members: index, span and these sites."""
    found: dict[Span, tuple[int, Span, list[Site]]] = {}
    for site in frame.sites:
        if site.role in _HELD and key_of(frame, site) in place.members | {place.name}:
            span = _around(frame.raw, frame.at, site.start)
            if not place.holders or _name_before(frame.raw, span[0]) in place.holders:
                found.setdefault(span, (site.owner.index, span, []))[2].append(site)
    return [one for one in found.values() if any(site.role in _TRACES for site in one[2])]


def members_of(frame: Frame, span: Span, place: Place) -> dict[str, object]:
    """The members of an object of a frame that are to be sealed; none where nothing of it is hidden."""
    value = read_json(frame.raw[slice(*span)], format=frame.format)
    named = value if isinstance(value, dict) else {}
    found = {name: one for name in sorted(place.members) if (one := named.get(name))}
    return found if place.wraps or any(traces_in(found)) else {}


def told_by(value: object, signed: object) -> object:
    """A value that tells a piece of a trace, with THE_TRACE for it; of a list its first text, as `signed` signs it.

    None where no text stands in it.
    """
    if isinstance(value, str):
        return THE_TRACE if value else None
    for one in value if isinstance(value, list) else ():
        name = next((name for name in _TEXTS if one.get(name)), None) if isinstance(one, dict) else None
        if name is not None:
            signs = [other for other in signed if isinstance(other, dict)] if isinstance(signed, list) else []
            more = {key: new for other in signs for key, new in other.items() if new and key in _OPAQUE}
            return [{**one, name: THE_TRACE, **more}]
    return None


def traces_in(members: Mapping[str, object]) -> Iterator[str]:
    """The traces among what a seal holds."""
    for name, value in members.items():
        if name not in _OPAQUE and (text := trace_of(value)):
            yield text


def without_seals(body: bytes) -> bytes:
    """The body with every seal of ours cut out, for those who look for words in it."""
    return _blobs(b"", body)


def _around(raw: bytes, start: int, at: int) -> Span:
    """The span of the innermost object or list, of the value that begins at `start`, in which `at` lies."""
    opened: list[int] = []
    deeper = 0
    for found in _nested(raw, start):
        place = found.start()
        if raw[place] == 34:
            continue
        opens = raw[place] in b"[{"
        if place < at:
            if opens:
                opened.append(place)
            else:
                opened.pop()
        elif opens:
            deeper += 1
        elif deeper:
            deeper -= 1
        else:
            return opened[-1], place + 1
    return start, len(raw)
