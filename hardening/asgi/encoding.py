"""Packed bytes in, plain bytes out, never more than a stated amount."""

from __future__ import annotations

import zlib

from hardening.errors import WireError

_GZIP = 31
_ZLIB = 15
_RAW = -15


class Unpacker:
    """Undoes one `content-encoding`, chunk by chunk.

    Raises:
        WireError: the coding is none that we read, the bytes are not of that coding, or more
            than `limit` bytes came out.
    """

    def __init__(self, coding: bytes, limit: int) -> None:
        self._coding = coding.strip().lower()
        if self._coding not in _CODINGS:
            raise WireError("content-encoding", 0, "found a coding that is not gzip, deflate or identity")
        self._left = limit
        self._read = 0
        self._head = b""
        self._inflate = zlib.decompressobj(_GZIP) if self._coding in _GZIPS else None

    def feed(self, data: bytes) -> bytes:
        """What these bytes unpack to."""
        if self._coding in _PLAIN:
            return self._bounded(data)
        if self._inflate is None:
            data = self._sniffed(data)
        out = []
        while data and self._inflate is not None:
            out.append(self._bounded(self._inflated(data)))
            data = self._inflate.unused_data
            if data:
                # gzip allows members one after the other (RFC 1952 section 2.2).
                self._inflate = zlib.decompressobj(_GZIP if self._coding in _GZIPS else _ZLIB)
        return b"".join(out)

    def end(self) -> None:
        """Check that nothing is missing at the end."""
        if self._coding in _PLAIN or self._read == 0:
            return
        if self._inflate is None or not self._inflate.eof:
            raise WireError("content-encoding", self._read, "the packed body ends too early")

    def _sniffed(self, data: bytes) -> bytes:
        """Servers send `deflate` with the zlib wrapper (RFC 9110) or, wrongly, without: two bytes tell."""
        self._head += data
        if len(self._head) < 2:
            self._read += len(data)
            return b""
        wrapped = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2], "big") % 31 == 0
        self._inflate = zlib.decompressobj(_ZLIB if wrapped else _RAW)
        return self._head

    def _inflated(self, data: bytes) -> bytes:
        assert self._inflate is not None
        self._read += len(data)
        try:
            return self._inflate.decompress(data, self._left + 1)
        except zlib.error as fault:
            raise WireError("content-encoding", self._read, "the body is not what its coding says") from fault

    def _bounded(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise WireError("content-encoding", self._read, "the body unpacks to more than is allowed")
        return data


_PLAIN = frozenset({b"", b"identity"})
_GZIPS = frozenset({b"gzip", b"x-gzip"})
_CODINGS = _PLAIN | _GZIPS | {b"deflate"}


def unpack(body: bytes, coding: bytes | None, limit: int) -> bytes:
    """The whole body unpacked; the same object where there is no coding.

    Raises:
        WireError: as `Unpacker`.
    """
    if coding is None or coding.strip().lower() in _PLAIN:
        return body
    unpacker = Unpacker(coding, limit)
    plain = unpacker.feed(body)
    unpacker.end()
    return plain
