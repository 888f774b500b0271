"""The arithmetic of limits with reservations: pure functions over floats, the same in every store.

A bucket is what was `spent` and what is `held`. What was spent comes back with time, as the limit's
window says: evenly (GCRA), or as a window slides over it (`sliding`, the count of the window under
way and the weighted one before it). `held` are units that are reserved and not yet spent; they do
not come back. A reservation fits when what was spent and all that is held stay within the burst, so
settling it, at any time and for no more than was held, can never break the limit. A bucket with
nothing held and `spent.until` in the past says nothing and may be forgotten.

All functions take a `Limit` with `amount` and `per_s` above 0, and times in seconds of one clock.
The unit `streams` is never spent: it is held while a lease lives, up to `burst` at once.
"""

from __future__ import annotations

from hardening.facts import Limit, LimitState, quickly
from hardening.state import sliding
from hardening.state.spent import DUST, UNSPENT, Spent

__all__ = [
    "UNSPENT",
    "Spent",
    "debt",
    "fits",
    "give_back",
    "release",
    "retry_after_s",
    "spend",
    "state_of",
]


def debt(limit: Limit, spent: Spent, now: float) -> float:
    """Units that were spent and have not come back."""
    behind_s = spent.until - now
    if behind_s <= 0.0:
        return 0.0
    return (
        sliding.debt(limit, spent, now)
        if limit.window == "sliding"
        else behind_s * limit.amount / limit.per_s
    )


def fits(limit: Limit, spent: Spent, held: float, now: float) -> bool:
    """Whether a bucket that holds `held` units, the new ones included, is within its limit."""
    if spent.until > now:
        held += debt(limit, spent, now)
    return held <= limit.burst + DUST


def spend(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """What was spent after `units` more were used."""
    if units <= 0.0 or limit.unit == "streams":
        return spent
    if limit.window == "sliding":
        return sliding.spend(limit, spent, units, now)
    return Spent(max(now, spent.until) + units * limit.per_s / limit.amount)


def give_back(limit: Limit, spent: Spent, units: float, now: float) -> Spent:
    """What was spent after `units` of it were given back; no more than there is."""
    if units <= 0.0 or spent.until <= now:
        return spent
    if limit.window == "sliding":
        return sliding.give_back(limit, spent, units, now)
    return Spent(max(now, spent.until - units * limit.per_s / limit.amount))


def release(held: float, units: float) -> float:
    """The new `held` after a reservation of `units` is over."""
    left = held - units
    return left if left > DUST else 0.0


def retry_after_s(limit: Limit, spent: Spent, held: float, units: float, now: float) -> float | None:
    """Seconds until `units` more fit, if all that is held until then gets spent now.

    None where waiting does not tell: streams end when they end, and what is above the burst never fits.
    """
    if limit.unit == "streams" or units > limit.burst:
        return None
    if limit.window == "sliding":
        return sliding.retry_after_s(limit, spend(limit, spent, held, now), units, now)
    debt_s = max(spent.until - now, 0.0)
    return max(0.0, debt_s + (held + units - limit.burst) * limit.per_s / limit.amount)


def state_of(limit: Limit, spent: Spent, held: float, now: float) -> LimitState:
    """What is left now, and in how many seconds all is back if what is held gets spent."""
    if limit.unit == "streams":
        return LimitState(limit, max(0.0, limit.burst - held), 0.0)
    owed = held + debt(limit, spent, now) if spent.until > now else held
    left = limit.burst - owed
    if limit.window == "even":
        reset_s = owed * limit.per_s / limit.amount
    else:
        reset_s = max(0.0, (sliding.spend(limit, spent, held, now) if held > 0.0 else spent).until - now)
    return quickly(LimitState, (limit, left if left > 0.0 else 0.0, reset_s))  # noqa: FURB136, a call of max costs more
