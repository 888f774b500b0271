"""Strings that no table knows: which of them may be a model's own words, and where they stand."""

from __future__ import annotations

import re

from hardening.wire.frame import Frame
from hardening.wire.roles import Role

Span = tuple[int, int]

_NOTES = frozenset({Role.FAILED, Role.NOTE})
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
    noted = [(site.start, site.end) for site in frame.sites if site.role in _NOTES]
    return [
        (start, end)
        for start, end in frame.strings
        if not any(first <= start and end <= last for first, last in noted)
    ]


def key_before(frame: Frame, at: int) -> bytes:
    """The nearest key before `at`: of the value that stands there, or of one around or beside it.

    It is found without reading what stands before, so that a stream's strings can be grouped at little cost.
    """
    end = max(0, frame.raw.rfind(b'":', frame.at, at))
    start = frame.raw.rfind(b'"', frame.at, end) + 1
    return frame.raw[max(start, end - _KEY_BYTES) : end]


def keys_to(frame: Frame, at: int) -> list[bytes]:
    """The keys, and `[]` for each list, that lead from the root of a frame to the value at `at`."""
    steps: list[list[bytes]] = []
    last = b""
    for token in _token(frame.raw, frame.at, at):
        sign = token[0]
        if sign == b"{" or sign == b"[":
            steps.append([b"[]"] if sign == b"[" else [])
        elif sign == b"}" or sign == b"]":
            steps.pop()
        elif sign == b":":
            steps[-1][:] = [last]
        elif sign != b"," and token[1] is not None:
            last = token[1]
    return [step[0] for step in steps if step]


def path_of(keys: list[bytes]) -> str:
    """A path as tables write it, fit for a log: what can be no name is told as `*`."""
    told = [key.decode() if key == b"[]" or _is_name(key) else "*" for key in keys[:_STEPS]]
    return ".".join(told).replace(".[]", "[]")


def is_of_others(keys: list[bytes]) -> bool:
    """Whether a path says by a name in it that others wrote what stands there: sources, notices, errors."""
    return any(_of_others(b" ".join(_words(key)).lower()) for key in keys)
