"""The lane of an array: a comma and an element of a known shape, in one piece."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.wire.json_array import ArrayJoint


class ElementLane:
    """Pieces of what stands between two elements and one of `lane`, behind a piece that was the same, in an array with a beginning."""

    __slots__ = ("_between", "_comma", "_joint", "_lane", "_white")

    def __init__(self, between: bytes, lane: Lane, joint: ArrayJoint) -> None:
        """`between` is a comma with white space around it."""
        white = between.index(b",")
        self._between = between
        self._white, self._comma = between[:white], between[white:]
        self._lane = lane
        self._joint = joint

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`; the comma goes with an element that goes, white space before it only where another went before."""
        element = data.removeprefix(self._between)
        if len(element) == len(data):
            return None
        out = self._lane.take(element)
        if out is None:
            return None
        joint = self._joint
        white = b"" if joint.waiting else self._white
        if not out:
            joint.waiting = self._comma
            return white
        joint.waiting = b""
        return data if out is element and white == self._white else white + self._comma + out
