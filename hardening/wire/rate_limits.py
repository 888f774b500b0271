"""What is left of an account's limits, in the headers that each API's clients know.

Sources: OpenAI API reference, rate limits in headers; Anthropic API reference, response headers (both read
2026-11-26). The names are theirs, so that clients and dashboards made for them go on working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from hardening.facts import LimitState, Unit

Headers = list[tuple[bytes, bytes]]

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
"""The last second that can be written; a debt that a server has miscounted may last longer."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How an API tells limits: a name for each of three figures, the units it knows, and how it says a time.

    `name` is filled with `what` (limit, remaining, reset) and `unit`; `reset` writes seconds from now, given
    the seconds since 1970.
    """

    name: str
    units: Mapping[Unit, str]
    reset: Callable[[float, float], str]


def told(style: RateLimits, states: Iterable[LimitState], wall: float) -> Headers:
    """The headers for what is left; of several limits in one unit the one with the least left.

    Units that the API has no name for are not told.
    """
    tightest: dict[str, LimitState] = {}
    for state in states:
        unit = style.units.get(state.limit.unit)
        if unit is not None and (unit not in tightest or state.remaining < tightest[unit].remaining):
            tightest[unit] = state
    found: Headers = []
    for unit, state in tightest.items():
        limit, remaining, reset = _names(style.name, unit)
        found += (
            (limit, b"%d" % state.limit.burst),
            (remaining, b"%d" % state.remaining),
            (reset, style.reset(state.reset_s, wall).encode()),
        )
    return found


@cache
def _names(name: str, unit: str) -> tuple[bytes, bytes, bytes]:
    limit, remaining, reset = (
        name.format(what=what, unit=unit).encode() for what in ("limit", "remaining", "reset")
    )
    return limit, remaining, reset


def _as_duration(seconds: float, wall: float) -> str:
    """As Go writes a duration: `12ms`, `3s`, `6m0s`, `1h0m2s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _as_time(seconds: float, wall: float) -> str:
    """As RFC 3339 has it, in UTC."""
    at = datetime.fromtimestamp(min(wall + seconds, _LAST), UTC)
    told = at.isoformat(timespec="seconds")  # a quarter of strftime
    return told.removesuffix("+00:00") + "Z"


OPENAI = RateLimits("x-ratelimit-{what}-{unit}", {"requests": "requests", "tokens": "tokens"}, _as_duration)
"""What most APIs and gateways write that imitate OpenAI's."""

ANTHROPIC = RateLimits(
    "anthropic-ratelimit-{unit}-{what}",
    {"requests": "requests", "tokens": "tokens", "prompt": "input-tokens", "completion": "output-tokens"},
    _as_time,
)
