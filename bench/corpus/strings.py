"""Where strings stand in a recorded body: each value with the keys that lead to it, told without the codecs."""

from __future__ import annotations

import re
from collections.abc import Iterator

_token = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL).finditer
_events = re.compile(rb"^data:", re.MULTILINE)
_line_end = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"

Place = tuple[str, int, int]
"""The keys to a string, with a dot between, those of lists left out; and the span of the string, quotes included."""


def places(body: bytes) -> Iterator[Place]:
    """Every string that is a value in the JSON texts of a body, in their order."""
    for start, end in _documents(body):
        yield from _places(body, start, end)


def _documents(body: bytes) -> Iterator[tuple[int, int]]:
    """The spans that hold JSON: the data of events, or each line of lines, or the whole."""
    head = body.removeprefix(_BOM).lstrip()
    if head[:1] in (b"{", b"[") and not _is_lines(body):
        yield 0, len(body)
        return
    events = _events.search(body) is not None
    at = 0
    for line in _line_end.split(body):
        start = body.index(line, at)
        at = start + len(line)
        if not events:
            yield start, at
        elif line.startswith(b"data:"):
            yield start + 5, at


def _is_lines(body: bytes) -> bool:
    lines = [line for line in _line_end.split(body) if line.strip()]
    return len(lines) > 1 and all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines)


def _places(body: bytes, start: int, end: int) -> Iterator[Place]:
    keys: list[str | None] = []  # of each open object the key that is read, of each list None
    last: tuple[int, int] | None = None
    for token in _token(body, start, end):
        sign = token[0][:1]
        if sign == b'"':
            last = token.span()
            continue
        if sign == b":":
            if last is None or not keys:
                return  # no JSON
            keys[-1] = body[last[0] + 1 : last[1] - 1].decode("utf-8", "replace")
            last = None
            continue
        if last is not None:
            yield ".".join(key for key in keys if key is not None), *last
            last = None
        if sign in b"{[":
            keys.append("" if sign == b"{" else None)
        elif sign in b"}]":
            if not keys:
                return
            keys.pop()
