"""Shapes: what compares equal around the payload is proven, everything else is read."""

from __future__ import annotations

import json

import pytest

from hardening.wire.codec import CODECS
from hardening.wire.shapes import Kind, Lane, Shapes, Skeleton, lane_of, skeleton_of, string_text
from hardening.wire.sse import SseFrame

CHAT = CODECS["openai_chat"]


def frame(text: str = "x", *, field: str = "content", **more: object):  # type: ignore[no-untyped-def]
    chunk = {
        "id": "c1",
        "created": 1,
        "choices": [{"index": 2, "delta": {field: text}, "finish_reason": None}],
        **more,
    }
    event = SseFrame(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    return CHAT.frame(event.raw, event.data_at, event.data_end, source=event.source)


def lane(kind: Kind = Kind.TEXT, **more: str) -> Lane:
    found = lane_of(frame(**more), kind)
    assert found is not None
    return found


def test_a_lane_is_the_bytes_around_the_payload() -> None:
    text = lane()
    assert text.prefix + b"x" + text.suffix == frame().raw
    assert text.index == 2
    assert lane(Kind.REASONING, field="reasoning").kind is Kind.REASONING


@pytest.mark.parametrize(
    "more",
    [{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}, {"note": "a long string of an unknown kind"}],
)
def test_frames_with_more_to_say_have_no_lane(more: dict[str, object]) -> None:
    assert lane_of(frame("x", **more), Kind.TEXT) is None  # type: ignore[arg-type]


def test_a_frame_of_another_kind_has_no_lane() -> None:
    assert lane_of(frame(), Kind.REASONING) is None
    assert lane_of(frame(), Kind.ROWS) is None


def skeleton(**more: object) -> Skeleton:
    found = skeleton_of(frame(**more), Kind.TEXT)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_shape_leaves_identifiers_open_and_nothing_else() -> None:
    match = Shapes().find(Kind.TEXT, 2, skeleton()).match
    again = frame('yes \\ "no"').raw.replace(b'"c1"', b'"another"').replace(b'"created": 1', b'"created": 77')
    found = match(again)
    assert found is not None
    assert found[1] == json.dumps('yes \\ "no"')[1:-1].encode()
    for other in (
        again.replace(b'"index": 2', b'"index": 3'),
        again.replace(b'"finish_reason": null', b'"finish_reason": "stop"'),
        again.replace(b'"delta": {', b'"delta": {"reasoning": "T", '),
        again.replace(b'"another"', b'"a", "reasoning": "T"'),
        again.replace(b'"another"', b'"a\nb"'),
    ):
        assert match(other) is None


def test_the_shapes_of_a_process_are_bounded_and_shared() -> None:
    shapes = Shapes()
    for number in range(100):
        shapes.find(Kind.TEXT, 2, skeleton(model=f"m{number}"))
    assert len(shapes._known) == Shapes._MOST
    assert shapes.find(Kind.TEXT, 2, skeleton(model="m99")) is shapes.find(
        Kind.TEXT, 2, skeleton(model="m99")
    )


@pytest.mark.parametrize(
    ("piece", "text"),
    [(b"a\\nb", "a\nb"), (b'say \\"hi\\"', 'say "hi"'), (b"\\u003c", "<"), (b"caf\xc3\xa9", "café")],
)
def test_the_inside_of_one_string(piece: bytes, text: str) -> None:
    assert string_text(piece) == text


@pytest.mark.parametrize("piece", [b'a","reasoning":"T', b"a\\", b'a\\\\"', b"\xff", b"\\q", b"a\nb"])
def test_what_is_not_the_inside_of_exactly_one_string(piece: bytes) -> None:
    assert string_text(piece) is None


def counted(usage: dict[str, object]) -> bytes:
    chunk = {"choices": [{"index": 2, "delta": {"content": "x"}}], "usage": usage, "model": "m"}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_a_lane_with_a_usage_leaves_its_numbers_open_and_nothing_else() -> None:
    raw = counted({"prompt_tokens": 9, "completion_tokens": 10, "details": [{"kind": "TEXT", "n": 1}]})
    found = lane_of(CHAT.frame(raw, 6, len(raw) - 2), Kind.TEXT_COUNTED)
    assert found is not None
    assert found.counts == b'{"prompt_tokens": , "completion_tokens": , "details": [{"kind": "TEXT", "n": }]}'
    usage = raw[len(found.prefix) + 1 + len(found.middle) : -len(found.suffix)]
    assert raw == found.prefix + b"x" + found.middle + usage + found.suffix
    assert usage.translate(None, b"0123456789") == found.counts
    for odd in ({"completion_tokens": 1, "note": "a long string that no table knows"}, {"other": 1}):
        raw = counted(odd)
        assert lane_of(CHAT.frame(raw, 6, len(raw) - 2), Kind.TEXT_COUNTED) is None
