"""The values that stand in the question, which a summary may name too."""

from __future__ import annotations

import re

_ENDS_BYTES = 8192  # at either end of a request, where its last question stands
_NEAR_BYTES = 1 << 16  # what is looked at at either end of a long request for what belongs to no question
_MOST = 32  # more values than these are a list of guesses, not a question

_cut_word = re.compile(rb"[^ \"\\]*+").match
_value = re.compile(rb"\d[\d.,]*")


class Question:
    """Remembers the ends of a request; looks for values only when asked, which is when a trace ends."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends = b""

    def take(self, body: bytes) -> None:
        """The request as it came."""
        self._ends = body if len(body) <= 2 * _ENDS_BYTES else body[:_ENDS_BYTES] + b" " + body[-_ENDS_BYTES:]

    def values(self) -> frozenset[str]:
        """The numbers in the question; none where somebody listed many to see which are unmasked."""
        found = {value.decode().rstrip(".,") for value in _value.findall(self._ends)}
        return frozenset(found) if len(found) <= _MOST else frozenset()


def near_ends(body: bytes) -> bytes:
    """What stands near either end of a request; all of one that is not long. A word that is cut at the front is left out."""
    if len(body) <= 2 * _NEAR_BYTES:
        return body
    last = body[-_NEAR_BYTES:]
    cut = _cut_word(last)
    return body[:_NEAR_BYTES] + b" " + (last if cut is None else last[cut.end() :])
