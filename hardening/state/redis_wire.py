"""What goes to the script of the Redis store and what comes back, packed; the layouts stand in lua/limits.lua.

Numbers go as doubles: written as decimals they would be rounded on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Literal, NamedTuple

from hardening.facts import Limit
from hardening.state.buckets import Spent

Act = Literal["admit", "extend", "settle", "undo"]

_HEAD = struct.Struct("<8sdddB")
_NUMBERS = struct.Struct("<Bdddd")
_REPLY = struct.Struct("<BBddI")
_BUCKET = struct.Struct("<Bdddd")
_EVEN, _SLIDING, _STREAMS = 0, 1, 2


class Told(NamedTuple):
    """One bucket as the server left it, and whether the charge on it fitted."""

    fits: bool
    spent: Spent
    held: float


class Reply(NamedTuple):
    """The script's answer; `known` says whether the lease was there, `now` is the server's time."""

    granted: bool
    known: bool
    now: float
    age_s: float
    requests: int
    buckets: tuple[Told, ...]


def head(lease_id: bytes, now: float, lease_s: float, remembered_s: float, *, proven: bool) -> bytes:
    """What the script needs beside charges; `now` below 0 means the server's own time."""
    return _HEAD.pack(lease_id, now, lease_s, remembered_s, proven)


def packed(charges: Iterable[tuple[Limit, float]]) -> bytes:
    """Charges of one scope, as limits and units."""
    return b"".join([_limit(limit) + _NUMBERS.pack(*_numbers(limit, amount)) for limit, amount in charges])


def reply_of(raw: bytes) -> Reply:
    """The script's answer, read.

    Raises:
        struct.error: that is no answer of the script.
    """
    granted, known, now, age_s, requests = _REPLY.unpack_from(raw)
    buckets = tuple(
        [
            Told(bool(fits), Spent(until, used, before), held)
            for fits, until, used, before, held in _BUCKET.iter_unpack(raw[_REPLY.size :])
        ]
    )
    return Reply(bool(granted), bool(known), now, age_s, requests, buckets)


def _limit(limit: Limit) -> bytes:
    key = limit.key.encode()
    return len(key).to_bytes(1, "little") + key


def _numbers(limit: Limit, amount: float) -> tuple[int, float, float, float, float]:
    kind = _STREAMS if limit.unit == "streams" else _SLIDING if limit.window == "sliding" else _EVEN
    return kind, limit.amount, limit.per_s, limit.burst, amount
