"""Answers of one vector that are known by the bytes around it: compared, where a full reading would cost more.

Most embeddings are asked for one at a time, and what stands around the vector is the same from one answer to
the next but for the token counts. An answer that was read in full is remembered as such a mould. The next
one that fits is of the same structure: what stands in the vector's place is read to its last byte by who
puts it on a grid, and the counts by a parser.
"""

from __future__ import annotations

from typing import NamedTuple

from hardening.errors import WireError
from hardening.events import UsageSeen, Vector
from hardening.transform.chain import Chain
from hardening.transform.drift import Drift
from hardening.transform.tally import Tally
from hardening.wire.around import DIGITS
from hardening.wire.frame import Frame
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.usage import usage_seen

_MOST = 16  # of one format; a server has a few models, and writes each of their answers alike
_AROUND_BYTES = 2048
_CLOSED_BY = {b"[": b"]", b'"': b'"'}


class _Mould(NamedTuple):
    """The bytes before a vector, its first one, and those behind it: up to the counts, and from there on.

    `residue` is what is left of the counts without their digits. Where it is None all stays as it is in
    `between`, and `seen` are the counts in it.
    """

    before: bytes
    opens: bytes
    between: bytes
    residue: bytes | None
    after: bytes
    seen: tuple[UsageSeen, ...]

    def counts(self, rest: bytes, format: str) -> tuple[UsageSeen, ...] | None:
        """The counts in what stands behind a vector; None where it does not fit."""
        if self.residue is None:
            return self.seen if rest == self.between else None
        raw = rest[len(self.between) : len(rest) - len(self.after)]
        fits = rest.startswith(self.between) and rest.endswith(self.after)
        if not fits or raw.translate(None, DIGITS) != self.residue:
            return None
        seen = usage_seen(read_json(raw, format=format), embeds=True)
        return None if seen is None else (seen,)


class Moulds:
    """The moulds of one format under one policy, those used last first; bounded.

    Answers that are searched for text in unknown places have moulds of their own.
    """

    __slots__ = ("_format", "_moulds")

    def __init__(self, format: str) -> None:
        self._format = format
        self._moulds: list[_Mould] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._moulds)

    def take(self, body: bytes, chain: Chain, tally: Tally) -> bytes | None:
        """What leaves for a whole body, the same object where its vector stays; None where it must be read in full."""
        vectors = chain.vectors
        if vectors is None or not vectors.proves:
            return None
        for place, mould in enumerate(self._moulds):
            at = len(mould.before)
            if not body.startswith(mould.before) or body[at : at + 1] != mould.opens:
                continue
            end = body.find(_CLOSED_BY[mould.opens], at + 1) + 1
            raw, rest = body[at:end], body[end:]
            try:
                seen = mould.counts(rest, self._format) if end else None
                stepped = None if seen is None else vectors.stepped(raw)
            except WireError:  # the full reading will say so
                return None
            if seen is None or stepped is None:
                continue
            if place:
                self._moulds.insert(0, self._moulds.pop(place))
            tally.vectors += 1
            for event in seen:
                tally.feed(event)
            return body if stepped == raw else b"".join((mould.before, stepped, rest))
        return None

    def learn(self, frame: Frame, out: bytes, drift: Drift | None) -> None:
        """Remember a whole body that was read in full, and of which all but a vector left as it came, in `out`.

        Where `drift` looked at the strings that no table knows it has found no text.
        """
        if drift is not None and drift.paths:
            return
        mould = _mould_of(frame)
        if mould is not None and out.startswith(mould.before) and out.endswith(_behind(frame)):
            self._moulds.insert(0, mould)
            del self._moulds[_MOST:]


def _behind(frame: Frame) -> bytes:
    """All that stands behind the vector of a frame."""
    return next(frame.raw[site.end :] for event, site in frame.events if isinstance(event, Vector))


def _mould_of(frame: Frame) -> _Mould | None:
    """The mould of a frame that holds one vector, its counts, and nothing else that means anything."""
    raw = frame.raw
    vectors = [site for event, site in frame.events if isinstance(event, Vector)]
    counts = [(event, site) for event, site in frame.events if isinstance(event, UsageSeen)]
    if len(vectors) != 1 or len(counts) > 1 or len(frame.events) > 1 + len(counts) or frame.at > 0:
        return None
    vector = vectors[0]
    opens, closes = raw[vector.start : vector.start + 1], raw[vector.end - 1 : vector.end]
    if len(raw) - (vector.end - vector.start) > _AROUND_BYTES or _CLOSED_BY.get(opens) != closes:
        return None
    before, behind = raw[: vector.start], raw[vector.end :]
    for event, site in counts:
        residue = raw[site.start : site.end].translate(None, DIGITS)
        # Fractions in any number might be a vector's, and are compared as all the rest is.
        if site.role is Role.USAGE and site.start >= vector.end and b"." not in residue:
            return _Mould(before, opens, raw[vector.end : site.start], residue, raw[site.end :], ())
        return _Mould(before, opens, behind, None, b"", (event,))
    return _Mould(before, opens, behind, None, b"", ())
