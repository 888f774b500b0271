"""Answers and traces in what no table knows, told by their own shape: gateways wrap them under any name, in any list.

An answer is told by what it says of itself in any format: its choices or candidates, who speaks in it, the kind of object
or event that it is. A trace is told by its kind. Where characters of a name are escaped, it is looked for as it reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_WS = rb"[ \t\n\r]*+"
_SIGN = re.compile(
    rb'"(?:(?:choices|candidates)"%b:%b[\[{]'
    rb'|(?:finish|stop)_?reason"%b:'
    rb'|role"%b:%b"(?:assistant|model)"'
    rb'|object"%b:%b"(?:chat\.completion|text_completion|response)'
    rb'|type"%b:%b"(?:message|content_block|response\.)'
    rb'|(type"%b:%b"[a-z_.-]{0,32}(?:reasoning|thinking|thought)'
    rb'|channel"%b:%b"analysis"'
    rb'|(?:thought|isThought|is_thought)"%b:%btrue))' % ((_WS,) * 15),
    re.IGNORECASE,
).finditer
_nested = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL).finditer
_escaped = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)++"', re.DOTALL).sub
_LONGEST_NAME = 256  # bytes of a name all of whose characters are escaped


class Whole(NamedTuple):
    """The span of an object that is an answer, or where `is_trace` nothing but a trace."""

    start: int
    end: int
    is_trace: bool


def wholes_in(raw: bytes, at: int, end: int, *, traces_only: bool = False) -> list[Whole]:
    """The outermost objects of the JSON value at `raw[at:end]` that are answers or traces, in order."""
    before = 0
    if raw.find(b"\\u00", at, end) >= 0:
        # The value alone: there may be many in a body, and what stands before each is not copied.
        raw, before, at, end = _escaped(_as_it_reads, raw[at:end]), at, 0, end - at
    found = _SIGN(raw, at, end)
    signs = (one for one in found if one[1]) if traces_only else found
    sign = next(signs, None)
    wholes = [] if sign is None else _outermost(raw, at, sign, signs)
    return [Whole(one.start + before, one.end + before, one.is_trace) for one in wholes] if before else wholes


def _outermost(
    raw: bytes, at: int, sign: re.Match[bytes] | None, signs: Iterator[re.Match[bytes]]
) -> list[Whole]:
    found: list[Whole] = []
    opened: list[int] = []  # where objects begin that are not closed; a list has none
    told: dict[int, bool] = {}  # of these, what is known of them
    for token in _nested(raw, at):
        place = token.start()
        first = raw[place]
        if first == 34:
            if sign is not None and place >= sign.start():
                if opened and opened[-1] >= 0:
                    told[opened[-1]] = told.get(opened[-1], False) or sign[1] is not None
                sign = next(signs, None)
        elif first in b"{[":
            opened.append(place if first == 123 else -1)
        else:
            start = opened.pop()
            is_trace = told.pop(start, None)
            if is_trace is not None:
                while found and found[-1].start > start:
                    found.pop()
                found.append(Whole(start, token.end(), is_trace))
            if not opened or (sign is None and not told):
                break
    return found


def _as_it_reads(found: re.Match[bytes]) -> bytes:
    """A short string without its escapes, and with blanks behind it, so that all else stays where it is."""
    spelt = found[0]
    if len(spelt) > _LONGEST_NAME or b"\\u00" not in spelt:
        return spelt
    try:
        name: str = json.loads(spelt.decode("utf-8", "surrogateescape"), strict=False)
    except ValueError:
        return spelt  # an escape that JSON does not have
    plain = name.isascii() and '"' not in name and "\\" not in name
    return b'"%b"' % name.encode() + b" " * (len(spelt) - len(name) - 2) if plain else spelt
