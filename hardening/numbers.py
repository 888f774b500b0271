"""The numbers that frames of a stream carry, counted anew where a frame went or came."""

from __future__ import annotations


class Numbers:
    """What the frames that leave are numbered: without a gap, which would tell how many went.

    `came` is the number under which the last frame came, `shift` what is added to those that follow. A
    frame that came as number 0 begins anew, so that streams which do not count stay as they are.
    """

    __slots__ = ("came", "shift", "used")

    def __init__(self) -> None:
        self.came = -1
        self.shift = 0
        self.used = False

    def left(self, came: int) -> int:
        """The number under which a frame leaves that came under `came`."""
        self._take(came)
        return max(0, came + self.shift)

    def went(self, came: int) -> None:
        """The frame that came under `came` does not leave."""
        self._take(came)
        self.shift -= 1

    def added(self) -> int:
        """The number of a frame that did not come."""
        self.shift += 1
        return max(0, self.came + self.shift)

    def _take(self, came: int) -> None:
        self.used = True
        self.came = came
        if came == 0:
            self.shift = 0
