"""Strings that no table knows: which of them may be a model's own words, and where they stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache

from hardening.wire.frame import Frame
from hardening.wire.roles import Role

Span = tuple[int, int]
Path = tuple[bytes, ...]

_NOTES = frozenset({Role.FAILED, Role.NOTE, Role.ENDED})
_token = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|[\[\]{}:,]', re.DOTALL).finditer
_KEY_BYTES = 64

# A key is told where it can only be a name: keys may hold identifiers, and words of a model.
_is_name = re.compile(rb"[A-Za-z_@][A-Za-z_-]{0,31}[0-9]{0,2}").fullmatch
_STEPS = 12  # of a path; what is deeper is left out
_words = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])").findall
# What these hold was written by others, or by the server about the answer.
_of_others = re.compile(
    rb"\b(?:annotation|citation|error|grounding|reference|search result|snippet|source|warning)s?\b"
).search


def doubtful(frame: Frame) -> list[Span]:
    """The strings that no table knows and that are no words of an error, of the server or of others."""
    if not frame.strings:
        return []
    last, ends = 0, []
    starts = []
    for site in frame.sites:  # in the order of the text; what stands in another one adds nothing
        if site.role in _NOTES and site.end > last:
            last = site.end
            starts.append(site.start)
            ends.append(last)
    if not starts:
        return frame.strings
    return [span for span in frame.strings if not _within(span, starts, ends)]


def _within(span: Span, starts: list[int], ends: list[int]) -> bool:
    at = bisect_right(starts, span[0]) - 1
    return at >= 0 and span[1] <= ends[at]


def key_before(frame: Frame, at: int) -> bytes:
    """The nearest key before `at`: of the value that stands there, or of one around or beside it.

    It is found without reading what stands before, so that a stream's strings can be grouped at little cost.
    """
    end = max(0, frame.raw.rfind(b'":', frame.at, at))
    start = frame.raw.rfind(b'"', frame.at, end) + 1
    return frame.raw[max(start, end - _KEY_BYTES) : end]


def keys_before(frame: Frame, spans: list[Span]) -> list[bytes]:
    """`key_before` of each of the spans of strings, which stand in the order of the frame; each byte is looked at once."""
    found: list[bytes] = []
    last = frame.at
    for start, end in spans:
        between = found and frame.raw.find(b'":', last, start) < 0
        found.append(found[-1] if between else key_before(frame, start))
        last = end
    return found


def paths_to(frame: Frame, spans: Iterable[Span]) -> dict[Span, Path]:
    """By each span the keys, and `[]` for each list, that lead to it from the root of its frame.

    The frame is gone through once, however many spans there are.
    """
    wanted = iter(sorted(spans))
    found: dict[Span, Path] = {}
    span = next(wanted, None)
    steps: list[list[bytes]] = []
    last = b""
    for token in _token(frame.raw, frame.at):
        if span is None:
            break
        if token.start() == span[0]:
            found[span] = tuple([step[0] for step in steps if step])
            span = next(wanted, None)
        sign = token[0]
        if sign == b"{" or sign == b"[":
            steps.append([b"[]"] if sign == b"[" else [])
        elif sign == b"}" or sign == b"]":
            steps.pop()
        elif sign == b":":
            steps[-1][:] = [last]
        elif sign != b"," and token[1] is not None:
            last = token[1]
    return found


def path_of(keys: Path) -> str:
    """A path as tables write it, fit for a log: what can be no name is told as `*`."""
    told = [key.decode() if key == b"[]" or _is_name(key) else "*" for key in keys[:_STEPS]]
    return ".".join(told).replace(".[]", "[]")


@lru_cache(maxsize=1024)
def is_of_others(keys: Path) -> bool:
    """Whether a path says by a name in it that others wrote what stands there: sources, notices, errors."""
    return any(_of_others(b" ".join(_words(key)).lower()) for key in keys)
