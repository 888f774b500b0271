"""The arithmetic of limits: GCRA with reservations, pure functions over floats, the same in every store.

A bucket is two numbers. `spent_until` is the theoretical arrival time of GCRA: the moment at which
all that was spent is allowed again. `held` are units that are reserved and not yet spent; they do
not drain. A reservation fits when what was spent and all that is held stay within the burst, so
settling it, at any time and for no more than was held, can never break the limit. A bucket with
nothing held and `spent_until` in the past says nothing and may be forgotten.

All functions take a `Limit` with `amount` and `per_s` above 0, and times in seconds of one clock.
The unit `streams` is never spent: it is held while a lease lives, up to `burst` at once.
"""

from __future__ import annotations

from hardening.facts import Limit, LimitState

_DUST = 1e-6
"""Units below which what is held is a rounding error of additions and subtractions."""


def fits(limit: Limit, spent_until: float, held: float, now: float) -> bool:
    """Whether a bucket that holds `held` units, the new ones included, is within its limit."""
    debt_s = spent_until - now
    if debt_s > 0.0:
        held += debt_s * limit.amount / limit.per_s
    return held <= limit.burst + _DUST


def spend(limit: Limit, spent_until: float, units: float, now: float) -> float:
    """The new `spent_until` after `units` were used."""
    if limit.unit == "streams":
        return spent_until
    start = max(now, spent_until)
    return start + units * limit.per_s / limit.amount


def release(held: float, units: float) -> float:
    """The new `held` after a reservation of `units` is over."""
    left = held - units
    return left if left > _DUST else 0.0


def retry_after_s(limit: Limit, spent_until: float, held: float, units: float, now: float) -> float | None:
    """Seconds until `units` more fit, if all that is held until then gets spent now.

    None where waiting does not tell: streams end when they end, and what is above the burst never fits.
    """
    if limit.unit == "streams" or units > limit.burst:
        return None
    debt_s = max(spent_until - now, 0.0)
    return max(0.0, debt_s + (held + units - limit.burst) * limit.per_s / limit.amount)


def state_of(limit: Limit, spent_until: float, held: float, now: float) -> LimitState:
    """What is left now, and in how many seconds all is back if what is held gets spent."""
    if limit.unit == "streams":
        return LimitState(limit, max(0.0, limit.burst - held), 0.0)
    debt_s = spent_until - now if spent_until > now else 0.0
    spacing_s = limit.per_s / limit.amount
    reset_s = debt_s + held * spacing_s
    left = limit.burst - reset_s / spacing_s
    return LimitState(limit, left if left > 0.0 else 0.0, reset_s)  # noqa: FURB136, a call of max costs more
