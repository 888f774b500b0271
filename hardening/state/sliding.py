"""The sliding window of two counters: what was spent in this window, and the one before by its share.

Windows are cut at multiples of `per_s`. Of what was spent in the last one there counts the share by
which it still overlaps the `per_s` seconds up to now, as if it had been spent evenly. So no cut window
ever holds more than the amount, and no stretch of `per_s` seconds twice as much. What counts falls
without a jump, also where one window follows another; so what is within the limit stays within it.

What was used beyond the amount is a debt, and no passing window forgives it: of each window a whole amount
counts in the next one as ever, and what is beyond that as if it had been spent there.
"""

from __future__ import annotations

import math

from hardening.facts import Limit
from hardening.state.spent import DUST, UNSPENT, Spent


def debt(limit: Limit, spent: Spent, now: float) -> float:
    """Units that count at `now`."""
    window, used, before = _counters(limit, spent, now)
    return used + before * _share(limit, window, now)


def spend(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """The counters after `units` more were used."""
    window, used, before = _counters(limit, spent, now)
    return _spent(limit, window, used + units, before)


def give_back(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """The counters after `units` were given back, those first that would count longest."""
    window, used, before = _counters(limit, spent, now)
    left = used - units
    if left > 0.0:
        return _spent(limit, window, left, before)
    share = _share(limit, window, now)
    before = before + left / share if share > 0.0 else 0.0
    return _spent(limit, window, 0.0, before) if before > 0.0 else UNSPENT


def retry_after_s(limit: Limit, spent: Spent, units: float, now: float) -> float:
    """Seconds until `units`, of which a whole limit has as many, fit; nothing else may be held."""
    window, used, before = _counters(limit, spent, now)
    room = limit.burst - units
    if used <= room:
        passed = 1.0 - ((room - used) / before if before > 0.0 else 1.0)
    else:
        later = max(0, math.ceil((used - room) / limit.amount) - 1)  # windows that must pass whole
        used -= later * limit.amount
        passed = 1.0 + later + (used - room) / min(used, limit.amount)
    return max(0.0, (window + passed) * limit.per_s - now)


def _counters(limit: Limit, spent: Spent, now: float) -> tuple[float, float, float]:
    """The number of the window of `now`, what counts as spent in it, and in the one before.

    To a clock that went back nothing comes back: then they are those of the last window in which anything was spent.
    """
    used, before = spent.used, spent.before
    window, last = now // limit.per_s, round(spent.until / limit.per_s) - 1.0 - _lasts(limit, used)
    if window <= last:
        return last, used, before
    used = max(0.0, used - (window - last - 1.0) * limit.amount)
    return window, max(0.0, used - limit.amount), min(used, limit.amount)


def _share(limit: Limit, window: float, now: float) -> float:
    """How much of the window before still overlaps the stretch that counts."""
    return min(1.0, max(0.0, window + 1.0 - now / limit.per_s))


def _spent(limit: Limit, window: float, used: float, before: float) -> Spent:
    return Spent((window + 1.0 + _lasts(limit, used)) * limit.per_s, used, before)


def _lasts(limit: Limit, used: float) -> float:
    """The windows after its own in which any of `used` counts; one too where there is none."""
    return max(1.0, float(math.ceil((used - DUST) / limit.amount)))
