"""What goes to the script of the Redis store and what comes back, packed; the layouts stand in lua/layout.lua.

Numbers go as doubles: written as decimals they would be rounded on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from hardening.facts import Limit, Prior, Standing
from hardening.state.accounts import AccountState, Block, Flag, Kept
from hardening.state.buckets import Spent
from hardening.state.standing import SLOTS, Evidence, Record, Scale, record_of

Act = Literal[
    "admit", "extend", "settle", "undo", "release", "look", "reset", "forget", "grant", "block", "flag"
]

_HEAD = struct.Struct("<8sdddB")
_NUMBERS = struct.Struct("<Bdddd")
_REPLY = struct.Struct("<BBBddIdd")
_BUCKET = struct.Struct("<Bdddd")
_BLOCK = struct.Struct("<dB")
_FLAG = struct.Struct("<ddB")
_RECORD = struct.Struct("<ddddi")
_CALIBRATION = struct.Struct("<ddddd")
_JUDGED = struct.Struct("<BiB")
_PAIR = struct.Struct("<dd")
_UNTIL = struct.Struct("<dd")
_DOUBLE = struct.Struct("<d")
_COUNT = struct.Struct("<I")
_KEPT = struct.Struct("<ddddI")
_EVEN, _SLIDING, _STREAMS = 0, 1, 2
_NOT_KNOWN = "?"


class Told(NamedTuple):
    """One bucket as the server left it, and whether the charge on it fitted."""

    fits: bool
    spent: Spent
    held: float


class Reply(NamedTuple):
    """The script's answer; `known` says whether the lease was there, `now` is the server's time.

    `is_spare` says that the charges of the model went to the scope that models beyond the bound share.
    `blocked_s` is how long the account stays blocked, 0 for one that is not; `band` is that in which it
    is, and `due` a higher one that begins with its next conversation, empty where there is none; `peak` is as in `Standing`.
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
    due: str = ""
    peak: str | None = None
    buckets: tuple[Told, ...] = ()

    @property
    def standing(self) -> Standing:
        """How the account stands."""
        return Standing(self.risk, self.band or None, self.requests, self.age_s, self.due or None, self.peak)


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


def evidence_of(evidence: Evidence | None) -> bytes:
    """The argument of a settlement that says something of its account."""
    if not evidence:
        return b""
    nats, weights = evidence.nats, evidence.scale.calibration.weights
    calibration, bands = _scale_of(evidence.scale)
    pairs = [_PAIR.pack(weights.get(name, 0.0), one) for name, one in zip(SLOTS, nats, strict=True)]
    return b"".join(
        [
            _DOUBLE.pack(evidence.start),
            calibration,
            _JUDGED.pack(evidence.entered, evidence.delay, len(nats)),
            _text(evidence.under),
            *pairs,
            bands,
        ]
    )


@lru_cache(maxsize=16)
def _scale_of(scale: Scale) -> tuple[bytes, bytes]:
    """What stands before and behind the evidence, the same for all requests of a policy."""
    by = scale.calibration
    calibration = _CALIBRATION.pack(by.half_life_s, by.floor, by.cap, by.least, scale.keep_s)
    return calibration, b"".join(
        [_text(band.name) + _PAIR.pack(band.enter, band.leave) for band in scale.bands]
    )


def flag_of(band: str, risk: float, for_s: float, reason: str = "") -> bytes:
    """The argument of a flag; for no time at all it takes one away."""
    text = band.encode()
    return _FLAG.pack(for_s, risk, len(text)) + text + _text(reason)


def block_of(reason: str, for_s: float) -> bytes:
    """The argument of a block; for no time at all it lifts one."""
    text = reason.encode()
    return _BLOCK.pack(for_s, len(text)) + text


def looked(raw: bytes, id: str, scopes: Sequence[str]) -> tuple[Reply, AccountState]:
    """The script's answer to an operator, with the account as it lies in these scopes.

    Raises:
        struct.error: that is no answer of the script.
    """
    reply, at = _begun(raw)
    (flagged_s,) = _DOUBLE.unpack_from(raw, at)
    reason, at = _read_text(raw, at + _DOUBLE.size)
    why, at = _read_text(raw, at)
    record, at = _read_record(raw, at + 1) if raw[at] else (None, at + 1)
    kept = []
    for scope in scopes:
        (count,) = _COUNT.unpack_from(raw, at)
        at += _COUNT.size
        for _ in range(count):
            key, at = _read_text(raw, at)
            until, used, before, held, leases = _KEPT.unpack_from(raw, at)
            kept.append(Kept(scope, key, Spent(until, used, before), held, leases))
            at += _KEPT.size
    return reply, AccountState(
        id,
        reply.requests,
        reply.age_s,
        reply.now,
        tuple(one for one in kept if one.leases or one.spent.until > reply.now),
        Block(reason, reply.blocked_s) if reply.blocked_s > 0.0 else None,
        Flag(reply.band, reply.risk, flagged_s, why) if flagged_s > 0.0 else None,
        record,
    )


def _read_record(raw: bytes, at: int) -> tuple[Record, int]:
    since, until, weight, risk, wait = _RECORD.unpack_from(raw, at)
    band, at = _read_text(raw, at + _RECORD.size)
    due, at = _read_text(raw, at)
    end = at + 1 + raw[at] * _DOUBLE.size
    sums = [one for (one,) in _DOUBLE.iter_unpack(raw[at + 1 : end])]
    (peak_until,) = _DOUBLE.unpack_from(raw, end)
    peak, end = _read_text(raw, end + _DOUBLE.size)
    return record_of(since, until, weight, risk, wait, band, due, sums, peak, peak_until), end


def _begun(raw: bytes) -> tuple[Reply, int]:
    """What every answer begins with, and where that ends."""
    granted, known, spare, now, age_s, requests, blocked_s, risk = _REPLY.unpack_from(raw)
    band, at = _read_text(raw, _REPLY.size)
    due, at = _read_text(raw, at)
    peak, at = _read_text(raw, at)
    told = None if peak == _NOT_KNOWN else peak
    return Reply(
        bool(granted), bool(known), bool(spare), now, age_s, requests, blocked_s, risk, band, due, told
    ), at


def _read_text(raw: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it, and where it ends."""
    end = at + 1 + raw[at]
    return raw[at + 1 : end].decode(), end


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(1, "little") + data


def _numbers(limit: Limit, amount: float) -> tuple[int, float, float, float, float]:
    kind = _STREAMS if limit.unit == "streams" else _SLIDING if limit.window == "sliding" else _EVEN
    return kind, limit.amount, limit.per_s, limit.burst, amount
