"""The bytes around the payload of a frame: literal, but for values that change and mean nothing.

A frame is proven to have the same surroundings by comparing literals and by stripping, at each place
that is open, the bytes that may stand there: no parse and no pattern, and what is proven is exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hardening.wire.sites import Site

Span = tuple[int, int]
NOWHERE: Span = (-1, -1)
"""The span of what is not there."""

DIGITS = b"0123456789"
PLAIN = bytes(byte for byte in range(32, 256) if byte not in b'"\\')
"""What stands in a string without being its end, an escape or a control."""

_inside = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+')  # of a string, up to its quote
_number = re.compile(rb"[1-9][0-9]*").fullmatch
_QUOTE = 34


class Reading(NamedTuple):
    """Where the payload of a frame stands and where its slot, and what stands in the open places."""

    payload: Span
    slot: Span
    values: list[bytes]


class Around:
    """What stands before a payload, after it, and around one slot that may follow it.

    `prefix`; for each of `before` a run of any of its bytes, and the literal behind that; the inside of the
    payload's string; for each of `after` a literal and the run behind it; `suffix`, which ends the frame
    or leads to the slot. Behind a slot, from the end on: `ending`, and for each of `behind` a run and the
    literal before it. No literal beside a run goes on as that run does, so that it ends there.
    """

    __slots__ = ("_slotted", "after", "before", "behind", "ending", "prefix", "suffix")

    def __init__(
        self, raw: bytes, payload: Span, *, slot: Span = NOWHERE, opened: Sequence[Site] = ()
    ) -> None:
        """The surroundings in `raw`, with the values of the `opened` sites left open, each `openable`."""
        self._slotted = slot != NOWHERE
        size = slot[0] if self._slotted else len(raw)
        runs = sorted(_run(raw, site) for site in opened)
        left = [(*payload, b""), *(run for run in runs if run[0] < size)]
        literals, kinds = _cut(raw, 0, size, sorted(left))
        place = kinds.index(b"")
        self.prefix = literals[0]
        self.before = tuple(zip(kinds[:place], literals[1 : place + 1], strict=True))
        self.after = tuple(zip(literals[place + 1 : -1], kinds[place + 1 :], strict=True))
        self.suffix = literals[-1]
        literals, kinds = _cut(raw, max(size, slot[1]), len(raw), [run for run in runs if run[0] >= size])
        self.ending = literals[-1]
        self.behind = tuple(zip(kinds[::-1], literals[-2::-1], strict=True))

    def read(self, data: bytes) -> Reading | None:
        """Where all stands in a frame of these surroundings, its payload with escapes or without; else None."""
        values: list[bytes] = []
        at = len(self.prefix)
        if not data.startswith(self.prefix):
            return None
        for run, literal in self.before:
            if (end := _past(data, at, run)) < 0 or not data.startswith(literal, end):
                return None
            values.append(data[at:end])
            at = end + len(literal)
        start, at = at, string_end(data, at)
        payload = start, at
        for literal, run in self.after:
            if not data.startswith(literal, at):
                return None
            at += len(literal)
            end = _past(data, at, run)
            values.append(data[at:end])
            at = end
        if not data.startswith(self.suffix, at):
            return None
        at += len(self.suffix)
        rest = data[at:].removesuffix(self.ending)
        if len(rest) + len(self.ending) != len(data) - at:
            return None
        last: list[bytes] = []
        for run, literal in self.behind:
            cut = rest.rstrip(run)
            last.insert(0, rest[len(cut) :])
            rest = cut.removesuffix(literal)
            if len(rest) == len(cut):
                return None
        if rest and not self._slotted:
            return None
        return Reading(payload, (at, at + len(rest)), values + last)


def openable(raw: bytes, site: Site, *, behind: int) -> bool:
    """Whether the value of a site can be left open; after `behind` strings can only."""
    if raw[site.start] == _QUOTE:
        return True
    return site.start < behind and _number(raw[site.start : site.end]) is not None


def _run(raw: bytes, site: Site) -> tuple[int, int, bytes]:
    """Where a value may differ, and by what: of a number all but its first digit, so that none begins with 0."""
    inside = raw[site.start] == _QUOTE
    return site.start + 1, site.end - inside, PLAIN if inside else DIGITS


def _cut(
    raw: bytes, at: int, size: int, runs: Sequence[tuple[int, int, bytes]]
) -> tuple[list[bytes], list[bytes]]:
    """The literals around runs, and the bytes that make each run."""
    literals, kinds = [], []
    for start, end, kind in runs:
        literals.append(raw[at:start])
        kinds.append(kind)
        at = end
    return [*literals, raw[at:size]], kinds


def _past(data: bytes, at: int, run: bytes) -> int:
    rest = data[at:]
    return at + len(rest) - len(rest.lstrip(run))


def string_end(raw: bytes, at: int) -> int:
    """Where the inside of a JSON string ends that begins at `at`."""
    found = _inside.match(raw, at)
    return at if found is None else found.end()
