"""Which path is which door: trailing segments, matched from the end of the path.

Mount prefixes, doubled and trailing slashes do not change the door; neither does a case that
some servers ignore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from hardening.wire.codec import CODECS, Codec

_KNOWN = {
    "chat/completions": "openai_chat",
    "v1/messages": "anthropic_messages",
}

PASS = "pass"

_SEEN_PATHS = 1024  # paths remembered, so that a path that is no door costs one look-up
_SEEN_BYTES = 256  # of at most this length


@dataclass(frozen=True, slots=True)
class Door:
    """A claimed path: `name` is the table's own spelling, bounded, fit for a metric's label.

    `codec` is None where the policy names a format that this release does not read: blocked.
    """

    name: str
    codec: Codec | None


class Doors:
    """The doors of one app: the known ones and those that the policy names.

    `own` maps a path to a format's name, or to `pass` for a path that is left alone; a trailing
    `*` names everything below. An app's own row wins over a known door.
    """

    __slots__ = ("_exact", "_known", "_prefixes", "_seen")

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._known: dict[tuple[str, ...], Door] = {}
        self._exact: dict[str, Door | None] = {}
        self._prefixes: list[tuple[str, Door | None]] = []
        self._seen: dict[str, Door | None] = {}
        for path, format in _KNOWN.items():
            self._known[tuple(path.split("/"))] = Door("/" + path, CODECS[format])
        for path, format in (own or {}).items():
            door = None if format == PASS else Door(path, CODECS.get(format))
            if path.endswith("*"):
                self._prefixes.append(("/" + "".join(part + "/" for part in _segments(path[:-1])), door))
            else:
                self._exact["/" + "/".join(_segments(path))] = door

    def match(self, path: str) -> Door | None:
        """The door of a path, without its query; None where the path is none or is left alone."""
        try:
            return self._seen[path]
        except KeyError:
            door = self._find(path)
            if len(path) <= _SEEN_BYTES:
                if len(self._seen) >= _SEEN_PATHS:
                    self._seen.clear()
                self._seen[path] = door
            return door

    def _find(self, path: str) -> Door | None:
        segments = _segments(path)
        whole = "/" + "/".join(segments)
        if whole in self._exact:
            return self._exact[whole]
        for prefix, door in self._prefixes:
            if whole.startswith(prefix) or whole + "/" == prefix:
                return door
        return self._known.get(tuple(segments[-2:]))

    @property
    def names(self) -> tuple[str, ...]:
        """Every door, for the start-up line."""
        own = [path for path, door in [*self._exact.items(), *self._prefixes] if door]
        return (*(door.name for door in self._known.values()), *own)


def _segments(path: str) -> list[str]:
    if "%" in path:
        path = unquote(path)
    return [segment.lower() for segment in path.split("/") if segment and segment != "."]
