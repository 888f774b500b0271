"""What goes to the script of the Redis store and what comes back, packed; the layouts stand in lua/limits.lua.

Numbers go as doubles: written as decimals they would be rounded on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from hardening.facts import Limit
from hardening.state.accounts import Kept
from hardening.state.buckets import Spent

Act = Literal["admit", "extend", "settle", "undo", "look", "reset", "grant", "block"]

_HEAD = struct.Struct("<8sdddB")
_NUMBERS = struct.Struct("<Bdddd")
_REPLY = struct.Struct("<BBddId")
_BUCKET = struct.Struct("<Bdddd")
_BLOCK = struct.Struct("<dB")
_COUNT = struct.Struct("<I")
_KEPT = struct.Struct("<ddddI")
_EVEN, _SLIDING, _STREAMS = 0, 1, 2


class Told(NamedTuple):
    """One bucket as the server left it, and whether the charge on it fitted."""

    fits: bool
    spent: Spent
    held: float


class Reply(NamedTuple):
    """The script's answer; `known` says whether the lease was there, `now` is the server's time.

    `blocked_s` is how long the account stays blocked, 0 for one that is not.
    """

    granted: bool
    known: bool
    now: float
    age_s: float
    requests: int
    blocked_s: float
    buckets: tuple[Told, ...] = ()


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
    granted, known, now, age_s, requests, blocked_s = _REPLY.unpack_from(raw)
    buckets = tuple(
        [
            Told(bool(fits), Spent(until, used, before), held)
            for fits, until, used, before, held in _BUCKET.iter_unpack(raw[_REPLY.size :])
        ]
    )
    return Reply(bool(granted), bool(known), now, age_s, requests, blocked_s, buckets)


def block_of(reason: str, for_s: float) -> bytes:
    """The argument of a block; for no time at all it lifts one."""
    text = reason.encode()
    return _BLOCK.pack(for_s, len(text)) + text


def looked(raw: bytes, scopes: Sequence[str]) -> tuple[Reply, str, tuple[Kept, ...]]:
    """The script's answer to an operator: the reason of the block, and every limit of these scopes.

    Raises:
        struct.error: that is no answer of the script.
    """
    granted, known, now, age_s, requests, blocked_s = _REPLY.unpack_from(raw)
    begin = _REPLY.size + 1
    at = begin + raw[begin - 1]
    reason, kept = raw[begin:at].decode(), []
    for scope in scopes:
        (count,) = _COUNT.unpack_from(raw, at)
        at += _COUNT.size
        for _ in range(count):
            begin = at + 1
            at = begin + raw[begin - 1]
            until, used, before, held, leases = _KEPT.unpack_from(raw, at)
            kept.append(Kept(scope, raw[begin:at].decode(), Spent(until, used, before), held, leases))
            at += _KEPT.size
    reply = Reply(bool(granted), bool(known), now, age_s, requests, blocked_s)
    return reply, reason, tuple(one for one in kept if one.leases or one.spent.until > now)


def _limit(limit: Limit) -> bytes:
    key = limit.key.encode()
    return len(key).to_bytes(1, "little") + key


def _numbers(limit: Limit, amount: float) -> tuple[int, float, float, float, float]:
    kind = _STREAMS if limit.unit == "streams" else _SLIDING if limit.window == "sliding" else _EVEN
    return kind, limit.amount, limit.per_s, limit.burst, amount
