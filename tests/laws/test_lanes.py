"""Law 1 and 2: a frame that is only compared is treated as one that is read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Decision, LogprobTerms, ReasoningTerms
from hardening.lanes import Lanes
from hardening.wire.shapes import Lane
from tests.exchanges import DONE, HIDDEN, SUMMARISED, chunk, event, exchange, gemini_event, spoke

TEXTS = [
    "a",
    " word",
    "",
    "é 漢",
    'say "hi"',
    "a\nb",
    "\\",
    "<",
    "[",
    "◁",
    "<think>",
    "</think>",
    "x</thi",
    "nk>y",
    "a\u2028b",
    "tab\t",
]
FIELDS = ["content", "content", "content", "reasoning_content", "reasoning_content", "reasoning"]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    text, field = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(FIELDS))
    more: dict[str, object] = {}
    if draw(st.integers(0, 4)) == 0:
        more["logprobs"] = {
            "content": [
                {
                    "token": text,
                    "logprob": -1.3,
                    "bytes": None,
                    "top_logprobs": [
                        {"token": t, "logprob": v, "bytes": None}
                        for t, v in ((text, -1.3), ("b", -2.0), ("c", -3.1))
                    ],
                }
            ]
        }
    if draw(st.integers(0, 5)) == 0:
        more["usage"] = draw(st.sampled_from([None, {"prompt_tokens": 2, "completion_tokens": 3}]))
    raw = chunk(
        {field: text},
        index=draw(st.integers(0, 1)),
        finish=draw(st.sampled_from([None] * 9 + ["stop"])),
        **more,
    )
    change = draw(st.integers(0, 9))
    if change == 0:
        raw = raw.replace(
            b'"chatcmpl-1"', json.dumps("id-" + draw(st.sampled_from(["1", "22", '"', "\\"]))).encode()
        )
    elif change == 1:
        raw = raw.replace(b'"created": 1', b'"created": %d' % draw(st.integers(0, 999)))
    elif change == 2:
        raw = raw.replace(b'"delta": {', b'"delta": {"reasoning": "hidden piece", ')
    elif change == 3:
        raw = raw.replace(
            b'"model": "m"',
            b'"model": "m", "choices": [{"index": 0, "delta": {"reasoning": "first of two equal keys"}}]',
        )
    elif change == 4:
        raw = raw.replace(b'"model": "m"', b'"model": "m", "x_%d": "y"' % draw(st.integers(0, 3)))
    elif change == 5:
        raw = raw.replace(b"\\", b"", 1)
    return raw


class ReadInFull(Lanes):
    """Knows no shape, so that every frame is read."""

    __slots__ = ()

    def take(self, lane: Lane, data: bytes) -> bytes | None:
        """Never."""
        return None

    def change(self, raw: bytes) -> bytes | None:
        """Never."""
        return None


def through(
    pieces: Sequence[bytes], decision: Decision, *, compared: bool, format: str = "openai_chat"
) -> tuple[bytes, tuple[str, ...]]:
    made = exchange(format, decision)
    if not compared:
        made._lanes.__class__ = ReadInFull
    out = b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)
    return out, made.settlement().changed


@pytest.mark.parametrize(
    "decision",
    [
        SUMMARISED,
        HIDDEN,
        Decision(logprobs=LogprobTerms(top=2, step=0.25)),
        Decision(reasoning=ReasoningTerms(show="none", inline="starts_open")),
        Decision(),
    ],
)
@given(stream=st.lists(frames(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_compared_and_read_frames_leave_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6], DONE]
    assert through(pieces, decision, compared=True) == through(pieces, decision, compared=False)


DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":"%b"}}\n\n'


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([(b"thinking_delta", b"thinking"), (b"text_delta", b"text")]),
            st.sampled_from([b"a", b" word", b"", b"\\u003cthink>", b"\\n", b'\\"', b"</think>"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_messages_alike(parts: list[tuple[int, tuple[bytes, bytes], bytes]]) -> None:
    pieces = [DELTA % (index, *kind, text) for index, kind, text in parts]
    pieces += [event("content_block_stop", index=index) for index in range(3)]
    compared = through(pieces, SUMMARISED, compared=True, format="anthropic_messages")
    assert compared == through(pieces, SUMMARISED, compared=False, format="anthropic_messages")


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A chunk of Gemini's, now and then with something that its neighbours did not have."""
    part: dict[str, object] = {"text": draw(st.sampled_from(TEXTS))}
    if draw(st.booleans()):
        part["thought"] = True
    counts = {
        "thoughtsTokenCount": draw(st.integers(0, 999)),
        "candidatesTokenCount": draw(st.integers(0, 99)),
    }
    finish = draw(st.sampled_from([None] * 9 + ["STOP"]))
    raw = gemini_event(spoke(part, index=draw(st.sampled_from([0, 0, 0, 1])), finish=finish, **counts))
    old, new = draw(
        st.sampled_from(
            [
                *[(b"", b"")] * 6,
                (b'"thoughtsTokenCount"', b'"thoughts1TokenCount"'),
                (b'"usageMetadata": {', b'"usageMetadata": {"trafficType": "ON_DEMAND",'),
                (b'"parts": [', b'"parts": [{"text": "hidden piece","thought": true},'),
                (b'"responseId"', b'"thoughts": "hidden piece","responseId"'),
                (b'"text": "', b'"text": "\\"}],\\"'),
            ]
        )
    )
    return raw.replace(old, new, 1) if old else raw


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision()])
@given(stream=st.lists(responses(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_responses_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6]]
    compared = through(pieces, decision, compared=True, format="gemini_generate")
    assert compared == through(pieces, decision, compared=False, format="gemini_generate")


def test_the_last_count_of_a_lane_is_the_count() -> None:
    """Catches a usage that is lost, or an earlier one that stands, where frames were only compared."""
    made = exchange("gemini_generate", SUMMARISED)
    for number in range(1, 30):
        made.receive(gemini_event(spoke({"text": f"word{number} "}, candidatesTokenCount=number)), 0.0)
    assert made._lanes.lane is not None
    last = gemini_event(spoke({"text": ""}, finish="STOP"))
    made.receive(last, 0.0)
    assert made.settlement().usage.completion == 29


def test_a_usage_that_says_more_than_numbers_is_read() -> None:
    """Catches a copy of the trace that passes beside the numbers of a lane."""
    made = exchange("gemini_generate", HIDDEN)
    for at in range(6):
        made.receive(
            gemini_event(spoke({"text": f"A long thought, number {at} of them.", "thought": True})), 0.0
        )
    said = [gemini_event(spoke({"text": f"word{at} "}, candidatesTokenCount=at)) for at in range(6)]
    assert [made.receive(piece, 0.0) for piece in said][1:] == said[1:]
    copy = said[-1].replace(
        b'"candidatesTokenCount": 5', b'"candidatesTokenCount": "A long thought, number 1 of"'
    )
    assert b"A long thought" not in made.receive(copy, 0.0)
    two = b"".join(said[:2])
    assert made.receive(two, 0.0) == two
