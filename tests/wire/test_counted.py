"""The lane of frames that carry their number: only the next one is of it."""

from __future__ import annotations

import pytest

from hardening.wire.codec import CODECS
from hardening.wire.counted import CountedLane, counted_lane_of
from hardening.wire.shapes import Kind

CODEC = CODECS["openai_responses"]
KIND = b'"type":"response.output_text.delta"'


def lane(data: bytes) -> CountedLane | None:
    raw = b"data: " + data + b"\n\n"
    return counted_lane_of(CODEC.frame(raw, 6, len(raw) - 2), Kind.TEXT)


AHEAD = b'{%b,"sequence_number":9,"output_index":2,"delta":"Hi","logprobs":[],"obfuscation":"abc"}' % KIND
BEHIND = b'{"delta":"Hi","output_index":2,"sequence_number":9,%b}' % KIND


@pytest.mark.parametrize("data", [AHEAD, BEHIND])
def test_it_begins_and_ends_as_the_next_frame_does(data: bytes) -> None:
    found = lane(data)
    assert found is not None
    for number in (10, 11, 100):
        found.expect(number)
        raw = b"data: " + data.replace(b":9,", b":%d," % number) + b"\n\n"
        assert raw.startswith(found.prefix)
        assert raw.endswith(found.suffix)
        assert raw[found.head : len(raw) + found.tail].startswith(b"Hi")
        assert found.renumbered(raw, 7) == raw.replace(b":%d," % number, b":7,")
    assert (found.kind, found.index) == (Kind.TEXT, 2)


@pytest.mark.parametrize(
    "data",
    [
        b'{%b,"delta":"Hi"}' % KIND,
        b'{%b,"sequence_number":1,"sequence_number":2,"delta":"Hi"}' % KIND,
        b'{%b,"delta":"Hi","obfuscation":"a","id":"b","sequence_number":1}' % KIND,
        b'{%b,"delta":"Hi","obfuscation":7,"sequence_number":1}' % KIND,
        b'{%b,"delta":"Hi","sequence_number":1,"obfuscation":"a"}' % KIND,
        b'{%b,"sequence_number":1,"delta":"Hi","reasoning_text":"Hm"}' % KIND,
        b'{%b,"sequence_number":1,"delta":"Hi","note":"long enough to be a piece of a trace"}' % KIND,
    ],
)
def test_what_is_not_of_this_form_has_none(data: bytes) -> None:
    assert lane(data) is None
