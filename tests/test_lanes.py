"""Lanes skip the parse and nothing else: with and without them the same bytes leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.exchange import Exchange, Settlement
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.lanes import Lanes
from hardening.wire.codec import CODECS
from tests.exchanges import TOOLS, line, spoken

FACTS = RequestFacts(door="chat", format="openai_chat", stream=True)
DECISIONS = [
    Decision(reasoning=ReasoningTerms("summary"), logprobs=LogprobTerms(1, 0.25)),
    Decision(reasoning=ReasoningTerms("none"), logprobs=LogprobTerms(0)),
    Decision(reasoning=ReasoningTerms("full"), logprobs=LogprobTerms(2)),
    Decision(enforced=False),
]


def chunk(kind: str, text: str, number: int, *, ids: bool) -> bytes:
    delta = {"reasoning" if kind == "trace" else "content": text}
    choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    if kind == "rows":
        row = {"token": text, "logprob": -0.3, "bytes": list(text.encode())}
        choice["logprobs"] = {
            "content": [{**row, "top_logprobs": [row, {**row, "token": "?"}]}],
            "refusal": None,
        }
    head = {"id": f"c{number if ids else 0}", "object": "chat.completion.chunk", "created": 1}
    return b"data: " + json.dumps({**head, "choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


def run(decision: Decision, chunks: list[bytes]) -> tuple[bytes, Settlement]:
    exchange = Exchange(CODECS["openai_chat"], FACTS, decision, TOOLS)
    exchange.start(200, [(b"content-type", b"text/event-stream")])
    out = [exchange.receive(data, 0.0) for data in chunks]
    return b"".join(out) + exchange.end(0.0), exchange.settlement()


_texts = st.sampled_from(
    [
        "Yes",
        " so",
        "[",
        "<",
        "[-",
        " <",
        "th",
        "ink>",
        "<think>",
        "</think>",
        "\n",
        '"',
        "[THINK]",
        "é",
        "◁",
        "`",
        "a" * 25,
    ]
)
_pieces = st.lists(st.tuples(st.sampled_from(["text", "trace", "rows", "text"]), _texts), max_size=30)


@settings(max_examples=150, deadline=None)
@given(pieces=_pieces, ids=st.booleans(), which=st.integers(0, len(DECISIONS) - 1))
def test_with_and_without_lanes_the_same_leaves(pieces: list[tuple[str, str]], ids: bool, which: int) -> None:
    chunks = [chunk(kind, text, number, ids=ids) for number, (kind, text) in enumerate(pieces)]
    with_lanes, settled = run(DECISIONS[which], chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lanes, "learn", lambda *_, **__: None)
        without, expected = run(DECISIONS[which], chunks)
    assert with_lanes == without
    assert (settled.changed, settled.reasons) == (expected.changed, expected.reasons)


def test_a_long_stream_is_read_in_full_a_few_times_only() -> None:
    reads = 0
    real = CODECS["openai_chat"].frame

    class Counting:
        def __getattr__(self, name: str) -> object:
            nonlocal reads
            reads += name == "frame"
            return getattr(CODECS["openai_chat"], name)

    assert real is not None
    for ids, at_most in ((False, 1), (True, 3)):
        reads = 0
        exchange = Exchange(Counting(), FACTS, DECISIONS[0], TOOLS)  # type: ignore[arg-type]
        exchange.start(200, [(b"content-type", b"text/event-stream")])
        for number in range(200):
            text = ["word", "[", "-1]", ' "x"', "\n"][number % 5]
            exchange.receive(chunk("text", text, number, ids=ids), 0.0)
        assert reads <= at_most


@pytest.mark.parametrize("ids", [False, True])
def test_a_trace_between_known_bytes_is_still_found(ids: bool) -> None:
    chunks = [chunk("text", "yes", number, ids=ids) for number in range(30)]
    smuggled = chunks[-1].replace(b'"yes"', b'"yes","reasoning":"the hidden trace of the model"')
    for at in (1, 5, 9, 20, 30):
        out, _ = run(DECISIONS[1], [*chunks[:at], smuggled, *chunks[at:]])
        assert b"hidden trace" not in out


@pytest.mark.parametrize("kind", ["text", "trace"])
@pytest.mark.parametrize("ids", [False, True])
def test_what_only_ends_as_a_lane_does_is_read_in_full(kind: str, ids: bool) -> None:
    """Catches a lane that asks how long a frame is and not how it begins."""
    chunks = [chunk(kind, "yes", number, ids=ids) for number in range(4)]
    begins, ends = chunks[0].split(b"yes")
    for forged in (
        b"d" * len(begins) + b"odd" + ends,
        b"odd" + ends,
        begins + b"odd" + ends[:-3],
        begins,
        ends,
    ):
        with_lanes, settled = run(DECISIONS[1], [*chunks, forged, b"\n\n", *chunks])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lanes, "learn", lambda *_, **__: None)
            without, expected = run(DECISIONS[1], [*chunks, forged, b"\n\n", *chunks])
        assert (with_lanes, settled) == (without, expected)


def _trace_rows(number: int) -> bytes:
    return chunk("rows", f"step {number} ", number, ids=False).replace(b'"content":"', b'"reasoning":"', 1)


def test_events_that_come_at_once_are_each_taken() -> None:
    """Catches a lane that takes the first of several for all of them."""
    traced = [_trace_rows(number) for number in range(4)]
    said = chunk("text", "word", 0, ids=False)
    for decision in DECISIONS:
        apart = run(decision, [*traced, *traced, said, *traced])
        assert run(decision, [*traced, b"".join([*traced, said, *traced])]) == apart
        assert b"word" in apart[0]


def test_a_line_whose_time_changes_is_compared() -> None:
    reads = 0

    class Counting:
        def __getattr__(self, name: str) -> object:
            nonlocal reads
            reads += name == "frame"
            return getattr(CODECS["ollama_chat"], name)

    exchange = Exchange(Counting(), FACTS, DECISIONS[0], TOOLS)  # type: ignore[arg-type]
    exchange.start(200, [(b"content-type", b"application/x-ndjson")])
    for number in range(200):
        text = ["word", "-1]", ' "x"', "\n", "é"][number % 5]
        data = line(number, **(spoken("", thinking=text) if number < 100 else spoken(text)))
        out = exchange.receive(data, 0.0)
        assert number <= 100 or out == data
    assert reads == 3  # of traces the first, which begins the answer, and one that goes; of texts the first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"created_at":"', b'"created_at":"","thinking":"hidden","x":"'),
        (b"00Z", b'00Z\\"'),
        (b"00Z", b"0\n0"),
        (b'"done":false', b'"done":false,"thinking":"hidden"'),
        (b'"content":"', b'"thinking":"hidden","content":"'),
    ],
)
def test_a_gap_holds_one_string_and_nothing_else(old: bytes, new: bytes) -> None:
    good = [line(number * 100, **spoken("yes")) for number in range(3)]
    odd = good[0].replace(old, new, 1)
    assert odd != good[0]

    def left(*, compared: bool) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            if not compared:
                patch.setattr(Lanes, "learn", lambda *_, **__: None)
            exchange = Exchange(CODECS["ollama_chat"], FACTS, DECISIONS[1], TOOLS)
            exchange.start(200, [(b"content-type", b"application/x-ndjson")])
            return b"".join(exchange.receive(data, 0.0) for data in [*good, odd, *good]) + exchange.end(0.0)

    assert left(compared=True) == left(compared=False)
    assert b"hidden" not in left(compared=True)
