"""The sliding window of two counters: what was spent in this window, and the one before by its share.

Windows are cut at multiples of `per_s`. Of what was spent in the last one there counts the share by
which it still overlaps the `per_s` seconds up to now, as if it had been spent evenly. So no cut window
ever holds more than the amount, and no stretch of `per_s` seconds twice as much. What counts falls
without a jump, also where one window follows another; so what is within the limit stays within it.

What was used beyond the amount is a debt, and no passing window forgives it: the counters are then those of
the window in which the rest of it counts, with a whole amount in each one before. So a debt falls evenly, by
the amount in each `per_s`.
"""

from __future__ import annotations

from hardening.facts import Limit
from hardening.state.spent import DUST, UNSPENT, Spent


def debt(limit: Limit, spent: Spent, now: float) -> float:
    """Units that count at `now`."""
    window = now // limit.per_s
    last = _window(limit, spent)
    used, before = _counts(limit, spent, window)
    if window < last and not _owes(limit, spent, window):
        return used + before  # a clock that went back gives nothing back
    return used + before * max(0.0, max(window, last) + 1.0 - now / limit.per_s)


def spend(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """The counters after `units` more were used."""
    now_in = now // limit.per_s
    total = debt(limit, spent, now) + units
    if total > limit.amount + DUST or _owes(limit, spent, now_in):
        return _owing(limit, total, now)
    window = max(now_in, _window(limit, spent))
    used, before = _counts(limit, spent, window)
    return Spent((window + 2.0) * limit.per_s, used + units, before)


def give_back(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """The counters after `units` were given back, those first that would count longest."""
    now_in = now // limit.per_s
    if _owes(limit, spent, now_in):
        return _owing(limit, max(0.0, debt(limit, spent, now) - units), now)
    window = max(now_in, _window(limit, spent))
    used, before = _counts(limit, spent, window)
    share = min(1.0, max(0.0, window + 1.0 - now / limit.per_s))
    left = used - units
    if left > 0.0:
        return Spent((window + 2.0) * limit.per_s, left, before)
    before = before + left / share if share > 0.0 else 0.0
    return Spent((window + 2.0) * limit.per_s, 0.0, before) if before > 0.0 else UNSPENT


def retry_after_s(limit: Limit, spent: Spent, units: float, now: float) -> float:
    """Seconds until `units`, of which a whole limit has as many, fit; nothing else may be held."""
    per_s, window = limit.per_s, max(now // limit.per_s, _window(limit, spent))
    used, before = _counts(limit, spent, window)
    room = limit.burst - units
    if used <= room:
        share = (room - used) / before if before > 0.0 else 1.0
        at = (window + 1.0 - share) * per_s
    else:
        at = (window + 2.0 - room / used) * per_s
    return max(0.0, at - now)


def _owing(limit: Limit, total: float, now: float) -> Spent:
    """The counters under which `total` units count now and fall by the amount in each `per_s`."""
    amount, window = limit.amount, now // limit.per_s
    share = window + 1.0 - now / limit.per_s
    beyond = total - amount * share
    if beyond <= 0.0:
        return Spent((window + 2.0) * limit.per_s, 0.0, total / share) if total > 0.0 else UNSPENT
    ahead = beyond // amount
    return Spent((window + ahead + 2.0) * limit.per_s, beyond - ahead * amount, amount)


def _owes(limit: Limit, spent: Spent, window: float) -> bool:
    """Whether the counters are those of a debt, which is to be paid in a later window than this one."""
    return spent.before >= limit.amount and _window(limit, spent) > window


def _window(limit: Limit, spent: Spent) -> float:
    """The number of the window that `used` counts."""
    return round(spent.until / limit.per_s) - 2.0


def _counts(limit: Limit, spent: Spent, window: float) -> tuple[float, float]:
    """What was spent in this window and in the one before."""
    steps = window - _window(limit, spent)
    if steps <= 0.0:
        return spent.used, spent.before
    return (0.0, spent.used) if steps == 1.0 else (0.0, 0.0)
