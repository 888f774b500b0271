"""Every place of an embeddings answer where values of a vector may stand, whether a table knows it or not.

A vector under a name that no table has would leave as it is. So each list of numbers is one, wherever it
stands; a long string that may hold packed values is withheld; and what could spell a vector in another
way, as an object or as strings, cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, zip_longest

from hardening.errors import WireError
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Owner, Site

_string_or_list = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^\[\]{}"]*+\]', re.DOTALL).finditer
_PACKED_BYTES = 128  # of a string: a vector of 24 values; ids and names are shorter
_is_packed = re.compile(rb'"(?:[A-Za-z0-9+/_=-]|\\/)+"').fullmatch
_decimal = re.compile(rb"\d\.\d{4}|\d[eE]-?\d").findall
_ascii_escape = re.compile(rb"\\u00([2-7][0-9a-fA-F])").sub
_MOST_DECIMALS = 16  # prices and times; more of them are a vector

_POOLED = b'"pooling"'  # vLLM's name for the object; inside of a string its quotes are escaped
_QUOTE = 34
_FIXED = frozenset({Role.VECTOR, Role.VECTOR_BITS})


def with_vectors(raw: bytes, start: int, end: int, sites: list[Site], *, format: str) -> list[Site]:
    """The sites with those of vectors that no table told, in the order of the text.

    Raises WireError where what stands around vectors is no JSON, or may spell one. The vectors themselves
    are read by who puts them on a grid.
    """
    known = sorted((site for site in sites if site.role in _FIXED or _is_echo(raw, site)), key=_start)
    found = [one for gap in _gaps(known, start, end) for one in _between(raw, *gap)]
    fixed = sorted([*known, *found], key=_start) if found else known
    rest = [raw[after:before] for after, before in _gaps(fixed, start, end)]
    stand_ins = (raw[one.start : one.end] if one.role is Role.ECHO else b"0" for one in fixed)
    read_json(b"".join(chain.from_iterable(zip_longest(rest, stand_ins, fillvalue=b""))), format=format)
    if len(_decimal(_spelled_out(b" ".join(rest)))) > _MOST_DECIMALS:
        raise WireError(format, start, "expected fewer numbers outside of vectors")
    return sorted([*sites, *found], key=_start) if found else sites


def pooled(raw: bytes, start: int, end: int) -> list[Site]:
    """What an answer that calls itself pooled holds in place of text: lists of numbers, and what may be packed ones."""
    if raw.find(_POOLED, start, end) < 0:
        return []
    return [Site(Role.STATES, one.start, one.end, one.owner) for one in _between(raw, start, end)]


def _spelled_out(text: bytes) -> bytes:
    """The text with ASCII characters for their escapes."""
    if b"\\u00" not in text:
        return text
    return _ascii_escape(lambda found: bytes((int(found[1], 16),)), text)


def _start(site: Site) -> int:
    return site.start


def _is_echo(raw: bytes, site: Site) -> bool:
    return site.role is Role.ECHO and raw[site.start] == _QUOTE


def _gaps(sites: list[Site], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans before, between and after the sites."""
    for site in sites:
        yield start, site.start
        start = site.end
    yield start, end


def _between(raw: bytes, start: int, end: int) -> Iterator[Site]:
    """The vectors that stand where no table knows one."""
    for found in _string_or_list(raw, start, end):
        if raw[found.start()] != _QUOTE:
            if found[0][1:-1].strip():
                yield Site(Role.VECTOR, *found.span(), Owner(0))
        elif found.end() - found.start() >= _PACKED_BYTES and _is_packed(_spelled_out(found[0])):
            yield Site(Role.VECTOR_BITS, *found.span(), Owner(0))
