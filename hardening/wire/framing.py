"""How a stream is cut into events, whatever its format: what every framing gives to those who read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hardening.errors import WireError

BOM = b"\xef\xbb\xbf"
MAX_FRAME_BYTES = 16 * 1024 * 1024


class Envelope:
    """One event of a stream: the bytes it came as, and those to edit, with the place of its data in them.

    `lines` are the source's lines where each may be an event of its own, else empty; `beside` is all that
    is neither data nor the event's name, `odd` whether it holds what the framing does not know.
    """

    __slots__ = ("beside", "data_at", "data_end", "eol", "event", "lines", "odd", "raw", "source")

    def __init__(self, source: bytes) -> None:
        self.source = self.raw = source
        self.event = b""
        self.odd = False
        self.eol = b"\n"
        self.lines: tuple[bytes, ...] = ()
        self.beside = b""
        self.data_at = self.data_end = 0

    @property
    def data(self) -> bytes:
        """The event's data; empty where it has none, such as a comment."""
        return self.raw[self.data_at : self.data_end]

    def bare(self) -> Envelope:
        """The event with its name and its data alone."""
        return self


class Framer(Protocol):
    """Cuts a stream into whole events; they partition the input."""

    pending: bytearray

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes. Raises WireError when one grows over the limit."""
        ...

    def rest(self) -> bytes:
        """What stands after the last border."""
        ...


class Bordered:
    """What framers share that look for a border after each event: what came behind the last one, bounded."""

    __slots__ = ("_limit", "_searched", "pending")

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self.pending = bytearray()
        self._searched = 0  # of what is pending, the bytes in which no border begins
        self._limit = limit_bytes

    def _bound(self, name: str, found: int) -> None:
        """Raise WireError where an event grows over the limit; what the same piece completed is given out first."""
        if len(self.pending) > self._limit and not found:
            raise WireError(name, self._limit, f"an event of more than {self._limit} bytes")

    def rest(self) -> bytes:
        """What stands after the last border; some servers leave the last one out."""
        rest = bytes(self.pending)
        self.pending.clear()
        self._searched = 0
        return rest


class Write(Protocol):
    """Puts JSON into an event of its framing."""

    def __call__(self, data: bytes, *, eol: bytes, name: str = "") -> bytes:
        """The event, with the line end of the stream; `name` where the framing has names."""
        ...


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to cut a stream.

    `opens` are the first bytes of a body that make a JSON text one in this framing; `border` ends an event
    that lacks its end, `around` are the patterns of what stands before and after the JSON of an ordinary
    event; `glue` stands between two events that are written here.
    """

    opens: bytes
    border: bytes
    around: tuple[bytes, bytes]
    framer: Callable[[], Framer]
    envelope: Callable[[bytes], Envelope]
    write: Write
    glue: bytes = b""
