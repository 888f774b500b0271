"""The names of a request's headers, and what they come to: clients send the same ones each time, so it is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from hardening.asgi.chosen import may_name
from hardening.asgi.headers import NOT_ASKED

MOST_LISTS, MOST_BYTES = 256, 2048
"""Lists that are remembered, and how long one may be."""

_name = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Names:
    """What a list of names comes to.

    `lower` says that all are in lower case, `chooses` that one may name a model, `kept` by place which the app hears of
    with a body that stays as it came.
    """

    lower: bool
    chooses: bool
    kept: tuple[bool, ...]


REMEMBERED: dict[tuple[bytes, ...], Names] = {}


def names_of(headers: Iterable[tuple[bytes, bytes]]) -> Names:
    """What the names of these headers come to."""
    names = tuple(map(_name, headers))
    known = REMEMBERED.get(names)
    if known is None:
        known = _worked_out(names)
        if sum(map(len, names)) <= MOST_BYTES:
            if len(REMEMBERED) >= MOST_LISTS:
                REMEMBERED.clear()
            REMEMBERED[names] = known
    return known


def _worked_out(names: tuple[bytes, ...]) -> Names:
    plain = [name.lower() for name in names]
    return Names(names == tuple(plain), may_name(plain), tuple([name not in NOT_ASKED for name in plain]))
