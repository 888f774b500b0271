"""When a store that failed is asked again: a circuit breaker, pure, on the times that it is told."""

from __future__ import annotations

import random
from collections.abc import Callable

_FAILURES = 3
"""Failures in a row that open it: one slow answer is no outage."""

_FIRST_S = 0.5
_LONGEST_S = 8.0
"""How long nothing is asked after it opened, and at most: twice as long after each failure."""


class Breaker:
    """Closed, it lets every call pass; open, one call an interval, as a probe.

    The intervals are drawn at random between half and whole, so that many workers do not ask a store
    that comes back all at once.
    """

    __slots__ = ("_interval_s", "_random", "_until", "failures")

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._random = draw
        self.failures = 0
        """Calls in a row that were not answered."""
        self._interval_s = _FIRST_S
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self.failures >= _FAILURES

    def lets_pass(self, now: float) -> bool:
        """Whether this call may be made; where it is a probe, the next one waits for an interval."""
        if self.failures < _FAILURES:
            return True
        if now < self._until:
            return False
        self._until = now + self._drawn_s()
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until a call may pass."""
        return max(0.0, self._until - now) if self.is_open else 0.0

    def worked(self) -> None:
        """A call was answered: close."""
        self.failures = 0
        self._interval_s = _FIRST_S

    def failed(self, now: float) -> None:
        """A call was not answered; enough of them in a row, or a probe, open it for an interval."""
        was_open = self.is_open
        self.failures += 1
        if self.is_open:
            if was_open:
                self._interval_s = min(2 * self._interval_s, _LONGEST_S)
            self._until = now + self._drawn_s()

    def _drawn_s(self) -> float:
        return self._interval_s * (0.5 + 0.5 * self._random())
