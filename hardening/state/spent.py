"""What was spent of one limit, as stores keep it: three numbers."""

from __future__ import annotations

from typing import NamedTuple


class Spent(NamedTuple):
    """All that was spent is back at `until`; where nothing was, that is in the past.

    A sliding window counts besides: `used` units in the last window in which anything was, and `before` in the
    one before that. Then `until` is the end of the window after it, or of a later one where `used` is a debt.
    """

    until: float = 0.0
    used: float = 0.0
    before: float = 0.0


UNSPENT = Spent()

DUST = 1e-6
"""Units below which a difference is a rounding error of additions and subtractions."""
