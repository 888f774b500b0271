"""Reasoning values in any shape, and seals that are none."""

from __future__ import annotations

import base64
import json
import random
import zlib

import pytest

from hardening.wire.traces import is_readable, trace_of, with_text

DETAILS = [
    {"type": "reasoning.text", "text": "first", "format": "f", "index": 0},
    {"type": "reasoning.encrypted", "data": "Zm9v8xq=", "index": 1},
    {"type": "reasoning.summary", "summary": " second", "index": 2},
]


def test_text_is_found_in_every_shape_and_labels_are_not_text() -> None:
    assert trace_of("abc") == "abc"
    assert trace_of(DETAILS) == "first second"
    assert trace_of([{"type": "thinking", "thinking": [{"type": "text", "text": "deep"}]}]) == "deep"
    assert trace_of([{"type": "reasoning.encrypted", "data": "Zm9v8xq="}]) == ""


def test_a_text_takes_the_first_place_and_what_is_opaque_stays() -> None:
    assert json.loads(with_text(json.dumps(DETAILS).encode(), "S", format="t")) == [
        {"type": "reasoning.text", "text": "S", "format": "f", "index": 0},
        DETAILS[1],
    ]
    assert json.loads(with_text(json.dumps(DETAILS).encode(), "", format="t")) == [DETAILS[1]]
    assert with_text(b'[{"type":"text","text":"x"}]', "", format="t") == b"[]"
    assert with_text(b'"x"', "", format="t") == b'""'
    assert (
        with_text(b'{"type":"reasoning","text":"x","n":1}', "", format="t")
        == b'{"type":"reasoning","text":"","n":1}'
    )


TRACE = "We need to find the number of apples that are left. " * 20


@pytest.mark.parametrize(
    "blob",
    [
        TRACE,
        base64.b64encode(TRACE.encode()).decode(),
        base64.urlsafe_b64encode(TRACE.encode()).decode().rstrip("="),
        "sglang-reasoning-v1." + base64.b64encode(zlib.compress(TRACE.encode())).decode(),
        base64.b64encode(zlib.compress(("先に数える。" * 50).encode())).decode(),
    ],
)
def test_a_seal_that_anybody_can_read_is_none(blob: str) -> None:
    assert is_readable(blob)
    assert trace_of([{"type": "reasoning.encrypted", "data": blob}]) == blob


def test_noise_is_opaque() -> None:
    rng = random.Random(1)
    for size in (8, 24, 64, 600):
        blob = base64.b64encode(rng.randbytes(size)).decode()
        assert not is_readable(blob)
    assert not is_readable("".join(rng.choice("0123456789abcdef") for _ in range(64)))
    assert not is_readable("")


def test_half_a_surrogate_pair_beside_a_trace_is_written_as_it_came() -> None:
    """Catches an error of the serialiser where a server cut a character in two."""
    raw = rb'{"id":"\ud83d","thinking":"a trace"}'
    assert json.loads(with_text(raw, "", format="f")) == {"id": "\ud83d", "thinking": ""}
