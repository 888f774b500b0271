"""Whether one `match` holds for every request for which another does: proven, or not said.

What cannot be proven from the patterns alone is answered with False, so a warning that rests on this is
never wrong about the requests, only silent about some.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from hardening.policy.matching import Texts, glob
from hardening.policy.model import Match

_ALWAYS_THERE = frozenset(("account", "model", "door", "client"))
"""Keys whose fact every request has, so that `*` holds for all of them; a group or header may be missing."""


Patterns = Mapping[str, Texts]
"""The patterns of a match by fact, each header a fact of its own."""


def covers(wide: Match, narrow: Match) -> bool:
    """Whether `wide` is sure to hold wherever `narrow` does."""
    return contains(patterns_of(wide), patterns_of(narrow))


def contains(wide: Patterns, narrow: Patterns) -> bool:
    """As `covers`, of what `patterns_of` gave for both."""
    return all(_covered(key, patterns, narrow.get(key)) for key, patterns in wide.items())


def _covered(key: str, wide: Texts, narrow: Texts | None) -> bool:
    """Whether the patterns for one fact let through all that those of the narrower match do."""
    if narrow is None:
        return key in _ALWAYS_THERE and "*" in wide
    return all(any(_contains(key, outer, pattern) for outer in wide) for pattern in narrow)


def _contains(key: str, outer: str, inner: str) -> bool:
    """Whether every text that `inner` matches is matched by `outer`.

    A * of `inner` can only fall into a * of `outer`, for no other character of a pattern is one; so
    whatever stands for it is covered too.
    """
    if key == "model":
        outer, inner = outer.casefold(), inner.casefold()
    if key == "client" and outer != "*":
        over, under = _network(outer), _network(inner)
        if over is not None and under is not None:
            return over.version == under.version and _within(under, over)
        return outer == inner
    return glob(outer)(inner) if "*" in outer else outer == inner


def _network(pattern: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(pattern)
    except ValueError:
        return None


def _within(under: IPv4Network | IPv6Network, over: IPv4Network | IPv6Network) -> bool:
    first, last = int(over.network_address), int(over.broadcast_address)
    return first <= int(under.network_address) and int(under.broadcast_address) <= last


def patterns_of(match: Match) -> Patterns:
    """The patterns of a match."""
    found = {
        key: patterns
        for key in ("account", "group", "model", "door", "client")
        if (patterns := getattr(match, key)) is not None
    }
    return {**found, **{f"header.{name}": patterns for name, patterns in (match.header or {}).items()}}
