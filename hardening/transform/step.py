"""One step of a chain: events in, events out, and which of them it need not see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from hardening.events import Event


class Step:
    """A transform. As it stands it changes nothing and wants to see everything."""

    lanes: ClassVar[frozenset[type[Event]]] = frozenset()
    """Events that a frame may hold which is compared and not read (`lanes.py`).

    Only what passes this step unchanged, or what the lanes themselves hand to it, may stand here. A
    step that says nothing has every frame read in full: slower, and never past it.
    """

    def start_frame(self) -> None:
        """A new frame begins."""

    def feed(self, event: Event) -> Iterable[Event]:
        """What becomes of an event: itself, others, or nothing."""
        return (event,)

    def flush(self) -> Iterable[Event]:
        """What is left at the end; never a trace."""
        return ()
