"""Numbers that frames carry: the literal around one, for whatever number comes next."""

from __future__ import annotations

_DIGITS = tuple(b"%d" % digit for digit in range(10))


class Numbered:
    """A literal in which one number stands; of ten in a row the common part is written once."""

    __slots__ = ("_before", "_ends", "_stem", "_tens")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._ends = [digit + after for digit in _DIGITS]
        self._tens = 0
        self._stem = before

    def of(self, number: int) -> bytes:
        """The literal with this number, which is not negative."""
        tens = number // 10
        if tens != self._tens:
            self._tens = tens
            self._stem = self._before + b"%d" % tens if tens else self._before
        return self._stem + self._ends[number - 10 * tens]
