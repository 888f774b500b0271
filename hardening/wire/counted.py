"""The lane of a stream whose frames carry their number: what the next one begins or ends with is known."""

from __future__ import annotations

from hardening.wire.frame import Frame
from hardening.wire.roles import Role
from hardening.wire.shapes import Kind, Lane, payload_of
from hardening.wire.sites import Site


class CountedLane(Lane):
    """The literal surroundings of one payload, with the number that comes next in them.

    Behind the payload one string may stand that changes and means nothing; `middle` leads to it.
    """

    __slots__ = ("_after", "_before", "_between", "_digits", "is_ahead")

    def __init__(
        self, kind: Kind, index: int, raw: bytes, *, payload: tuple[int, int], number: Site, hole: Site | None
    ) -> None:
        """`raw` is a frame of the lane, whose payload and number stand there."""
        start, end = payload
        self.is_ahead = number.start < start
        middle, rest = b"", end
        if hole is not None:
            middle, rest = raw[end : hole.start + 1], hole.end - 1
        super().__init__(kind, index, raw[:start], raw[rest:], middle=middle)
        self.is_plain = False
        self._before = raw[: number.start] if self.is_ahead else raw[rest : number.start]
        self._between = raw[number.end : start] if self.is_ahead else b""
        self._after = b"" if self.is_ahead else raw[number.end :]
        self._digits = number.end - number.start

    def expect(self, number: int) -> None:
        """Begin or end as the frame with this number does."""
        digits = b"%d" % number
        self._digits = len(digits)
        if self.is_ahead:
            self.prefix = prefix = self._before + digits + self._between
            self.head = len(prefix)
        else:
            self.suffix = suffix = self._before + digits + self._after
            self.tail = -len(suffix)

    def renumbered(self, out: bytes, number: int) -> bytes:
        """A frame that begins and ends as the lane does, with another number; asked before the next is expected."""
        if self.is_ahead:
            at = len(self._before)
            return b"%b%d%b" % (self._before, number, out[at + self._digits :])
        return b"%b%b%d%b" % (out[: self.tail], self._before, number, self._after)


def counted_lane_of(frame: Frame, kind: Kind) -> CountedLane | None:
    """The lane of a frame that carries its number and one payload of `kind`; None where it has none."""
    spans = payload_of(frame, kind)
    numbers = frame.numbers
    if spans is None or len(spans) != 1 or len(numbers) != 1 or frame.raw is not frame.source:
        return None
    number, payload = numbers[0], spans[0]
    holes = [site for site in frame.sites if site.role is Role.VOLATILE and site.start > payload[1]]
    if len(holes) > 1 or (
        holes and (not _is_string(frame, holes[0]) or payload[1] < number.start < holes[0].start)
    ):
        return None
    index = frame.events[0][0].index  # type: ignore[union-attr]
    hole = holes[0] if holes else None
    return CountedLane(kind, index, frame.raw, payload=payload, number=number, hole=hole)


def _is_string(frame: Frame, site: Site) -> bool:
    return frame.value(site)[:1] == b'"'
