"""Server-sent events: bytes to frames, and frames to bytes.

Source: the WHATWG HTML standard, section 9.2 (read 2026-11-23). Frames partition the input:
joined again, untouched frames are the bytes that came.
"""

from __future__ import annotations

import re

from hardening.wire.framing import BOM, Bordered, Envelope, Framing

# A line end and an empty line. A CR that ends a chunk closes the line at once, but where the line
# ended in CRLF: the LF that may follow else is an empty line of its own at the head of the next frame.
_border = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_line = re.compile(rb"([^\r\n]*)(?>\r\n|\n|\r|\Z)")
_one_line = re.compile(rb"data: [^\r\n]+(?:\n\n|\r\n\r\n)").fullmatch
_FIELDS = frozenset({b"", b"id", b"retry"})  # beside `event` and `data`; an empty name begins a comment
_NAME_BYTES = 64  # the longest name of an event; what is longer is no name


class SseFrame(Envelope):
    """One event; it has `lines` where it has several of data, and is `odd` where a line is no field."""

    __slots__ = ()

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self.eol = b"\r\n" if b"\r\n" in source else b"\r" if b"\n" not in source else b"\n"
        if _one_line(source):
            self.data_at, self.data_end = 6, len(source.rstrip())
            return
        self._read(3 if source.startswith(BOM) else 0)

    def _read(self, at: int) -> None:
        data: list[tuple[int, int]] = []
        beside: list[bytes] = []
        for line in _line.finditer(self.source, at):
            name, _, value = line[1].partition(b":")
            if name == b"data":
                start = line.end(1) - len(value)
                data.append((start + value.startswith(b" "), line.end(1)))
            elif name == b"event" and len(value) <= _NAME_BYTES:
                self.event = value.removeprefix(b" ")
            elif line[1]:
                self.odd = self.odd or name not in _FIELDS
                beside.append(line[1])
        self.beside = b"\n".join(beside)
        if len(data) > 1:
            self._join([self.source[start:end] for start, end in data])
        elif data:
            self.data_at, self.data_end = data[0]
        elif self.odd:
            self._read_bare(at)

    def _read_bare(self, at: int) -> None:
        """JSON that stands there without the name of a field, as Google's servers write an error in mid-stream."""
        text = self.source[at:].rstrip()
        start = len(text) - len(text.lstrip())
        if text[start : start + 1] == b"{" and text.endswith(b"}"):
            self.odd, self.beside = False, b""
            self.data_at, self.data_end = at + start, at + len(text)

    def bare(self) -> SseFrame:
        """The event with its name and its data alone."""
        head = b"event: " + self.event + self.eol if self.event else b""
        return SseFrame(head + b"data: " + self.data + self.eol + self.eol)

    def _join(self, parts: list[bytes]) -> None:
        """Several data lines are one text with line feeds between; an edit writes them as one line."""
        self.lines = tuple(self.source.splitlines(keepends=True))  # bytes: at CR, LF, CRLF only
        head = b"event: " + self.event + self.eol if self.event else b""
        text = b" ".join(parts)
        self.raw = head + b"data: " + text + self.eol + self.eol
        self.data_at = len(head) + len(b"data: ")
        self.data_end = self.data_at + len(text)


class SseFramer(Bordered):
    """Cuts a stream into frames, whatever its chunks; holds at most one unfinished frame."""

    __slots__ = ()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises WireError when one grows over the limit."""
        held = self.pending
        if held:
            held += data
        buffer = held or data
        frames: list[bytes] = []
        start = 0
        while found := _border.search(buffer, max(start, self._searched)):
            if found.end() == len(buffer) and found[0] == b"\r\n\r":
                break  # its line feed comes with the next chunk, and belongs to this frame
            frames.append(bytes(buffer[start : found.end()]))
            start = found.end()
            self._searched = 0
        if held:
            del held[:start]
        else:
            held += data[start:]
        self._searched = max(0, len(held) - 3)
        self._bound("sse", len(frames))
        return frames


def write_event(data: bytes, *, eol: bytes, name: str = "") -> bytes:
    """`data`, which holds no line end, as one event."""
    head = b"event: " + name.encode() + eol if name else b""
    return head + b"data: " + data + eol + eol


SSE = Framing(
    opens=b"",
    border=b"\n\n",
    around=(rb"data: ?", rb"(?:\n\n|\r\n\r\n)"),
    framer=SseFramer,
    envelope=SseFrame,
    write=write_event,
)
