"""Reasoning values in any shape, and seals that are none."""

from __future__ import annotations

import base64
import json
import random
import zlib

import pytest

from hardening.errors import WireError
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


def signed(text: str | None, signature: str = "Zm9v8xq=", **more: object) -> dict[str, object]:
    said = {} if text is None else {"text": text}
    return {"type": "reasoning.text", **said, "signature": signature, **more}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ([signed("T", index=0), DETAILS[1]], [signed("S", "", index=0), DETAILS[1]]),
        ([signed("T"), signed("U")], [signed("S", "")]),
        ([signed("", index=4), signed("T", index=5)], [signed("", index=4), signed("S", "", index=5)]),
        ({"reasoningText": signed("T")}, {"reasoningText": signed("S", "")}),
        ({"type": "thinking", "thinking": [{"text": "T"}], "signature": "Zm9v8xq="}, {"type": "thinking", "thinking": [{"text": "S"}], "signature": ""}),
    ],
)  # fmt: skip
def test_a_signature_goes_with_the_text_that_it_signs(value: object, left: object) -> None:
    assert json.loads(with_text(json.dumps(value).encode(), "S", format="t")) == left


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ([signed("T"), DETAILS[1]], [DETAILS[1]]),
        ([signed("T", index=0), signed(None, index=0)], []),
        ([signed(None)], []),
        ([signed("")], []),
        ([signed("T", index=0), signed("", index=1)], [signed("", index=1)]),
        ([signed(None, data="Zm9v8xq=")], [signed(None, data="Zm9v8xq=")]),
        ({"text": "T", "signature": "Zm9v8xq="}, {"text": "", "signature": ""}),
    ],
)
def test_of_a_text_that_goes_no_signature_stays(value: object, left: object) -> None:
    assert json.loads(with_text(json.dumps(value).encode(), "", format="t")) == left


def test_depth_is_followed_or_refused() -> None:
    """Catches an error that no policy has an answer to."""
    assert json.loads(with_text(b"[" * 300 + b'"T"' + b"]" * 300, "", format="t")) == []
    with pytest.raises(WireError):
        with_text(b"[" * 900 + b'"T"' + b"]" * 900, "S", format="t")


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
