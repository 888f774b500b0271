"""The lane of an array: a comma and an element of a known shape, in one piece."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.wire.json_array import ArrayJoint


class ElementLane:
    """Pieces of `comma` and an element of `lane`, of an array whose last piece was an element, after one that left."""

    __slots__ = ("_comma", "_joint", "_lane")

    def __init__(self, comma: bytes, lane: Lane, joint: ArrayJoint) -> None:
        self._comma = comma
        self._lane = lane
        self._joint = joint

    def take(self, data: bytes) -> bytes | None:
        """As `Lane.take`."""
        element = data.removeprefix(self._comma)
        if len(element) == len(data):
            return None
        out = self._lane.take(element)
        if out is None:
            return None
        if not out:
            self._joint.waiting = self._comma  # it goes with the element, unless another follows
            return out
        self._joint.waiting = b""
        return data if out is element else self._comma + out
