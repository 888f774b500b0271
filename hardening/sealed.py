"""The seals of one response: put where its format has a place for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hardening.events import Seal, Sealed
from hardening.transform.reasoning import Keeping
from hardening.wire.codec import Sealing, Stream
from hardening.wire.frame import Frame
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.seals import Place, key_of, members_of, objects, told_by
from hardening.wire.sites import Site

_MOST_OPAQUE_BYTES = 1 << 20  # of what the server gave in place of a trace, under one name
_OWN_ELEMENTS = 64  # of a list in which the server gives its trace
_EMPTY = frozenset({b"[]", b"null", b'""'})

Edits = dict[Site, bytes]


@dataclass(slots=True)
class Seals:
    """Makes the seals of the traces of a response, with what the server gave in their place; `begin` begins one."""

    place: Place
    begin: Callable[[], Keeping]
    _opaque: dict[int, dict[str, object]] = field(default_factory=dict)
    _given: dict[int, str] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    def heard(self, frame: Frame, event: Seal, site: Site) -> None:
        """Take what stands for a hidden trace and does not leave."""
        if site.end - site.start <= _MOST_OPAQUE_BYTES:
            value = read_json(frame.value(site), format=frame.format)
            self._opaque.setdefault(event.index, {})[key_of(frame, site)] = value

    def alone(self, out: Sealed, like: Frame, voice: Stream) -> bytes:
        """The frame that gives a seal by itself; `like` is one of those in which the trace came."""
        beside = self._opaque.pop(out.index, {})
        texts = self._texts(out.index, like, beside)
        members = {name: value for name, value in beside.items() if isinstance(value, str)} | texts
        blob = out.finish(members) if texts else None
        if blob is None:
            return b""
        assert isinstance(voice, Sealing)  # every format with such a place has one
        # Clients join elements of one number: ours begin where the server's own have ended.
        number = self._number(out.index) + (_OWN_ELEMENTS if self.place.name in members else 0)
        return voice.seal(out.index, self.place.value(blob, number), like)

    def _texts(self, index: int, like: Frame, beside: Mapping[str, object]) -> dict[str, object]:
        """The members of a frame in which a piece of the trace stands, told of all of it."""
        found = {}
        for own, _, sites in objects(like, self.place):
            for site in sites:
                if own == index and site.role is Role.REASONING:
                    name = key_of(like, site)
                    found[name] = told_by(read_json(like.value(site), format=like.format), beside.get(name))
        return {name: value for name, value in found.items() if value is not None}

    def _number(self, index: int) -> int:
        number = self._counts[index] = self._counts.get(index, -1) + 1
        return number

    def inside(self, frame: Frame, edits: Edits) -> Edits:
        """The edits, beside `edits`, that put seals into the objects of a frame that hold a whole trace."""
        put: Edits = {}
        for index, span, sites in objects(frame, self.place):
            named = next((site for site in sites if key_of(frame, site) == self.place.name), None)
            if frame.kind in self.place.begins:
                if named is not None:
                    put[named] = b"null"
                continue
            blob = self._blob(frame, index, span)
            if blob is None:
                continue
            value = self.place.value(blob, self._number(index))
            if named is not None:
                # Without the trace that stood there, whether or not somebody has taken it out.
                put[named] = _beside(edits.get(named, frame.written(named, "")), value)
            else:
                at = span[0] + 1
                member = b'"%b":%b,' % (self.place.name.encode(), value)
                put[Site(Role.SEAL, at, at, sites[0].owner)] = member
        return put

    def _blob(self, frame: Frame, index: int, span: tuple[int, int]) -> str | None:
        if not self.place.alone and index in self._given:
            return self._given[index]
        members = members_of(frame, span, self.place)
        if not members:
            return None
        blob = self.begin().finish(members)
        if blob is not None and not self.place.alone:
            self._given[index] = blob  # the same trace is told again, and has the same seal then
        return blob


def _beside(was: bytes, value: bytes) -> bytes:
    """The value of a member with a seal in it: of a list one element more, of anything else the seal."""
    if value[:1] != b"[" or was[:1] != b"[" or was in _EMPTY:
        return value
    return was.rstrip()[:-1].rstrip() + b"," + value[1:]
