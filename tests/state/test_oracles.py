"""The arithmetic beside two libraries of the field, where they mean the same: hits that are spent at once.

Neither knows reservations, so each hit here is a lease that is settled as it was reserved.
"""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch

import throttled
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.storage import memory as limits_memory
from limits.strategies import SlidingWindowCounterRateLimiter
from throttled import RateLimiterType, Throttled, rate_limiter

from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import MemoryStore

ANNE = Account("anne")
START_S = 6000.0


class Ours:
    """One limit of the memory store, hit by hit."""

    def __init__(self, limit: Limit) -> None:
        self.store = MemoryStore()
        self.limit = limit

    def hit(self, units: int, now: float) -> Admission:
        answer = self.store.admit(ANNE, (Charge(self.limit, ANNE.scope, units),), now)
        if answer.lease is not None:
            self.store.settle(answer.lease, (), None, now)
        return answer


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 130)), max_size=60))
@settings(deadline=None)
def test_even_windows_are_the_gcra_of_throttled(hits):
    """Quarters of a second and one unit a second, so that no float rounds."""
    now = START_S
    ours = Ours(Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=120.0))
    with patch.object(throttled.utils, "now_mono_f", lambda: now):
        quota = rate_limiter.per_min(60, burst=120)
        theirs = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=throttled.store.MemoryStore())
        for quarters, units in hits:
            now += quarters / 4
            granted, found = ours.hit(units, now), theirs.limit("anne", cost=units)
            assert granted.granted is not found.limited
            assert int(granted.limits[0].remaining) == found.state.remaining
            if found.limited and units <= 120:
                assert granted.retry_after_s == found.state.retry_after


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 13)), max_size=60))
@settings(deadline=None)
def test_sliding_windows_are_the_two_counters_of_limits(hits):
    """They round what counts down to a whole unit: in steps of six units and seconds nothing is between."""
    now = START_S
    ours = Ours(Limit("minute", "tokens", amount=600.0, per_s=60.0, burst=600.0, window="sliding"))
    with patch.object(limits_memory, "time", SimpleNamespace(time=lambda: now)):
        theirs, item = SlidingWindowCounterRateLimiter(MemoryStorage()), RateLimitItemPerMinute(600)
        for sixes, minutes in hits:
            now += 6 * sixes
            units = 60 * minutes
            assert ours.hit(units, now).granted == theirs.hit(item, "anne", cost=units)
