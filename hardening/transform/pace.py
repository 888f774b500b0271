"""The greatest speed of an answer: how long to rest after what has left."""

from __future__ import annotations

AHEAD_S = 1.0
"""So much of an answer may leave at once: its first words do not wait, and pieces need not be even."""

LONGEST_REST_S = 600.0
"""The most that one piece, or an answer that comes whole, is kept: clients wait no longer than that."""


class Pace:
    """Tokens a second of one answer; told how many bytes of it have left so far."""

    __slots__ = ("_bytes", "_bytes_per_s", "_due")

    def __init__(self, per_s: float, *, bytes_per_token: float) -> None:
        self._bytes_per_s = per_s * bytes_per_token
        self._bytes = 0
        self._due = 0.0  # when all that left would have left at the pace

    def rest_s(self, size: int, now: float) -> float:
        """Seconds to wait before more may leave, `size` bytes of text having left by `now`."""
        self._due = max(self._due, now) + (size - self._bytes) / self._bytes_per_s
        self._bytes = size
        return _bounded(self._due - now - AHEAD_S)

    def whole_rest_s(self, size: int, began: float, now: float) -> float:
        """Seconds to keep an answer of `size` bytes that comes whole and was asked for at `began`."""
        return _bounded(began + size / self._bytes_per_s - now - AHEAD_S)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_REST_S)
