"""Blocks and items of an answer that began as a trace: what comes for them is one, whatever its frames call it."""

from __future__ import annotations

from hardening.events import Event, Reasoning, Text, Tool, Withheld
from hardening.wire.frame import Frame
from hardening.wire.roles import SEALS, Role

_OF_TRACES = SEALS | {Role.REASONING, Role.REASONING_WHOLE}


class TraceBlocks:
    """The indices under which a stream has begun a trace that is not over."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: set[int] = set()

    def begin(self, frame: Frame) -> None:
        """Take note of a frame that may begin a block, before its events are read."""
        index = frame.begins
        if index is None:
            return
        if any(site.role in _OF_TRACES for site in frame.sites):
            self._open.add(index)
        else:
            self._open.discard(index)

    def end(self, frame: Frame) -> None:
        """Take note of a frame that may end a block, after its events were read."""
        if self._open and (index := frame.ends) is not None:
            self._open.discard(index)

    def read(self, event: Event) -> Event:
        """The event as what it is in its block."""
        if not isinstance(event, Text | Tool) or event.index not in self._open:
            return event
        if isinstance(event, Text):
            return Reasoning(event.index, event.text, whole=event.whole)
        return Withheld(event.index, "trace")
