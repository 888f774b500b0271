"""Law 1 and 2: a frame that is only compared is treated as one that is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardening.facts import Decision, LogprobTerms, ReasoningTerms
from hardening.lanes import NO_LANE, Lanes
from hardening.wire.frame import Frame
from tests.exchanges import (
    DONE,
    HIDDEN,
    SUMMARISED,
    chunk,
    completion,
    event,
    exchange,
    gemini_event,
    line,
    said,
    spoke,
    spoken,
)

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
ROUNDED = replace(HIDDEN, usage="round")
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
        more["usage"] = draw(
            st.sampled_from(
                [
                    None,
                    {"prompt_tokens": 2, "completion_tokens": 3},
                    {"prompt_tokens": 2, "completion_tokens": 70},
                ]
            )
        )
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

    def learn(self, frame: Frame, out: bytes, *, same: bool, masked: bool) -> None:
        """Nothing."""


def through(
    pieces: Sequence[bytes],
    decision: Decision,
    *,
    compared: bool,
    format: str = "openai_chat",
    sse: bool = True,
) -> tuple[bytes, tuple[str, ...]]:
    made = exchange(format, decision, sse=sse)
    if not compared:
        made._reply.lanes.__class__ = ReadInFull
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
        ROUNDED,
        Decision(usage="round"),
    ],
)
@given(stream=st.lists(frames(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_compared_and_read_frames_leave_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6], DONE]
    assert through(pieces, decision, compared=True) == through(pieces, decision, compared=False)


def test_a_choice_that_goes_on_after_its_end_is_seen_by_the_counts() -> None:
    """Catches a piece that was compared, of a choice that was called finished: the count of a part then left."""
    row = {"token": "a", "logprob": -1.3, "bytes": None, "top_logprobs": []}
    rows = {"content": [row]}
    over = chunk({"content": "a"}, index=1, finish="stop", logprobs=rows)
    more = chunk({"content": "a"}, index=1, logprobs=rows)
    count = {"prompt_tokens": 2, "completion_tokens": 3}
    last = chunk({"content": "a"}, finish="stop", logprobs=rows, usage=count)
    pieces = [more, over, more, last, DONE]
    rounded = Decision(usage="round")
    assert through(pieces, rounded, compared=True) == through(pieces, rounded, compared=False)


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_an_answer_behind_rows_that_go_is_read(field: str, decision: Decision) -> None:
    """Catches rows that are taken for all that stands before the end of the frame: another choice went with them."""
    row = {"token": "x", "logprob": -1.3, "bytes": None, "top_logprobs": []}
    first = chunk({field: "a"}, logprobs={"content": [row]})
    other = chunk({"content": "an answer"}, index=1, logprobs={"content": [row]})
    choices = [other[other.index(b'{"index"') : -len(b"]}\n\n")], b"]}\n\n"]
    both = b"".join((first.removesuffix(b"]}\n\n"), b", ", *choices))
    out, _ = through([first, first, both], decision, compared=True)
    assert said(out, "content", index=1) == "an answer"


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


PIECES = [
    "a",
    " word",
    "",
    'say "hi"',
    "a\nb",
    "\\",
    "<",
    "<think>",
    "x</thi",
    "nk>y",
    "</think>",
    "é",
    'x","logprobs":[]',
]
ORDERS = [
    ["type", "sequence_number", "item_id", "output_index", "delta", "logprobs", "obfuscation"],
    ["delta", "item_id", "logprobs", "obfuscation", "output_index", "sequence_number", "type"],
    ["delta", "item_id", "logprobs", "output_index", "sequence_number", "type"],
    ["type", "obfuscation", "delta", "sequence_number", "logprobs"],
    ["type", "item_id", "output_index", "delta"],
]  # fmt: skip


@st.composite
def told(draw: st.DrawFn) -> list[bytes]:
    """Pieces of texts and traces in one order of members, counted, each now and then in an odd way."""
    order = draw(st.sampled_from(ORDERS))
    number = draw(st.sampled_from([0, 3, 8, 97]))
    frames = []
    for _ in range(draw(st.integers(0, 30))):
        kind = draw(st.sampled_from(["output_text.delta", "output_text.delta", "reasoning_text.delta"]))
        value: dict[str, object] = {
            "type": f"response.{kind}",
            "sequence_number": number,
            "item_id": draw(st.sampled_from(["msg_1"] * 9 + ["msg_2"])),
            "output_index": draw(st.integers(0, 1)) if draw(st.integers(0, 9)) == 0 else 1,
            "delta": draw(st.sampled_from([*"abcdefghi", *PIECES])),
            "logprobs": [],
            "obfuscation": draw(st.sampled_from(["abc", "", "xyzw", 'q"', "{}"])),
        }
        change = draw(st.integers(0, 12))
        if change == 0:
            value["reasoning_note"] = "a hidden piece"
        elif change == 1:
            value["text"] = "all of it"
        raw = json.dumps(
            {
                name: value[name]
                for name in (*order, *value)
                if name in value and (name in order or change < 2)
            }
        )
        if change == 2:
            raw = raw.replace(
                f'"sequence_number": {number}', f'"sequence_number": 5, "sequence_number": {number}'
            )
        elif change == 3:
            number += draw(st.sampled_from([-number, 2, 10]))
        frames.append(f"event: response.{kind}\ndata: {raw}\n\n".encode())
        if draw(st.integers(0, 9)) == 0:
            number += 1
            done = {"type": "response.output_item.done", "sequence_number": number, "output_index": 1}
            frames.append(event("response.output_item.done", **{**done, "item": {"type": "message"}}))
        number += 1
    return frames  # fmt: skip


def uncounted(kind: str) -> bytes:
    """A piece without a number, of the text or the trace of one item."""
    return event(f"response.{kind}.delta", item_id="rs_1", output_index=1, delta="a")


OVER = event("response.output_item.done", output_index=1, item={"type": "message"})


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision(logprobs=LogprobTerms(top=2, step=0.25))])
@example(
    # A shape is learnt of traces that are over, each: what the next one's summary is written into is gone.
    stream=[*[uncounted("reasoning_text"), OVER] * 10, *map(uncounted, ["reasoning_text", "output_text"])],
    joined=False,
)
@given(stream=told(), joined=st.booleans())
@settings(max_examples=200, deadline=None)
def test_responses_alike(decision: Decision, stream: list[bytes], joined: bool) -> None:
    """Catches a number that is lost, kept or counted twice where a frame was only compared."""
    pieces = [b"".join(stream)] if joined else stream
    compared = through(pieces, decision, compared=True, format="openai_responses")
    assert compared == through(pieces, decision, compared=False, format="openai_responses")


def test_a_member_behind_the_padding_is_read() -> None:
    """Catches padding that is taken for all that stands before the end of the frame."""
    made = exchange("openai_responses", HIDDEN)
    for number in range(5):
        more = {"reasoning_note": "a piece"} if number == 4 else {}
        value = {
            "sequence_number": number,
            "type": "response.output_text.delta",
            "delta": "a",
            "obfuscation": "abc",
            **more,
        }
        out = made.receive(f"data: {json.dumps(value)}\n\n".encode(), 0.0)
    assert b"a piece" not in out
    assert b'"delta": "a"' in out


@pytest.mark.parametrize("order", ORDERS[:3])
@pytest.mark.parametrize("first", [0, 7])
def test_counted_frames_are_compared(order: list[str], first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a lane that is never found, so that every chunk is read in full."""
    made = exchange("openai_responses", HIDDEN)
    read: list[bytes] = []
    whole = made._codec.frame

    def frame(raw: bytes, *places: int, source: bytes) -> Frame:
        read.append(source)
        return whole(raw, *places, source=source)

    for kind in ("reasoning_text", "output_text"):
        for number in range(first, first + 30):
            value = {
                "type": f"response.{kind}.delta",
                "sequence_number": number,
                "item_id": kind,
                "output_index": 1,
                "delta": f"w{number}",
                "logprobs": [],
                "obfuscation": "x" * (number % 5),
            }
            raw = json.dumps({name: value[name] for name in order})
            made.receive(f"event: response.{kind}.delta\ndata: {raw}\n\n".encode(), 0.0)
            if number == first:
                monkeypatch.setattr(type(made._codec), "frame", lambda _, *a, **k: frame(*a, **k))
        first += 30
    assert len(read) == 1  # the first text


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line of Ollama's chat, now and then with more in it, or with another time."""
    text, field = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(["content", "content", "thinking"]))
    said = spoken("", thinking=text) if field == "thinking" else spoken(text)
    row = {"token": text, "logprob": -1.3, "bytes": None, "top_logprobs": []}
    more = {"logprobs": [row, row]} if draw(st.integers(0, 4)) == 0 else {}
    raw = line(draw(st.integers(0, 9)), **said, **more, done=draw(st.integers(0, 9)) == 0)  # type: ignore[arg-type]
    old, new = draw(
        st.sampled_from(
            [
                (b"", b""),
                (b"", b""),
                (b'Z"', b'Z","thinking":"first"'),
                (b'Z"', b'Z\\"'),
                (b'"role"', b'"my_thought":"T","role"'),
                (b'"done":', b'"context":[1,2],"done":'),
                (b'"done":false', b'"done":null'),
                (b"Z", b"\n"),
                (b'"content":""', b'"content":"x"'),
                (b"\\", b""),
            ]
        )
    )
    return raw.replace(old, new, 1) if old else raw


def rowed(text: str) -> bytes:
    """A line with rows of one token, whatever they spell."""
    row = {"token": "a", "logprob": -1.3, "bytes": None, "top_logprobs": []}
    return line(**spoken(text), logprobs=[row])


BEHIND_ROWS = (b'"done":', b'"context":[1,2],"done":')


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision(), ROUNDED])
# What stands behind rows that go does not go with them, and no text is told twice to the tags for it.
@example(stream=[rowed("a"), rowed("a").replace(*BEHIND_ROWS)])
@example(stream=[line(**spoken("a")), rowed("a"), rowed("x</thi").replace(*BEHIND_ROWS)])
@given(stream=st.lists(lines(), max_size=25))
@settings(max_examples=80, deadline=None)
def test_lines_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6], b"".join(stream[:4])]
    compared = through(pieces, decision, compared=True, format="ollama_chat")
    assert compared == through(pieces, decision, compared=False, format="ollama_chat")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TEXTS),
            st.integers(0, 1),
            st.booleans(),
            st.sampled_from([None, None, {"tokens": ["a"], "token_logprobs": [-0.3], "top_logprobs": None}]),
        ),
        max_size=25,
    )
)
@settings(max_examples=100, deadline=None)
def test_completions_alike(parts: list[tuple[str, int, bool, object]]) -> None:
    pieces = [
        completion(text, index=index, logprobs=rows, **({"content": text} if native else {}))
        for text, index, native, rows in parts
    ]
    compared = through(pieces, SUMMARISED, compared=True, format="openai_completions")
    assert compared == through(pieces, SUMMARISED, compared=False, format="openai_completions")


@st.composite
def gemini_chunks(draw: st.DrawFn) -> bytes:
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


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision(), ROUNDED])
@given(stream=st.lists(gemini_chunks(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_chunks_of_gemini_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6]]
    compared = through(pieces, decision, compared=True, format="gemini_generate")
    assert compared == through(pieces, decision, compared=False, format="gemini_generate")


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision(), ROUNDED])
@given(
    stream=st.lists(gemini_chunks(), min_size=1, max_size=25),
    size=st.integers(1, 3),
    comma=st.sampled_from([b"\n,\r\n", b",\r\n", b","]),
)
@settings(max_examples=150, deadline=None)
def test_elements_of_an_array_alike(decision: Decision, stream: list[bytes], size: int, comma: bytes) -> None:
    """Catches a comma that is lost or doubled, and an element that is compared with less than all of it."""
    said = [chunk[6:].strip() for chunk in (*stream, *stream[:6])]
    whole = [b"[" + said[0], *(comma + one for one in said[1:]), b"\n]"]
    pieces = [b"".join(whole[at : at + size]) for at in range(0, len(whole), size)]
    compared = through(pieces, decision, compared=True, format="gemini_generate", sse=False)
    assert compared == through(pieces, decision, compared=False, format="gemini_generate", sse=False)


def frames_read(monkeypatch: pytest.MonkeyPatch, format: str, pieces: Sequence[bytes], sse: bool) -> int:
    """How many frames of a response are read in full."""
    made = exchange(format, HIDDEN, sse=sse)
    read: list[bytes] = []
    whole = type(made._codec).frame

    def frame(codec: object, raw: bytes, *places: int, source: bytes = b"") -> Frame:
        read.append(source)
        return whole(codec, raw, *places, source=source)

    monkeypatch.setattr(type(made._codec), "frame", frame)
    for piece in pieces:
        made.receive(piece, 0.0)
    return len(read)


def test_a_trace_between_tags_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a lane that is never found inside of a trace, where each chunk then costs tens of parses."""
    said = ["<think>", *(f" word{number}" for number in range(60)), "</think>", "Yes"]
    for format, make in (
        ("openai_chat", lambda text: chunk({"content": text})),
        ("openai_completions", completion),
    ):
        assert frames_read(monkeypatch, format, [make(text) for text in said], sse=True) <= 5


def test_a_usage_in_the_place_of_rows_is_read() -> None:
    """Catches what leaves in the place of rows where the policy leaves rows alone, and nobody reads them."""
    row = {"token": "a", "logprob": -1.3, "bytes": None, "top_logprobs": []}
    said = [chunk({"content": "a"}, logprobs={"content": [row]}) for _ in range(3)]
    usage = b'}}], "usage": {"completion_tokens": 77}, "choices": [{"logprobs": {"content": []'
    odd = said[0].replace(b'"top_logprobs": []}]', b'"top_logprobs": []}]' + usage)
    pieces = [*said, odd, *said]
    compared = through(pieces, Decision(usage="round"), compared=True)
    assert compared == through(pieces, Decision(usage="round"), compared=False)
    assert b"77" not in compared[0]


def test_new_members_in_each_frame_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches frames that are read for a member that nobody had before, also where the first had one."""
    for first in (0, 1):
        pieces = [chunk({"content": "word"}, **({f"x_{at}": at} if at >= first else {})) for at in range(30)]
        assert frames_read(monkeypatch, "openai_chat", pieces, sse=True) <= 2


def test_the_end_of_a_frame_may_hold_no_more_than_new_members() -> None:
    """Catches a trace, or a length, that leaves behind the members of a lane."""
    said = [chunk({"content": "word"}, x=at) for at in range(3)]
    for more in (
        b'"reasoning": "the hidden piece of a trace"',
        b'"choices": [{"index": 0, "delta": {"reasoning": "the hidden piece of a trace"}}]',
        b'"usage": {"completion_tokens": 77}',
        b'"eval_count": 77',
    ):
        odd = said[0].removesuffix(b"}\n\n") + b", " + more + b"}\n\n"
        out, _ = through([*said, odd, *said], ROUNDED, compared=True)
        assert out.count(b'"content": "word"') == 7
        assert b"hidden" not in out
        assert b"77" not in out


def test_elements_of_an_array_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches arrays in which each element is read in full."""
    said = [
        gemini_event(spoke({"text": f"w{number}"}, thoughtsTokenCount=number))[6:].strip()
        for number in range(60)
    ]
    pieces = [b"[" + said[0], *(b",\r\n" + one for one in said[1:])]
    assert frames_read(monkeypatch, "gemini_generate", pieces, sse=False) <= 2


def test_the_last_count_of_a_lane_is_the_count() -> None:
    """Catches a usage that is lost, or an earlier one that stands, where frames were only compared."""
    made = exchange("gemini_generate", SUMMARISED)
    for number in range(1, 30):
        made.receive(gemini_event(spoke({"text": f"word{number} "}, candidatesTokenCount=number)), 0.0)
    assert made.lane is not NO_LANE
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
