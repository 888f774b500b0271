"""Framing of JSON lines: borders under every line end and every split; what clients split at is escaped."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.facts import Decision
from hardening.wire.ndjson import Line, LineFramer, write_line
from tests.exchanges import HIDDEN, SHADOW, TRACE, exchange

STREAM = b'{"a":"\xc2\x85 \xe2\x80\xa8"}\n\n{"b":"\r"}\r\n  \n{"c":3}\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_lines_partition_the_input_and_hold_the_same_data_under_any_split(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(STREAM)]
    framer = LineFramer()
    lines = [line for a, b in itertools.pairwise(borders) for line in framer.feed(STREAM[a:b])]
    assert b"".join(lines) + framer.rest() == STREAM
    data = [Line(line).data for line in lines]
    assert data == [b'{"a":"\xc2\x85 \xe2\x80\xa8"}', b"", b'{"b":"\r"}', b"", b'{"c":3}']


def test_a_line_knows_its_end_and_a_last_one_may_have_none() -> None:
    framer = LineFramer()
    assert framer.feed(b"{}\r\n{") == [b"{}\r\n"]
    assert Line(b"{}\r\n").eol == b"\r\n"
    assert framer.rest() == b"{"
    assert framer.rest() == b""


def test_an_endless_line_is_refused() -> None:
    framer = LineFramer(limit_bytes=10)
    framer.feed(b"1234567890")
    with pytest.raises(WireError):
        framer.feed(b"1")


def test_what_is_written_holds_no_line_end_that_a_client_splits_at() -> None:
    text = "a\x85b\u2028c\u2029d"
    line = write_line(json.dumps({"t": text}, ensure_ascii=False).encode(), eol=b"\n")
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line)["t"] == text


def _lines() -> list[bytes]:
    deltas = [*({"reasoning": word} for word in TRACE.split(" ")), {"content": "Three."}]
    return [json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n" for delta in deltas]


@pytest.mark.parametrize("decision", [HIDDEN, SHADOW])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_of_lines_is_hardened_like_one_of_events(decision: Decision, size: int) -> None:
    made = exchange(decision=decision)
    made.start(200, [(b"content-type", b"application/x-ndjson; charset=utf-8")])
    body = b"".join(_lines())
    out = b"".join(made.receive(body[at : at + size], 0.0) for at in range(0, len(body), size)) + made.end(
        0.0
    )
    if decision is SHADOW:
        assert out == body
    else:
        assert b"apples" not in out
        assert [json.loads(line) for line in out.splitlines()][-1]["choices"][0]["delta"][
            "content"
        ] == "Three."


def test_what_is_rewritten_in_a_line_holds_none_either() -> None:
    told = [
        {"content": "a <"},
        {"content": "think>T</think>b\x85c\u2028d\u2029"},
        {"reasoning": [{"text": "T", "kind": "\u2028"}]},
    ]
    lines = [
        json.dumps({"choices": [{"index": 0, "delta": delta}]}, ensure_ascii=False).encode() + b"\n"
        for delta in told
    ]
    made = exchange()
    made.start(200, [(b"content-type", b"application/x-ndjson")])
    out = b"".join(made.receive(line, 0.0) for line in lines) + made.end(0.0)
    values = [json.loads(line) for line in out.decode().splitlines()]
    said = "".join(value["choices"][0]["delta"].get("content") or "" for value in values)
    assert said.endswith("b\x85c\u2028d\u2029")
