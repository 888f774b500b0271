"""Packed bodies: every legal spelling is read, and none unpacks to more than is allowed."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.asgi.encoding import Unpacker, unpack
from hardening.errors import WireError

BODY = b'{"model": "m", "messages": []}' * 9


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = [
    (b"gzip", gzip.compress(BODY)),
    (b" X-GZIP ", gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])),
    (b"deflate", zlib.compress(BODY)),
    (b"deflate", raw_deflate(BODY)),
    (b"identity", BODY),
]


@pytest.mark.parametrize(("coding", "packed"), PACKED)
def test_a_packed_body_is_unpacked_whole_and_byte_by_byte(coding: bytes, packed: bytes) -> None:
    assert unpack(packed, coding, 10_000) == BODY
    unpacker = Unpacker(coding, 10_000)
    assert b"".join(unpacker.feed(packed[i : i + 1]) for i in range(len(packed))) == BODY
    unpacker.end()


def test_without_a_coding_the_body_is_the_same_object() -> None:
    assert unpack(BODY, None, 1) is BODY


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(WireError, match="more than is allowed"):
        unpack(bomb, b"gzip", 10_000)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
def test_a_coding_that_nobody_reads_here_is_refused(coding: bytes) -> None:
    with pytest.raises(WireError, match="a coding"):
        unpack(BODY, coding, 10_000)


@pytest.mark.parametrize(("coding", "packed"), PACKED[:4])
def test_a_body_that_ends_too_early_is_refused(coding: bytes, packed: bytes) -> None:
    with pytest.raises(WireError):
        unpack(packed[:-3], coding, 10_000)


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate"]))
def test_any_bytes_unpack_or_raise_a_wire_error(data: bytes, coding: bytes) -> None:
    with contextlib.suppress(WireError):
        assert len(unpack(data, coding, 1000)) <= 1000
