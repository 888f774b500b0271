"""Framing of server-sent events: borders under every line end and every split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.wire.framing import Framer
from hardening.wire.json_array import ArrayFramer
from hardening.wire.ndjson import LineFramer
from hardening.wire.sse import SseFrame, SseFramer

STREAM = b'data: {"a":1}\n\n: note\n\nevent: x\r\ndata: {"b":2}\r\n\r\ndata: c\r\rdata: [DONE]\n\n'


def framed(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    framer = SseFramer()
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    return frames, framer.rest()


def payloads(frames: list[bytes]) -> list[bytes]:
    return [data for raw in frames if (data := SseFrame(raw).data)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_frames_partition_the_input_and_hold_the_same_data_under_any_split(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(STREAM)]
    frames, rest = framed([STREAM[a:b] for a, b in itertools.pairwise(borders)])
    assert b"".join(frames) + rest == STREAM
    assert payloads(frames) == [b'{"a":1}', b'{"b":2}', b"c", b"[DONE]"]


def test_byte_by_byte_gives_every_frame_at_its_border_and_not_later() -> None:
    framer = SseFramer()
    at = [place for place in range(len(STREAM)) if framer.feed(STREAM[place : place + 1])]
    assert at[0] == STREAM.index(b"\n\n") + 1


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_a_crlf_is_one_line_end_and_no_border(eol: bytes) -> None:
    frames, rest = framed([b"event: a" + eol + b"data: 1" + eol + eol + b"data: 2" + eol + eol])
    assert rest == b""
    assert [(SseFrame(raw).event, SseFrame(raw).data) for raw in frames] == [(b"a", b"1"), (b"", b"2")]
    assert SseFrame(frames[0]).eol == eol


def test_the_space_after_the_colon_is_optional_and_a_byte_order_mark_is_skipped() -> None:
    assert SseFrame(b"data:{}\n\n").data == b"{}"
    assert SseFrame(b"\xef\xbb\xbfdata: {}\n\n").data == b"{}"
    assert SseFrame(b"data\n\n").data == b""


def test_several_data_lines_are_one_text_and_the_source_is_kept() -> None:
    frame = SseFrame(b'event: e\ndata: {"a":\ndata: 1}\n\n')
    assert frame.data == b'{"a": 1}'
    assert frame.raw[frame.data_at : frame.data_end] == frame.data
    assert frame.raw.startswith(b"event: e\ndata: ")
    assert frame.source == b'event: e\ndata: {"a":\ndata: 1}\n\n'


@pytest.mark.parametrize(
    ("raw", "odd"), [(b": c\n\n", False), (b"id: 1\nretry: 2\n\n", False), (b'"a":1}\n\n', True)]
)
def test_a_line_that_is_no_field_is_told(raw: bytes, odd: bool) -> None:
    assert SseFrame(raw).odd is odd


def test_an_object_without_a_field_is_read_as_data() -> None:
    """Google's servers write an error in mid-stream so."""
    frame = SseFrame(b'\xef\xbb\xbf{\r\n  "error": {}\r\n}\r\n\r\n')
    assert (frame.data, frame.odd, frame.beside) == (b'{\r\n  "error": {}\r\n}', False, b"")
    assert frame.raw == frame.source
    assert not SseFrame(b'{"a":1}\ndata: {}\n\n').data.startswith(b'{"a"')


def test_a_frame_without_end_is_bounded() -> None:
    framer = SseFramer(limit_bytes=100)
    for _ in range(12):
        framer.feed(b"data: xx")
    with pytest.raises(WireError, match="more than 100 bytes"):
        framer.feed(b"data: xx")


@pytest.mark.parametrize(
    ("framer", "events"),
    [
        (SseFramer(100), [b"data: a\n\n", b"data: b\n\n"]),
        (LineFramer(100), [b"{}\n", b"{}\r\n"]),
        (ArrayFramer(100), [b"[", b"1", b","]),
    ],
)
def test_nothing_is_lost_where_one_grows_over_the_limit(framer: Framer, events: list[bytes]) -> None:
    """Catches events that the piece completed in which the next one grew too long."""
    rest = b'"' + b"x" * 200
    assert framer.feed(b"".join(events) + rest) == events
    with pytest.raises(WireError, match="more than 100 bytes"):
        framer.feed(b"y")
    assert framer.pending == rest + b"y"


def test_a_frame_in_crlf_is_not_cut_from_its_last_line_feed() -> None:
    framer = SseFramer()
    whole = b'data: {"a":1}\r\n\r\n'
    frames = [frame for at in range(len(whole)) for frame in framer.feed(whole[at : at + 1])]
    assert frames == [whole]
    assert SseFramer().feed(b"data: a\r\r") == [b"data: a\r\r"]
    assert framer.feed(b"data: b\r\n\r") == []
    assert framer.rest() == b"data: b\r\n\r"
