"""Law 1 for lengths: what is told of an answer's counts, times and prices is on the grid, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Decision, ReasoningTerms, Usage, UsageTerms
from tests.exchanges import (
    ANSWER,
    DONE,
    HIDDEN,
    TRACE,
    TRACED,
    chunk,
    exchange,
    gemini_event,
    line,
    run,
    spoke,
    spoken,
    words,
)
from tests.laws.formats import FORMATS, GEMINI, Format

_COUNT = re.compile(rb'("(?:completion_tokens|output_tokens|eval_count|candidatesTokenCount)": ?)(?:40|5)\b')
_TRACE_COUNT = re.compile(rb'("(?:reasoning_tokens|thoughtsTokenCount)": ?)\d+')
_TOTAL = re.compile(rb'("total_tokens": ?)49')
_DURATION = re.compile(rb'("total_duration": ?)987')


def counted(frame: bytes, completion: int, reasoning: int) -> bytes:
    """The frame with these counts, in the way in which its format counts."""
    apart = b"candidatesTokenCount" in frame
    frame = _COUNT.sub(rb"\g<1>%d" % (completion - reasoning if apart else completion), frame)
    frame = _TRACE_COUNT.sub(rb"\g<1>%d" % reasoning, frame)
    frame = _TOTAL.sub(rb"\g<1>%d" % (9 + completion), frame)
    return _DURATION.sub(rb"\g<1>%d" % (completion * 1_000_003), frame)


def answers(format: Format, completion: int, reasoning: int) -> list[tuple[bytes, ...]]:
    """The format's answer with these counts, as a stream and as one body."""
    pieces = format.stream, (format.whole,)
    return [tuple(counted(frame, completion, reasoning) for frame in one) for one in pieces]


def left(format: Format, pieces: Iterable[bytes], terms: UsageTerms, *, stream: bool) -> bytes:
    out, settlement = run(pieces, format.name, replace(HIDDEN, usage=terms), sse=stream)
    assert settlement.source == "usage"
    assert ("usage" in settlement.changed) is (terms != "keep")
    return out


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_answers_on_one_step_of_the_grid_cannot_be_told_apart(format: Format, stream: bool) -> None:
    lengths = [(65, 40), (100, 90), (128, 41)]
    outs = [left(format, answers(format, *one)[not stream], "round", stream=stream) for one in lengths]
    assert outs[0] == outs[1] == outs[2]
    assert b"128" in outs[0]
    other = left(format, answers(format, 129, 41)[not stream], "round", stream=stream)
    assert other == outs[0].replace(b"128", b"256").replace(b"137", b"265")
    kept = {left(format, answers(format, *one)[not stream], "keep", stream=stream) for one in lengths}
    assert len(kept) == 3


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_dropped_counts_tell_no_answers_apart(format: Format, stream: bool) -> None:
    lengths = [(40, 9), (128, 90), (4000, 3990)]
    outs = {left(format, answers(format, *one)[not stream], "drop", stream=stream) for one in lengths}
    assert len(outs) == 1


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_split_tells_the_same(format: Format, data: st.DataObject) -> None:
    body = b"".join(answers(format, 100, 40)[0])
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert left(format, pieces, "round", stream=True) == left(format, [body], "round", stream=True)


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("terms", ["round", "drop"])
def test_we_settle_what_the_server_counted(format: Format, terms: UsageTerms) -> None:
    for pieces, stream in zip(answers(format, 100, 40), (True, False), strict=True):
        _, settlement = run(pieces, format.name, replace(HIDDEN, usage=terms), sse=stream)
        assert (settlement.usage.prompt, settlement.usage.completion) == (9, 100)


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("still", [{"enforced": False}, {"exempt": True}], ids=["shadow", "exempt"])
def test_shadow_and_the_exempt_keep_their_counts(format: Format, still: dict[str, bool]) -> None:
    decision = Decision(usage="drop", **still)  # type: ignore[arg-type]
    for pieces, stream in zip(answers(format, 100, 40), (True, False), strict=True):
        assert run(pieces, format.name, decision, sse=stream)[0] == b"".join(pieces)


def numbers(out: bytes) -> set[float]:
    """Every number in the frames of a stream, but those that count choices and frames."""
    found: set[float] = set()

    def walk(value: object, key: str = "") -> None:
        if isinstance(value, dict):
            for name, element in value.items():
                walk(element, name)
        elif isinstance(value, list):
            for element in value:
                walk(element, key)
        elif isinstance(value, int | float) and key not in ("index", "created", "sequence_number"):
            found.add(value)

    for row in out.decode().splitlines():
        if row.startswith(("data: {", "{")):
            walk(json.loads(row.removeprefix("data: ")))
    return found - {0, 1}


def counting(terms: UsageTerms, show: str) -> Decision:
    return Decision(reasoning=ReasoningTerms(show=show), usage=terms)  # type: ignore[arg-type]


@pytest.mark.parametrize("show", ["none", "summary", "full"])
def test_a_count_in_each_chunk_tells_no_word_at_which_it_passes_a_step(show: str) -> None:
    """Catches counts that a lane compares, and a grid that is told while the answer grows."""

    def used(at: int) -> dict[str, int]:
        return {"prompt_tokens": 9, "total_tokens": 9 + at, "completion_tokens": at}

    said = [*((word, "reasoning_content") for word in words(TRACE)), *((w, "content") for w in words(ANSWER))]
    frames = [chunk({"role": "assistant", "content": ""}, usage=used(0))]
    frames += [chunk({field: word}, usage=used(50 + at)) for at, (word, field) in enumerate(said)]
    end = [chunk({}, finish="stop", usage=used(99)), chunk({}, usage=used(99)), DONE]
    out, settlement = run([*frames, *end], decision=counting("round", show))
    assert numbers(out) == {9, 128, 137}
    assert settlement.usage == Usage(9, 99, TRACED)
    assert numbers(run([*frames, *end], decision=counting("drop", show))[0]) == {9}


@pytest.mark.parametrize("show", ["none", "full"])
def test_geminis_counts_in_each_chunk_tell_it_neither(show: str) -> None:
    frames = [gemini_event(value) for value in _gemini_growing()]
    out, settlement = run(frames, GEMINI.name, counting("round", show))
    assert numbers(out) == {9, 128, 137}
    assert settlement.usage == Usage(9, 90, 70)


@pytest.mark.parametrize("show", ["none", "full"])
def test_a_finish_in_each_chunk_tells_it_neither(show: str) -> None:
    """Catches a count that is told again beside later words, by which the trace's length is a subtraction."""

    def told(trace: int) -> list[int]:
        counts = [
            {"thoughtsTokenCount": trace, "candidatesTokenCount": 1 + at, "totalTokenCount": 10 + at + trace}
            for at in range(64)
        ]
        frames = [gemini_event(spoke({"text": "a "}, finish="STOP", **count)) for count in counts]
        out, settlement = run(frames, GEMINI.name, counting("round", show))
        assert settlement.usage.completion == trace + 64
        return [int(found) for found in re.findall(rb'"candidatesTokenCount": ?(\d+)', out)]

    assert told(37) == told(50) == told(63) == [64, *[0] * 63]
    assert told(103) == told(120) == [128, *[0] * 63]


def test_a_choice_that_ends_before_another_begins_tells_it_neither() -> None:
    def used(at: int) -> dict[str, int]:
        return {"prompt_tokens": 9, "total_tokens": 9 + at, "completion_tokens": at}

    first = [chunk({"content": "a "}, usage=used(60)), chunk({}, finish="stop", usage=used(61))]
    later = [chunk({"content": f"b{at}"}, index=1, usage=used(62 + at)) for at in range(5)]
    made = exchange(decision=counting("round", "none"), choices=2)
    frames = [*first, *later, chunk({}, index=1, finish="stop", usage=used(67))]
    out = b"".join(made.receive(frame, 0.0) for frame in frames)
    assert re.findall(rb'"completion_tokens": ?(\d+)', out) == [*[b"0"] * 7, b"128"]


def _gemini_growing() -> list[dict[str, object]]:
    thoughts = [
        spoke({"text": word, "thought": True}, thoughtsTokenCount=40 + at)
        for at, word in enumerate(words(TRACE))
    ]
    answer = [
        spoke({"text": word}, thoughtsTokenCount=70, candidatesTokenCount=2 + at, totalTokenCount=81 + at)
        for at, word in enumerate(words(ANSWER))
    ]
    end = spoke(
        {"text": ""}, finish="STOP", thoughtsTokenCount=70, candidatesTokenCount=20, totalTokenCount=99
    )
    return [*thoughts, *answer, end]


LENGTHS = [
    ("timings", {"predicted_n": 77, "predicted_ms": 77.5}),
    ("time_info", {"completion_time": 77.5}),
    ("metrics", {"generation_tokens": 77}),
    ("cost", {"output_tokens_cost": 77}),
    ("usage_breakdown", {"models": [{"usage": {"completion_tokens": 77}}]}),
    ("copilot_usage", {"token_details": [{"token_count": 77}]}),
    ("latency_checkpoint", {"total_duration_ms": 77}),
    ("completion_tokens", 77),
    ("reasoningTokens", 77),
    ("total_time", "77.5s"),
    ("generation_seconds", 77.5),
    ("usage", {"total_tokens": 77}),
    ("usage", [77]),
    ("meta", {"usage": {"completion_tokens": 77}}),
    ("x_groq", {"id": "r", "usage": {"completion_tokens": 77, "completion_time": 77.5}}),
    ("x", {"completion_tokens": 77}),
    ("x", {"y": [{"tokens": 77}]}),
    ("x", {"total_time": "77.5s"}),
    ("meta", {"billed_units": {"output_tokens": 77}}),
    ("stats", {"eval_count": 77}),
    ("stats", {"n_decode": 77, "predicted_n": 77}),
    ("stats", {"time_to_first": 0.77}),
    ("stats", {"tokens_per_second": 77.5, "time_to_first_token": 0.77, "generation_time": 77.5}),
    ("hidden_params", {"response_cost": 0.77, "_response_ms": 77}),
    ("nvext", {"token_count": 77, "timing": {"total": 77}}),
    ("metadata", {"usage": {"completion_tokens": 77}}),
    ("metadata", {"completion_tokens": 77}),
    ("error", {"message": "slow", "usage": {"completion_tokens": 77}}),
    ("eval_count", 77),
    ("Eval_Count", 77),
    ("evalCount", 77),
    ("responseCost", 0.77),
]


@pytest.mark.parametrize(("name", "value"), LENGTHS, ids=[name for name, _ in LENGTHS])
def test_lengths_beside_the_usage_go_with_it(name: str, value: object) -> None:
    """Catches a count, a time or a price in the spelling of another server, also where frames are compared."""
    frames = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}, **more) for word in words(ANSWER) * 4 for more in ({}, {name: value})),
        chunk({}, finish="stop", **{name: value}),
        DONE,
    ]
    assert numbers(run(frames, decision=counting("drop", "none"))[0]) == set()
    assert b"77" not in run(frames, decision=counting("round", "none"))[0]
    out, _ = run(frames, decision=counting("keep", "none"))
    assert out == b"".join(frames)


PLACES = [
    {"stats": {"completion_tokens": 77}},
    {"completion_tokens": 77},
    {"extra": [{"token_count": 77, "usage": {"output_tokens": 77}}]},
    {"audio": {"usage": {"completion": 77}, "completion_tokens": 77, "data": "UklGRg=="}},
]


@pytest.mark.parametrize("more", PLACES, ids=lambda more: next(iter(more)))
def test_lengths_in_a_choice_and_its_message_go_too(more: dict[str, object]) -> None:
    frames = [chunk({"content": ANSWER, **more}), chunk({}, finish="stop"), DONE]
    assert numbers(run(frames, decision=counting("round", "none"))[0]) == set()
    body = {"choices": [{"index": 0, "message": {"content": ANSWER, **more}, "stats": more}]}
    out = run([json.dumps(body).encode()], decision=counting("round", "none"), sse=False)[0]
    assert b"77" not in out
    assert ANSWER.encode() in out


def test_what_tells_of_the_prompt_the_caller_or_a_tool_stays() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"total_tokens":77}'}}
    kept = {
        "x": {"prompt_tokens": 77, "num_cached_tokens": 77, "prompt_eval_count": 77, "count": 77},
        "metadata": {"usage_plan": "77", "tokens": "77"},
        "y": {"rows": [{"token": "77"}], "usage_analysis": "seven", "max_tokens": 77, "created_time": 77},
    }
    frames = [chunk({"content": 'say {"tokens": 77}', "tool_calls": [call]}, **kept)]
    assert run(frames, decision=counting("drop", "full"))[0] == b"".join(frames)


def test_ollamas_durations_and_llama_cpps_cache_go() -> None:
    times = {"total_duration": 77, "load_duration": 77, "prompt_eval_duration": 77, "eval_duration": 77}
    body = line(**spoken(ANSWER), done=True, prompt_eval_count=9, eval_count=77, **times)
    assert numbers(run([body], "ollama_chat", counting("round", "none"))[0]) == {9, 128}
    native = {
        "content": ANSWER,
        "stop": True,
        "tokens_predicted": 77,
        "tokens_evaluated": 9,
        "tokens_cached": 85,
    }
    value = json.dumps(native).encode()
    out, settlement = run([value], "openai_completions", counting("round", "none"), sse=False)
    assert numbers(out) == {9, 128}
    assert settlement.usage == Usage(9, 77, 0)


def test_a_bound_a_moment_and_a_switch_are_no_lengths() -> None:
    kept = {"max_output_tokens": 77, "created_time": 77, "include_usage": True, "token_type": 77}
    frames = [chunk({"content": word}, **kept) for word in words(ANSWER)]
    assert run(frames, decision=counting("drop", "none"))[0] == b"".join(frames)


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("terms", ["round", "drop"])
def test_a_stream_that_we_cut_tells_no_more(format: Format, terms: UsageTerms) -> None:
    made = exchange(format.name, replace(HIDDEN, usage=terms), prompt_bytes=36)
    sent = b"".join(made.receive(piece, 0.0) for piece in format.stream[:30])
    last = made.cut(0.0)
    assert made.settlement().usage.completion > 20
    told = numbers(last) - numbers(sent)
    assert told <= ({9, 64, 73} if terms == "round" else {9})


@pytest.mark.parametrize("terms", ["round", "drop"])
def test_it_is_disclosed(terms: UsageTerms) -> None:
    assert exchange(decision=replace(HIDDEN, usage=terms)).treatment["usage"] == terms
    assert "usage" not in exchange(decision=HIDDEN).treatment
