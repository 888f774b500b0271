"""Which path is which door: trailing segments, matched from the end of the path.

Mount prefixes, doubled and trailing slashes do not change the door; neither does a case that
some servers ignore, nor what a proxy behind us would resolve or cut off: dot segments, a
backslash for a slash, a query or parameters that came encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from hardening.wire.codec import CODECS, Codec

_KNOWN = {
    "chat/completions": "openai_chat",
    "v1/messages": "anthropic_messages",
}

# Answers that are kept and can be asked for again; `*` is an id. None: in a framing that is not read.
_STORED = {
    "chat/completions/*": "openai_chat",
    "chat/completions/*/messages": "openai_chat",
    "v1/messages/batches/*/results": None,
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

    def __init__(self, own: Mapping[str, str] | None = None, *, known: bool = True) -> None:
        """`known` False leaves the built-in doors out: then only own rows are found."""
        self._known: dict[tuple[str, ...], Door] = {}
        self._exact: dict[str, Door | None] = {}
        self._prefixes: list[tuple[str, Door | None]] = []
        self._seen: dict[str, Door | None] = {}
        for path, format in _KNOWN.items() if known else ():
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

    def stored(self, path: str) -> Door | None:
        """The door of an answer that was kept, for requests that only ask; None as in `match`."""
        segments = _segments(path)
        for pattern, format in _STORED.items() if self._known else ():
            parts = pattern.split("/")
            ends = segments[-len(parts) :]
            if len(ends) == len(parts) and all(
                part in ("*", end) for part, end in zip(parts, ends, strict=True)
            ):
                return Door("/" + pattern, None if format is None else CODECS[format])
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Every door, for the start-up line."""
        own = [path for path, door in [*self._exact.items(), *self._prefixes] if door]
        return (*(door.name for door in self._known.values()), *own)


_cut_off = re.compile(r"[?#].*", re.DOTALL)
_dropped = str.maketrans("\\", "/", "\t\r\n")


def _segments(path: str) -> list[str]:
    if "%" in path:
        path = unquote(path)
    segments: list[str] = []
    for part in _cut_off.sub("", path.lower().translate(_dropped)).split("/"):
        segment = part.partition(";")[0].strip()
        if segment == "..":
            del segments[-1:]
        elif segment and segment != ".":
            segments.append(segment)
    return segments
