"""One JSON array as a stream of its elements: bytes to elements, and elements to an array that stays valid.

Source: RFC 8259, section 5; streamGenerateContent of the Gemini API without `alt=sse`. Elements and what
stands between them partition the input: joined again, untouched ones are the bytes that came.
"""

from __future__ import annotations

import re

import orjson

from hardening.errors import WireError
from hardening.wire.framing import BOM, MAX_FRAME_BYTES, Envelope, Framing

MAX_BLANK_BYTES = 64 * 1024  # between two elements
_WHITE = b" \t\r\n"
GLUE = (
    b","  # without a line end: google-genai reads an array a line at a time, and whole where it came on one
)
_white = re.compile(rb"[ \t\r\n]+").match
_mark = re.compile(rb'["\[\]{}]').search  # outside of strings
_string = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL).match  # inside of one, up to its quote
_end_of_word = re.compile(rb"[ \t\r\n,\]]").search
_OPEN, _CLOSE = b"[{", b"]}"
_BRACE = 123
_ONLY_BYTES, _BLANKS = 16 * 1024, 16  # of an element, and behind it


class Element(Envelope):
    """One element; what stands between two has no data."""

    __slots__ = ()

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self.eol = b"\r\n"
        if not is_between(source):
            self.data_end = len(source)


def is_between(piece: bytes) -> bool:
    """Whether a piece is none of the elements, but stands before, between or after them."""
    return piece in (b"[", b",", b"]") or not piece.strip(_WHITE) or piece == BOM


class ArrayFramer:
    """Cuts an array into elements and what stands between, whatever its chunks; holds one unfinished element.

    Brackets are counted and strings passed over; whether an element is JSON is for its reader to say.
    """

    __slots__ = ("_closed", "_depth", "_in_string", "_limit", "_opened", "_seen", "pending")

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self.pending = bytearray()
        self._limit = limit_bytes
        self._seen = 0  # of what is pending, the bytes that were looked at
        self._depth = 0
        self._in_string = False
        self._opened = self._closed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that `data` completes. Raises WireError when one grows over the limit, or after the end."""
        held = self.pending
        held += data
        pieces: list[bytes] = []
        start = 0
        while start < len(held) and (end := self._end(held, start)) >= 0:
            pieces.append(bytes(held[start:end]))
            start = end
        del held[:start]
        if len(held) > self._limit and not pieces:
            raise WireError("json_array", self._limit, f"an element of more than {self._limit} bytes")
        return pieces

    def rest(self) -> bytes:
        """The element that was cut off, if one was."""
        rest = bytes(self.pending)
        self.pending.clear()
        self._seen = self._depth = 0
        self._in_string = False
        return rest

    def _end(self, held: bytearray, start: int) -> int:
        """Where the piece ends that begins at `start`; -1 where it has not ended yet."""
        if self._seen:  # within an element
            return self._element_end(held, start)
        if found := _white(held, start):
            return found.end()
        first = held[start]
        if self._closed:
            raise WireError("json_array", start, "expected nothing after the end of the array")
        if not self._opened:
            return self._begin(held, start, first)
        if first == 44:  # a comma
            return start + 1
        if first == 93:  # the closing bracket
            self._closed = True
            return start + 1
        return self._element_end(held, start)

    def _begin(self, held: bytearray, start: int, first: int) -> int:
        if first == BOM[0]:
            return start + len(BOM) if held.startswith(BOM, start) else -1
        if first != 91:
            raise WireError("json_array", start, "expected the beginning of an array")
        self._opened = True
        return start + 1

    def _element_end(self, held: bytearray, start: int) -> int:
        at = start + self._seen
        if at == start and held[start] == _BRACE and (end := _only_end(held, start)) >= 0:
            return end
        if held[start] not in b'"[{':  # a number, or no JSON at all
            word = _end_of_word(held, at)
            self._seen = 0 if word else len(held) - start
            return word.start() if word else -1
        while at < len(held):
            if self._in_string:
                at = self._string_end(held, at)
                if self._in_string:
                    break  # it goes on in what has not come
            else:
                at = self._next_mark(held, at)
            if not self._depth and not self._in_string:
                self._seen = 0
                return at
        self._seen = at - start
        return -1

    def _string_end(self, held: bytearray, at: int) -> int:
        """After the quote that closes the string; without one where to look on, at a lone backslash at most."""
        found = _string(held, at)
        end = found.end() if found else at
        if held[end : end + 1] == b'"':
            self._in_string = False
            return end + 1
        return end

    def _next_mark(self, held: bytearray, at: int) -> int:
        found = _mark(held, at)
        if found is None:
            return len(held)
        mark = found[0]
        if mark == b'"':
            self._in_string = True
        else:
            self._depth += 1 if mark in _OPEN else -1
        return found.end()


def _only_end(held: bytearray, start: int) -> int:
    """Where an element ends that is all there is from `start` on, as most servers send them; -1 where it is not.

    A parse costs a tenth of counting brackets, and one of a few kB nothing where it fails.
    """
    end = held.rfind(b"}", start) + 1
    if not start < end <= start + _ONLY_BYTES or not len(held) - end < _BLANKS or held[end:].strip(_WHITE):
        return -1
    try:
        orjson.loads(held[start:end])
    except orjson.JSONDecodeError:
        return -1
    return end


class ArrayJoint:
    """Puts what leaves of an array together: `[`, one comma between two elements, `]`, whatever was dropped.

    What stood between two elements leaves as it came where both leave; a comma waits for what follows it.
    """

    __slots__ = ("_closed", "_opened", "some", "waiting")

    def __init__(self) -> None:
        self.waiting = b""
        """What came from a comma on, until the next element leaves."""
        self.some = False
        """Whether an element has left."""
        self._opened = self._closed = False

    @property
    def held(self) -> bytes:
        """What came and waits for the next element: from a comma on, itself only behind one that left."""
        return self.waiting if self.some else self.waiting.lstrip(b",")

    def between(self, piece: bytes) -> bytes:
        """What leaves for a piece that is no element. Raises WireError where white space grows over the limit."""
        if piece == b",":
            self.waiting = piece
            return b""
        if piece == b"]":
            piece, self.waiting = self.waiting.lstrip(b",") + piece, b""
            self._closed = True
        elif self.waiting:
            self.waiting += piece
            if len(self.waiting) > MAX_BLANK_BYTES:
                raise WireError("json_array", MAX_BLANK_BYTES, f"more than {MAX_BLANK_BYTES} blanks")
            return b""
        self._opened = self._opened or piece == b"["
        return piece

    def element(self, out: bytes) -> bytes:
        """What leaves for an element of which `out` is left."""
        if not out:
            return b""
        comma, self.waiting = self.waiting, b""
        return self._after(comma, out)

    def own(self, out: bytes) -> bytes:
        """What leaves for elements that are written here; nothing after the end."""
        return self._after(b"", out) if out and not self._closed else b""

    def close(self) -> bytes:
        """The end of the array, where it has not come."""
        return b"" if self._closed else self._begun() + self.between(b"]")

    def _after(self, comma: bytes, out: bytes) -> bytes:
        before = comma or GLUE if self.some else self._begun() + comma.lstrip(b",")
        self.some = True
        return before + out

    def _begun(self) -> bytes:
        opened, self._opened = self._opened, True
        return b"" if opened else b"["


def write_element(data: bytes, *, eol: bytes, name: str = "") -> bytes:
    """`data`, a JSON text, as one element."""
    return data


JSON_ARRAY = Framing(
    opens=b"[",
    border=b"",
    around=(b"", b""),
    framer=ArrayFramer,
    envelope=Element,
    write=write_element,
    glue=GLUE,
)
