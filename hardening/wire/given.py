"""What calls of tools hand over, in the shape of any format: the strings of their arguments."""

from __future__ import annotations

from collections.abc import Iterator

_NAMES = frozenset({"id", "type", "name"})  # of a call; some servers say them again with each piece


def given_in(value: object) -> Iterator[str]:
    """The strings in a value in order, however deep, apart from those that name a call or its function."""
    waiting = [(value, False)]
    while waiting:
        one, of_call = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += [(each, False) for each in reversed(one)]
        elif isinstance(one, dict):
            named = of_call or "function" in one
            told = [(key, each) for key, each in one.items() if not (named and key in _NAMES)]
            waiting += [(each, key == "function") for key, each in reversed(told)]
