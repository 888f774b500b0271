"""The share of accounts that are in a band, of those seen lately: what tells that thresholds do not fit the traffic."""

from __future__ import annotations

from collections import OrderedDict

from hardening.policy import Policy

LATELY = 4096
"""Accounts that are remembered, the ones seen last."""

LEAST = 200
"""Accounts below which no share is told: of few, one is many."""

_FALLEN = 0.8  # of the bound: below, the alarm is over


class FlaggedShare:
    """Whether more than `bound` of the accounts seen lately are in a band; it holds until the share has clearly fallen."""

    __slots__ = ("_bound", "_known", "flagged", "is_above")

    def __init__(self) -> None:
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._bound = 0.0
        self.flagged = 0
        self.is_above = False

    @property
    def seen(self) -> int:
        """The accounts that are remembered."""
        return len(self._known)

    def acting(self, policy: Policy) -> Policy:
        """What decides of a policy: without its bands where they would act on too many and it says so."""
        return policy.without_bands() if self.is_above and policy.risk.above_max == "shadow" else policy

    def note(self, account: str, *, banded: bool, bound: float) -> bool:
        """Take one request of an account; whether that changed `is_above`."""
        known = self._known
        before = known.get(account)
        if before is banded and bound == self._bound:
            known.move_to_end(account)
            return False  # as nearly always
        known[account] = banded
        known.move_to_end(account)
        self._bound = bound
        self.flagged += banded - (before or False)
        if len(known) > LATELY:
            self.flagged -= known.popitem(last=False)[1]
        enough = len(known) >= LEAST
        edge = len(known) * bound
        above = enough and (self.flagged > edge * _FALLEN if self.is_above else self.flagged > edge)
        changed, self.is_above = above is not self.is_above, above
        return changed
