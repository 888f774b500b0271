"""What the next piece of a stream is compared with."""

from __future__ import annotations

from typing import Protocol

from hardening.numbers import Numbers
from hardening.wire.around import Around
from hardening.wire.counted import Numbered
from hardening.wire.shapes import Shape


class Sequel(Protocol):
    """What follows for a stream from a frame of its lane."""

    def came(self, lane: Lane, out: bytes) -> bytes:
        """Take note of a frame for which `out` would leave; what leaves of it."""
        ...


class Lane(Around):
    """The surroundings of the last frame that was read in full. As it stands it knows no frame.

    What a lane lets through or takes out is what a full reading would: it only skips the parse.
    """

    __slots__ = ("index", "sequel")

    def __init__(self, shape: Shape, opened: frozenset[int]) -> None:
        """The surroundings of a frame's payload, with what is `opened` of the sites that may change."""
        super().__init__(
            shape.frame.raw, shape.payload, slot=shape.slot, opened=[shape.sites[at] for at in opened]
        )
        self.index = shape.index
        self.sequel: Sequel | None = None

    def take(self, data: bytes) -> bytes | None:
        """What leaves for a piece, `data` itself where it leaves as it came; None where it must be read."""
        return None

    def _came(self, out: bytes | None) -> bytes | None:
        """`out`, with its sequel where there is one."""
        return out if out is None or self.sequel is None else self.sequel.came(self, out)


class NoLane:
    """The lane of a stream that has none."""

    def take(self, data: bytes) -> bytes | None:
        """None: every piece must be read."""
        return None


NO_LANE = NoLane()


class Numbering:
    """Frames that carry their number: the lane begins or ends as the frame with the next number does."""

    __slots__ = ("_ahead", "_left", "_next", "_numbers", "_size")

    def __init__(self, numbers: Numbers, before: bytes, after: bytes, *, ahead: bool) -> None:
        """The number stands between `before` and `after`, which are all of the lane's prefix, with `ahead`, or suffix."""
        self._numbers = numbers
        self._ahead = ahead
        self._next, self._left = Numbered(before, after), Numbered(before, after)
        self._size = 0  # of the literal with the number that comes next

    def expect(self, lane: Lane) -> None:
        """Begin or end as the next frame does."""
        number = self._numbers.came + 1
        literal = self._next.turn(number // 10)[number % 10]
        self._size = len(literal)
        if self._ahead:
            lane.prefix = literal
        else:
            lane.suffix = literal

    def came(self, lane: Lane, out: bytes) -> bytes:
        """Count the frame; one that leaves does so under the number that is next.

        Every frame comes here, so what can be written out is not called.
        """
        numbers = self._numbers
        came = numbers.came + 1
        numbers.came = came
        if not out:
            numbers.shift -= 1
        elif numbers.shift:
            number, left = came + numbers.shift, self._left
            if number < 0:
                number = 0
            tens = number // 10
            literal = (left.values if tens == left.tens else left.turn(tens))[number % 10]
            out = literal + out[self._size :] if self._ahead else out[: -self._size] + literal
        came += 1
        following = self._next
        tens = came // 10
        literal = (following.values if tens == following.tens else following.turn(tens))[came % 10]
        self._size = len(literal)
        if self._ahead:
            lane.prefix = literal
        else:
            lane.suffix = literal
        return out
