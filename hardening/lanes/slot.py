"""What lanes share in whose frames something stands beside the payload that is another in each."""

from __future__ import annotations

from hardening.lanes.lane import Lane
from hardening.lanes.speech import EVEN
from hardening.wire.around import Span

Parts = tuple[Span, Span, bool]
"""Where the payload of a frame stands and where its slot, and whether the payload is so even that it needs no look."""


class SlotLane(Lane):
    """Frames with a payload and, behind it, a slot; what stands there is for who takes it to prove."""

    __slots__ = ()

    def _parts(self, data: bytes) -> Parts | None:
        """The parts of a frame of these surroundings; None for any other."""
        rest = data.removeprefix(self.prefix)
        if len(rest) == len(data):
            return None
        for run, literal in self.before:
            cut = rest.lstrip(run)
            rest = cut.removeprefix(literal)
            if len(rest) == len(cut):
                return None
        tail = rest.lstrip(EVEN)
        from_slot = tail.removeprefix(self.suffix)
        slot = from_slot.removesuffix(self.ending)
        if self.after or self.behind or len(from_slot) == len(tail) or len(slot) == len(from_slot):
            read = self.read(data)
            return None if read is None else (read.payload, read.slot, False)
        size = len(data)
        start, first = size - len(rest), size - len(from_slot)
        return (start, size - len(tail)), (first, first + len(slot)), len(tail) < len(rest)
