"""Shapes: what stands around a payload, and what of it may change."""

from __future__ import annotations

import json

import pytest

from hardening.wire.around import Around
from hardening.wire.codec import CODECS
from hardening.wire.shapes import Kind, Shape, shape_of, string_text, text_of
from hardening.wire.sse import SseFrame

CHAT = CODECS["openai_chat"]


def frame(text: str = "x", *, field: str = "content", **more: object):  # type: ignore[no-untyped-def]
    chunk = {
        "id": "c1",
        "created": 17,
        "choices": [{"index": 2, "delta": {field: text}, "finish_reason": None}],
        **more,
    }
    event = SseFrame(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    return CHAT.frame(event.raw, event.data_at, event.data_end, source=event.source)


def shape(kind: Kind = Kind.TEXT, **more: object) -> Shape:
    found = shape_of(frame(**more), kind)  # type: ignore[arg-type]
    assert found is not None
    return found


def around(found: Shape, opened: frozenset[int] = frozenset()) -> Around:
    sites = [found.sites[place] for place in opened]
    return Around(found.frame.raw, found.payload, slot=found.slot, opened=sites)


def test_a_shape_is_the_bytes_around_the_payload() -> None:
    found = around(shape())
    assert found.prefix + b"x" + found.suffix == frame().raw
    assert shape().index == 2
    assert shape(Kind.REASONING, field="reasoning").kind is Kind.REASONING


@pytest.mark.parametrize(
    "more",
    [{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}, {"note": "a long string of an unknown kind"}],
)
def test_frames_with_more_to_say_have_no_shape(more: dict[str, object]) -> None:
    assert shape_of(frame("x", **more), Kind.TEXT) is None


def test_a_frame_of_another_kind_has_no_shape() -> None:
    assert shape_of(frame(), Kind.REASONING) is None
    assert shape_of(frame(), Kind.ROWS) is None


def test_what_means_nothing_may_change_and_nothing_else() -> None:
    found = shape()
    again = frame('yes \\ "no"').raw
    assert found.changed(again) == frozenset()
    assert found.changed(again.replace(b'"c1"', b'"another"')) == {0}
    assert found.changed(again.replace(b'"created": 17', b'"created": 1977')) == {1}
    for old, new in (
        (b'"index": 2', b'"index": 3'),
        (b'"finish_reason": null', b'"finish_reason": "stop"'),
        (b'"finish_reason": null', b'"finish_reason": true'),
        (b'"delta": {', b'"delta": {"reasoning": "T", '),
        (b'"c1"', b'"a", "reasoning": "T"'),
        (b'"c1"', b'"a\nb"'),
        (b'"c1"', b'"a\\"'),
        (b'"created": 17', b'"created": 017'),
        (b'"created": 17', b'"created": 1e9'),
        (b'"created": 17', b'"created": "17"'),
        (b"}\n\n", b'}, "reasoning": "T"}\n\n'),
        (b"}\n\n", b"}\n\ndata: {}\n\n"),
        (b"data: ", b"event: x\ndata: "),
    ):
        assert found.changed(again.replace(old, new)) is None


def test_only_what_is_opened_may_differ() -> None:
    found, other = shape(), frame().raw.replace(b'"c1"', b'"c2"')
    assert around(found).read(other) is None
    assert around(found, frozenset({1})).read(other) is None
    read = around(found, frozenset({0})).read(other)
    assert read is not None
    assert read.values == [b"c2"]
    assert other[slice(*read.payload)] == b"x"


ROW = {"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}


def rows(**more: object) -> bytes:
    choice = {
        "index": 2,
        "delta": {"content": "x"},
        "logprobs": {"content": [ROW]},
        "finish_reason": None,
    }
    chunk = {"id": "c1", "choices": [choice], "obfuscation": "abc", "created": 17, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_behind_a_slot_strings_may_change() -> None:
    raw = rows()
    found = shape_of(CHAT.frame(raw, 6, len(raw) - 2), Kind.ROWS)
    assert found is not None
    assert found.changed(rows(id="c2", obfuscation="")) == {0, 1}
    read = around(found, frozenset({0, 1})).read(rows(id="c77", obfuscation="?"))
    assert read is not None
    assert read.values == [b"c77", b"?"]
    assert json.loads(rows(id="c77", obfuscation="?")[slice(*read.slot)]) == [ROW]
    for odd in (rows(created=18), rows(obfuscation="a\\n"), rows(x=1)):
        assert found.changed(odd) is None


@pytest.mark.parametrize(
    ("piece", "text"),
    [(b"a\\nb", "a\nb"), (b'say \\"hi\\"', 'say "hi"'), (b"\\u003c", "<"), (b"caf\xc3\xa9", "café")],
)
def test_the_inside_of_one_string(piece: bytes, text: str) -> None:
    assert string_text(piece) == text_of(piece) == text


@pytest.mark.parametrize("piece", [b'a","reasoning":"T', b"a\\", b'a\\\\"', b"\xff", b"\\q", b"a\nb"])
def test_what_is_not_the_inside_of_exactly_one_string(piece: bytes) -> None:
    assert string_text(piece) is None


def test_a_shape_with_a_usage_needs_one_that_can_be_read() -> None:
    for usage, kind in (
        ({"prompt_tokens": 9, "completion_tokens": 10}, True),
        ({"completion_tokens": 1, "note": "a long string that no table knows"}, False),
        ({"other": 1}, False),
    ):
        chunk = {"choices": [{"index": 2, "delta": {"content": "x"}}], "usage": usage, "model": "m"}
        raw = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        found = shape_of(CHAT.frame(raw, 6, len(raw) - 2), Kind.TEXT_COUNTED)
        assert (found is not None) is kind
        if found is not None:
            assert json.loads(raw[slice(*found.slot)]) == usage
