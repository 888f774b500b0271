"""Where a request leads: to a door, past us, or nowhere. Pure: what the middleware does, as values."""

from __future__ import annotations

from typing import Literal

from hardening.asgi.elsewhere import is_asked_only
from hardening.policy import DoorTerms
from hardening.wire.doors import PASS, Door, Doors

Passage = Literal["hardened", "passed", "reported", "blocked"]
"""What becomes of the requests of a path. `reported`: they pass, and an answer like a model's is counted."""


class Entrance:
    """All paths as a policy sees them; one that is not `enforced` is in shadow."""

    def __init__(self, terms: DoorTerms, *, enforced: bool) -> None:
        self._unknown = terms.unknown
        self._enforced = enforced
        self._doors = Doors(terms.own)
        self._left_alone = Doors(
            {path: "openai_chat" for path, format in terms.own.items() if format == PASS}, known=False
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every door, in the spelling of the table or of the policy."""
        return self._doors.names

    def leaves_alone(self, path: str, root: str = "") -> bool:
        """Whether the policy says that this path is not ours; `root` is what we are mounted under."""
        return self._left_alone.match(below_mount(path, root)) is not None

    def door(self, path: str, root: str = "", method: str = "POST") -> Door | None:
        """The door of a path below the mount, else of the whole path: a mount may be part of a door's name."""
        below = below_mount(path, root) if root else path
        door = self._doors.match(below)
        if door is not None or self.leaves_alone(below):
            return door
        door = self._doors.match(root + below) if root else None
        if door is None and method and not is_asked_only(method):
            door = self._doors.counted(below) or self._doors.posted(below)
        # Where other paths are closed it is better that answers that were kept are than that they are read.
        kept = self._unknown == "report" or method in ("GET", "HEAD")
        return self._doors.stored(below) if door is None and kept else door

    def passage(self, path: str, root: str = "", method: str = "POST") -> Passage:
        """What becomes of an HTTP request; `hardened` in shadow as well, where it is only reported."""
        door = self.door(path, root, method)
        if door is None:
            if is_asked_only(method) or self.leaves_alone(path, root):
                return "passed"
            return "blocked" if self._unknown == "block" and self._enforced else "reported"
        if method in ("OPTIONS", "HEAD") or door.counts:
            return "passed"
        if door.codec is None:
            return "blocked" if self._enforced else "passed"
        return "hardened"

    def websocket(self, path: str, root: str = "") -> Passage:
        """What becomes of a websocket: what it says is not read, so it is denied at a door, and where others are closed."""
        closed = self.door(path, root, "") is not None
        if not closed and not self.leaves_alone(path, root):
            closed = self._unknown == "block" or self._doors.talked(below_mount(path, root)) is not None
        return "blocked" if closed and self._enforced else "passed"


def below_mount(path: str, root: str) -> str:
    """The path without `root`, what an outer app has mounted us under."""
    return path[len(root) :] if root and path.startswith(root) else path
