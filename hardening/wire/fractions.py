"""Every number with a fraction in an answer of scores, but where a table knows of something else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardening.wire.roles import Role
from hardening.wire.sites import Owner, Site

_string_or_number = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL).finditer
_MARKS = frozenset(b".eE")
_QUOTE = 34


def with_scores(raw: bytes, start: int, end: int, sites: list[Site]) -> list[Site]:
    """The sites with those of scores, in the order of the text, which is valid JSON."""
    ordered = sorted(sites, key=_start)
    found = [
        Site(Role.SCORE, *one.span(), Owner(0))
        for after, before in _between(ordered, start, end)
        for one in _string_or_number(raw, after, before)
        if raw[one.start()] != _QUOTE and not _MARKS.isdisjoint(one[0])
    ]
    return sorted([*ordered, *found], key=_start) if found else sites


def _start(site: Site) -> int:
    return site.start


def _between(sites: list[Site], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans outside of the sites, which are in order, and of which one may hold others."""
    for site in sites:
        if site.start >= start:
            yield start, site.start
        start = max(start, site.end)
    yield start, end
