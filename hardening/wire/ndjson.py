"""JSON a line: bytes to lines, and lines to bytes.

Source: https://github.com/ndjson/ndjson-spec (read 2026-11-23). Lines end at LF or CRLF; a CR alone ends
none. Lines partition the input: joined again, untouched lines are the bytes that came.
"""

from __future__ import annotations

from hardening.wire.framing import BOM, Bordered, Envelope, Framing
from hardening.wire.line_ends import escaped


class Line(Envelope):
    """One line; a blank one has no data."""

    __slots__ = ()

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self.eol = b"\r\n" if source.endswith(b"\r\n") else b"\n"
        start = len(BOM) if source.startswith(BOM) else 0
        text = source[start:].lstrip(b" \t\r\n")
        self.data_at = len(source) - len(text)
        self.data_end = self.data_at + len(text.rstrip(b" \t\r\n"))


class LineFramer(Bordered):
    """Cuts a stream into lines, whatever its chunks; holds at most one unfinished line."""

    __slots__ = ()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, each with its end. Raises WireError when one grows over the limit."""
        held = self.pending
        held += data
        lines: list[bytes] = []
        start = 0
        while (end := held.find(b"\n", max(start, self._searched))) >= 0:
            lines.append(bytes(held[start : end + 1]))
            start = end + 1
            self._searched = 0
        del held[:start]
        self._searched = len(held)
        self._bound("ndjson", len(lines))
        return lines


def write_line(data: bytes, *, eol: bytes, name: str = "") -> bytes:
    """`data`, a JSON text in UTF-8, as one line."""
    return escaped(data) + eol


NDJSON = Framing(
    opens=b"{[",
    border=b"\n",
    around=(b"", rb"\r?\n"),
    framer=LineFramer,
    envelope=Line,
    write=write_line,
)
