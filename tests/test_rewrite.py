"""Copies of a trace where no table looks, and what of a frame is left when its payload is gone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hardening.exchange import Exchange
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.testing import find_leaks
from hardening.wire.codec import CODECS
from tests.exchanges import (
    ANSWER,
    DONE,
    HIDDEN,
    SUMMARISED,
    SUMMARY,
    TOOLS,
    TRACE,
    USAGE,
    chunk,
    deltas,
    event,
    message_item,
    numbered,
    reasoning_item,
    response,
    run,
    said,
    words,
)

PIECES = [TRACE[at : at + 19] for at in range(0, len(TRACE), 19)]  # each too short to be told by itself


def copied() -> list[bytes]:
    """A stream whose frames say each piece of the trace once more, in escapes that make it long."""
    escaped = ["".join(f"\\u{ord(character):04x}" for character in piece) for piece in PIECES]
    return [
        chunk({"role": "assistant", "content": ""}),
        *(
            chunk({"reasoning": piece}, vendor={"note": "@"}).replace(b"@", copy.encode())
            for piece, copy in zip(PIECES, escaped, strict=True)
        ),
        *(chunk({"content": word}) for word in words(ANSWER)),
        chunk({}, finish="stop"),
        DONE,
    ]


def test_short_pieces_of_a_copy_do_not_leave_one_by_one() -> None:
    out, settled = run(copied(), decision=HIDDEN)
    assert b"note" not in out
    assert said(out, "content") == ANSWER
    assert "copies" in settled.changed


def test_an_unknown_string_of_its_own_keeps_its_frame() -> None:
    note = "a cache was used for the first part of the prompt"
    out, _ = run(
        [chunk({"role": "assistant"}), chunk({"reasoning": "Hm."}, note=note), DONE], decision=HIDDEN
    )
    assert note.encode() in out


def test_a_comment_that_tells_the_trace_never_leaves() -> None:
    # Also where the policy lets what it cannot read pass.
    facts = RequestFacts(door="/test", format="openai_chat")
    made = Exchange(CODECS["openai_chat"], facts, HIDDEN, replace(TOOLS, pass_unreadable=True))
    made.start(200, [(b"content-type", b"text/event-stream")])
    pieces = [chunk({"reasoning": TRACE}), b": " + TRACE.encode() + b"\n\n", b": alive\n\n"]
    assert b"".join(made.receive(piece, 0.0) for piece in pieces).endswith(b": alive\n\n")
    assert made.settlement().reasons == ("unreadable_frame",)
    assert TRACE.encode() not in made.end(0.0)


def test_rows_under_an_unknown_name_do_not_leave() -> None:
    row = {"token": "Tom", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    rows = {"content": [row], "Reasoning_Content": [{**row, "token": TRACE}], "draft": [row] * 9}
    out, settled = run([chunk({"content": "Tom"}, logprobs=rows), DONE], decision=SUMMARISED)
    assert deltas(out)[0]["choices"][0]["logprobs"] == {  # type: ignore[index]
        "content": [{**row, "logprob": -9999.0}],  # nobody asked for rows
        "Reasoning_Content": [],
        "draft": [],
    }
    assert settled.changed == ("logprobs",)


@pytest.mark.parametrize("top", [2, None])
def test_rows_that_no_token_aligns_go_with_the_trace(top: int | None) -> None:
    # Also where the policy leaves log-probabilities alone: these rows would spell the trace.
    decision = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=top))
    row = {"token": "Tom", "logprob": -0.5, "bytes": [84, 111, 109], "top_logprobs": []}
    first = chunk({"content": "Hi", "provider_specific_fields": {"logprobs": {"content": [row]}}})
    rest = chunk({"content": "."}, logprobs={"tokens": ["Tom"], "token_logprobs": [-0.5]})
    out, _ = run([first, rest, DONE], decision=decision)
    assert b"Tom" not in out
    assert b"84" not in out
    assert said(out, "content") == "Hi."


@pytest.mark.parametrize("text", ["a <", "a [THI", "<", "a \\u003c", "a <think>b</think>c <"])
def test_text_held_back_in_the_last_frame_stays_behind_what_it_followed(text: str) -> None:
    """Catches an end of an answer that leaves before its beginning, or not at all."""
    last = chunk({"content": "@"}, finish="stop").replace(b"@", text.encode())
    for before in ([], [chunk({"role": "assistant", "content": "so "})]):
        out, _ = run([*before, last, DONE], decision=HIDDEN)
        expected = json.loads(f'"{text}"').replace("<think>b</think>", "")
        assert said(out, "content") == "so " * len(before) + expected
        assert (last in out) is ("think" not in text)


def test_an_event_that_lacks_its_end_gets_one_before_another() -> None:
    for end in (b"", b"\n", b"\n\n"):
        out, _ = run([chunk({"role": "assistant", "reasoning": TRACE}).rstrip() + end])
        assert said(out, "reasoning") == SUMMARY
        assert len([event for event in out.split(b"\n\n") if event.strip()]) == 2


def reasons_to_end(reason: str, *, tagged: bool) -> list[bytes]:
    """A stream that writes a reason to end into each frame."""
    trace = [f"<think>{TRACE[:9]}", *words(TRACE[9:]), "</think>"] if tagged else words(TRACE)
    field = "content" if tagged else "reasoning"
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({field: word}, finish=reason) for word in trace),
        *(chunk({"content": word}, finish=reason) for word in words(ANSWER)),
        DONE,
    ]


@pytest.mark.parametrize("tagged", [False, True])
def test_a_reason_to_end_in_each_frame_tells_no_length_and_gives_one_summary(tagged: bool) -> None:
    """Catches empty frames, one for each token of a trace, and a summary for each piece of it."""
    hidden, _ = run(reasons_to_end("stop", tagged=tagged), decision=HIDDEN)
    assert said(hidden, "content") == ANSWER
    assert len(deltas(hidden)) <= 1 + 2 * tagged + len(words(ANSWER))
    summarised, _ = run(reasons_to_end("stop", tagged=tagged))
    assert said(summarised, "content", "reasoning").count(SUMMARY) == 1
    assert said(summarised, "content").endswith(ANSWER)


@pytest.mark.parametrize("last", [[DONE], [USAGE, DONE], []])
def test_a_trace_that_ends_the_answer_keeps_its_reason(last: list[bytes]) -> None:
    first = chunk({"role": "assistant", "content": ""})
    out, _ = run([first, chunk({"reasoning": TRACE}, finish="length"), *last], decision=HIDDEN)
    assert [choice["finish_reason"] for frame in deltas(out) for choice in frame["choices"]] == [  # type: ignore[attr-defined]
        None,
        "length",
    ]
    assert out.endswith(b"".join(last))
    assert find_leaks(out, TRACE) == []


def test_of_two_answers_only_that_which_goes_on_has_not_ended() -> None:
    frames = [
        *(chunk({"role": "assistant", "content": ""}, index=index) for index in (0, 1)),
        *(chunk({"reasoning": "so "}, index=index, finish="length") for index in (0, 1, 0, 1)),
        chunk({"content": "x"}, index=1, finish="stop"),
        DONE,
    ]
    out, _ = run(frames, decision=HIDDEN)
    told = [choice for frame in deltas(out) for choice in frame["choices"]]  # type: ignore[attr-defined]
    assert [one["finish_reason"] for one in told if one["index"] == 0].count("length") >= 1
    assert [one["finish_reason"] for one in told if one["index"] == 1] == [None, "length", "stop"]


def messages(text: str, *, cumulative: bool) -> list[bytes]:
    """A stream whose pieces, or all that was said so far, stand where whole messages do."""
    pieces = [f"{word} " for word in text.split(" ")]
    told = ["".join(pieces[: end + 1]) for end in range(len(pieces))] if cumulative else pieces
    return [
        b"data: " + json.dumps({"choices": [{"index": 0, "message": {"content": one}}]}).encode() + b"\n\n"
        for one in told
    ]


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("before", ["", "Hi "])
def test_pieces_in_the_place_of_messages_are_read_on(before: str, cumulative: bool) -> None:
    """Catches a trace whose first piece alone has a tag, where each is taken for a copy of all that was said."""
    frames = messages(f"{before}<think> {TRACE} </think> {ANSWER}", cumulative=cumulative)
    out, _ = run([*frames, DONE], decision=HIDDEN)
    contents = [frame["choices"][0]["message"]["content"] for frame in deltas(out)]  # type: ignore[index]
    assert find_leaks(out, TRACE) == []
    assert not any(word in "".join(contents) for word in ("gives", "check", "away"))
    assert " ".join((contents[-1] if cumulative else "".join(contents)).split()) == before + ANSWER


def test_what_follows_a_frame_that_waits_is_seen_whatever_its_shape() -> None:
    """Catches an answer that goes on in a shape that was known before, and overtakes the frame."""
    words_said = words(ANSWER)
    frames = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in words_said[:3]),
        chunk({"reasoning": TRACE}, finish="stop"),
        *(chunk({"content": word}) for word in words_said[3:]),
        DONE,
    ]
    out, _ = run(frames)
    assert said(out, "content") == ANSWER
    assert b"stop" not in out
    assert out.index(SUMMARY.encode()) < out.index(words_said[3].encode())


def block(index: int, kind: str, deltas: list[dict[str, object]]) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block={"type": kind}),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
@pytest.mark.parametrize("delta", ["text_delta.text", "input_json_delta.partial_json"])
def test_what_comes_in_a_block_that_began_as_a_trace_is_one(kind: str, delta: str) -> None:
    """Catches a server that names the pieces of a trace as it names those of an answer."""
    named, _, field = delta.partition(".")
    frames = [
        event("message_start", message={"id": "m", "type": "message", "role": "assistant", "content": []}),
        *block(0, kind, [{"type": named, field: word} for word in words(TRACE)]),
        *block(0, "text", [{"type": "text_delta", "text": word} for word in words(ANSWER)]),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40}),
        event("message_stop"),
    ]
    out, _ = run(frames, "anthropic_messages", HIDDEN)
    told = "".join(frame["delta"].get("text", "") for frame in deltas(out) if "delta" in frame)  # type: ignore[attr-defined]
    assert (told, find_leaks(out, TRACE)) == (ANSWER, [])
    assert out.count(b"content_block_delta\n") <= len(words(ANSWER)) + 1


@pytest.mark.parametrize("kind", ["output_text", "function_call_arguments"])
def test_what_comes_for_an_item_that_began_as_a_trace_is_one(kind: str) -> None:
    whole = {"arguments": TRACE} if "call" in kind else {"text": TRACE}
    frames = [
        ("created", {"response": response([])}),
        ("output_item.added", {"output_index": 0, "item": reasoning_item()}),
        *((f"{kind}.delta", {"output_index": 0, "delta": word}) for word in words(TRACE)),
        (f"{kind}.done", {"output_index": 0, **whole}),
        ("output_item.done", {"output_index": 0, "item": reasoning_item()}),
        ("output_item.added", {"output_index": 0, "item": message_item("")}),
        *(("output_text.delta", {"output_index": 0, "delta": word}) for word in words(ANSWER)),
        ("completed", {"response": response([message_item()])}),
    ]
    out, _ = run(numbered(frames), "openai_responses", HIDDEN)
    told = [frame.get("delta", "") for frame in deltas(out)]
    assert ("".join(map(str, told)), find_leaks(out, TRACE)) == (ANSWER, [])
