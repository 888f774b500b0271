"""Numbers that frames carry: the literal around one, for whatever number comes next."""

from __future__ import annotations

_DIGITS = tuple(b"%d" % digit for digit in range(10))


class Numbered:
    """A literal in which one number stands, written for ten numbers at a time.

    `values` are those of `tens`, by their last digit.
    """

    __slots__ = ("_before", "_ends", "tens", "values")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._ends = [digit + after for digit in _DIGITS]
        self.turn(0)

    def turn(self, tens: int) -> list[bytes]:
        """Write the literals of the numbers from ten times `tens`, which is not negative, on."""
        stem = self._before + b"%d" % tens if tens else self._before
        self.tens = tens
        self.values = [stem + end for end in self._ends]
        return self.values
