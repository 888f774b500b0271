"""What goes to the script of the Redis store and what comes back, packed; the layouts stand in lua/layout.lua.

Numbers go as doubles: written as decimals they would be rounded on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from hardening.facts import Limit, Prior
from hardening.state.accounts import Kept
from hardening.state.buckets import Spent

Act = Literal["admit", "extend", "settle", "undo", "release", "look", "reset", "grant", "block", "flag"]

_HEAD = struct.Struct("<8sdddB")
_NUMBERS = struct.Struct("<Bdddd")
_REPLY = struct.Struct("<BBBddIddB")
_BUCKET = struct.Struct("<Bdddd")
_BLOCK = struct.Struct("<dB")
_FLAG = struct.Struct("<ddB")
_UNTIL = struct.Struct("<dd")
_DOUBLE = struct.Struct("<d")
_COUNT = struct.Struct("<I")
_KEPT = struct.Struct("<ddddI")
_EVEN, _SLIDING, _STREAMS = 0, 1, 2


NEW = "+"
"""What begins the name under which the units of new accounts in a band are sent; no band is called so."""


class Told(NamedTuple):
    """One bucket as the server left it, and whether the charge on it fitted."""

    fits: bool
    spent: Spent
    held: float


class Reply(NamedTuple):
    """The script's answer; `known` says whether the lease was there, `now` is the server's time.

    `is_spare` says that the charges of the model went to the scope that models beyond the bound share.
    `blocked_s` is how long the account stays blocked, 0 for one that is not; `band` is that in which an
    operator has put it, empty where none has.
    """

    granted: bool
    known: bool
    is_spare: bool
    now: float
    age_s: float
    requests: int
    blocked_s: float
    risk: float = 0.0
    band: str = ""
    buckets: tuple[Told, ...] = ()


def head(lease_id: bytes, now: float, lease_s: float, remembered_s: float, *, proven: bool) -> bytes:
    """What the script needs beside charges; `now` below 0 means the server's own time."""
    return _HEAD.pack(lease_id, now, lease_s, remembered_s, proven)


def packed(charges: Iterable[tuple[Limit, float]]) -> bytes:
    """Charges of one scope, as limits and units."""
    return b"".join([_text(limit.key) + _NUMBERS.pack(*_numbers(limit, amount)) for limit, amount in charges])


def reply_of(raw: bytes) -> Reply:
    """The script's answer, read.

    Raises:
        struct.error: that is no answer of the script.
    """
    reply, at = _begun(raw)
    buckets = tuple(
        [
            Told(bool(fits), Spent(until, used, before), held)
            for fits, until, used, before, held in _BUCKET.iter_unpack(raw[at:])
        ]
    )
    return reply._replace(buckets=buckets)


def priced(units: Mapping[str, Iterable[float]], prior: Prior | None = None) -> bytes:
    """What the charges of a call come to in each band, in the order in which the charges go; nothing for no band.

    `prior` tells who is new, for whom what begins with `NEW` counts.
    """
    if not units:
        return b""
    until = (0.0, 0.0) if prior is None else (float(prior.requests), prior.age_s)
    every = [_text(band) + b"".join([_DOUBLE.pack(one) for one in each]) for band, each in units.items()]
    return _UNTIL.pack(*until) + b"".join(every)


def flag_of(band: str, risk: float, for_s: float) -> bytes:
    """The argument of a flag; for no time at all it takes one away."""
    text = band.encode()
    return _FLAG.pack(for_s, risk, len(text)) + text


def block_of(reason: str, for_s: float) -> bytes:
    """The argument of a block; for no time at all it lifts one."""
    text = reason.encode()
    return _BLOCK.pack(for_s, len(text)) + text


def looked(raw: bytes, scopes: Sequence[str]) -> tuple[Reply, str, float, tuple[Kept, ...]]:
    """The script's answer to an operator: why it is blocked, how long it is in its band, every limit of these scopes.

    Raises:
        struct.error: that is no answer of the script.
    """
    reply, at = _begun(raw)
    (flagged_s,) = _DOUBLE.unpack_from(raw, at)
    begin = at + _DOUBLE.size + 1
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
    return reply, reason, flagged_s, tuple(one for one in kept if one.leases or one.spent.until > reply.now)


def _begun(raw: bytes) -> tuple[Reply, int]:
    """What every answer begins with, and where that ends."""
    granted, known, spare, now, age_s, requests, blocked_s, risk, length = _REPLY.unpack_from(raw)
    at = _REPLY.size + length
    band = raw[_REPLY.size : at].decode()
    return Reply(bool(granted), bool(known), bool(spare), now, age_s, requests, blocked_s, risk, band), at


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(1, "little") + data


def _numbers(limit: Limit, amount: float) -> tuple[int, float, float, float, float]:
    kind = _STREAMS if limit.unit == "streams" else _SLIDING if limit.window == "sliding" else _EVEN
    return kind, limit.amount, limit.per_s, limit.burst, amount
