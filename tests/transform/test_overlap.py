"""An answer that repeats its trace is heard, in whatever pieces it comes; one that ends as its trace did is not."""

from __future__ import annotations

import json
import random

import pytest

from hardening.events import Text
from hardening.facts import Decision, ReasoningTerms
from hardening.transform.overlap import FEWEST_RUNS, MANY_RUNS, Overlap
from tests.exchanges import DONE, chunk, exchange, reasoning_item, response, run, spoke, words

LETTERS = random.Random(3)
NOUNS = ["".join(LETTERS.choices("abcdefghij", k=6)) for _ in range(600)]
TRACE = " ".join(NOUNS[:260])
ANSWER = "So the lamps that still work are seventy-nine of them in all."
TERMS = {
    name: Decision(reasoning=ReasoningTerms("summary", overlap=name)) for name in ("ignore", "report", "stop")
}


def heard(trace: str, answer: str, *, size: int = 40) -> bool:
    overlap = Overlap()
    overlap.learn(trace)
    overlap.learn(" ")
    for at in range(0, len(answer), size):
        overlap.hear(0, json.dumps(answer[at : at + size])[1:-1].encode())
    overlap.close()
    return overlap.repeats


@pytest.mark.parametrize("size", [1, 7, 40, 10_000])
def test_a_repeated_trace_is_heard_in_any_pieces(size):
    assert heard(TRACE, TRACE, size=size)
    assert heard(TRACE, "Here it is:\n\n" + TRACE.replace(" ", "\n"), size=size)


def test_a_conclusion_and_a_short_draft_are_not():
    assert not heard(TRACE + ANSWER, ANSWER)
    assert not heard(TRACE, " ".join(NOUNS[: FEWEST_RUNS + 7]) + " " + " ".join(NOUNS[300:]))
    assert not heard(" ".join(NOUNS[:90]), " ".join(NOUNS[:90]))


def test_half_of_a_short_trace_is_and_a_third_of_a_long_one():
    assert heard(TRACE, " ".join(NOUNS[:150]))
    assert not heard(" ".join(NOUNS), " ".join(NOUNS[: MANY_RUNS - 20]))
    assert heard(" ".join(NOUNS), " ".join(NOUNS[: MANY_RUNS + 8]) + " and")


def test_texts_of_two_indices_are_read_apart():
    overlap = Overlap()
    overlap.learn(TRACE)
    for place, noun in enumerate(NOUNS[:260]):
        list(overlap.feed(Text(place % 2, noun + " ")))
    assert not overlap.repeats


def test_half_a_surrogate_pair_hides_nothing():
    overlap = Overlap()
    overlap.learn(TRACE + " ")
    for noun in NOUNS[:260]:
        overlap.hear(0, noun.encode() + b" \\ud83d ")
        overlap.hear(0, b" ")
    overlap.close()
    assert not overlap.repeats  # other words stand between: no run is the same
    for noun in NOUNS[:260]:
        overlap.hear(0, noun.encode() + b" ")
    overlap.hear(0, b"\\ud83d")
    overlap.close()
    assert overlap.repeats


def stream(answer: str, trace: str = TRACE) -> list[bytes]:
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"reasoning_content": word}) for word in words(trace)),
        *(chunk({"content": word}) for word in words(answer)),
        chunk({}, finish="stop"),
        DONE,
    ]


@pytest.mark.parametrize(("answer", "reasons"), [(TRACE, ("overlap",)), (ANSWER, ())])
@pytest.mark.parametrize("size", [None, 1, 333])
def test_an_exchange_tells_of_it_and_changes_nothing(answer, reasons, size):
    whole = b"".join(stream(answer))
    pieces = stream(answer) if size is None else [whole[at : at + size] for at in range(0, len(whole), size)]
    out, settlement = run(pieces, decision=TERMS["report"])
    assert settlement.reasons == reasons
    told, silent = run(pieces, decision=TERMS["ignore"])
    assert (out, silent.reasons) == (told, ())


def called(place: str, arguments: str, size: int) -> list[bytes]:
    """A stream of a chat that hands `arguments` to a tool, in pieces of a size."""
    pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "note", "arguments": ""}}
    later = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    if place == "legacy":
        deltas = [{"function_call": one["function"]} for one in (first, *later)]
    else:
        deltas = [{"tool_calls": [one]} for one in (first, *later)]
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"reasoning_content": word}) for word in words(TRACE)),
        *map(chunk, deltas),
        chunk({}, finish="tool_calls"),
        DONE,
    ]


ARGUMENTS = {
    "a text": json.dumps({"text": TRACE}),
    "lines": json.dumps({"text": TRACE.replace(" ", "\n"), "to": "me"}),
    "quoted": json.dumps({"text": TRACE.replace(" ", '" "')}),
    "many short texts": json.dumps({"words": TRACE.split()}),
    "named texts": json.dumps([{"id": one} for one in TRACE.split()], separators=(",", ":")).replace(
        '"id"', '""'
    ),
    "escaped": "".join(one if one in '{}": ' else f"\\u{ord(one):04x}" for one in json.dumps({"": TRACE})),
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=[*ARGUMENTS])
@pytest.mark.parametrize("place", ["calls", "legacy"])
@pytest.mark.parametrize("size", [3, 50, 100_000])
def test_a_trace_in_what_a_tool_is_given_is_heard(arguments, place, size):
    _, settlement = run(called(place, arguments, size), decision=TERMS["report"])
    assert settlement.reasons == ("overlap",)
    _, settlement = run(called(place, json.dumps({"text": ANSWER * 9}), size), decision=TERMS["report"])
    assert settlement.reasons == ()


def test_a_trace_in_a_refusal_is_heard() -> None:
    """Catches text in place of an answer that is heard like no answer."""
    for said, reasons in ((TRACE, ("overlap",)), (ANSWER * 9, ())):
        told = stream("")[:-2] + [chunk({"refusal": word}) for word in words(said)] + stream("")[-2:]
        assert run(told, decision=TERMS["report"])[1].reasons == reasons


WHOLE = {
    "anthropic_messages text": {"type": "message", "role": "assistant", "content": [
        {"type": "thinking", "thinking": TRACE, "signature": ""}, {"type": "text", "text": TRACE}]},
    "openai_chat": {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": None, "reasoning_content": TRACE,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "n", "arguments": json.dumps({"a": TRACE})}}]}}]},
    "anthropic_messages": {"type": "message", "role": "assistant", "content": [
        {"type": "thinking", "thinking": TRACE, "signature": ""},
        {"type": "tool_use", "id": "c", "name": "n", "input": {"words": TRACE.split()}}]},
    "openai_responses": response([reasoning_item(TRACE), {
        "type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": json.dumps({"a": TRACE})}]),
    "gemini_generate": spoke({"text": TRACE, "thought": True}, {"functionCall": {"name": "n", "args": {"id": [*TRACE.split()]}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("overlap", ["report", "stop"])
def test_a_trace_in_a_whole_answer_is_heard_before_it_leaves(name, overlap):
    """Catches a trace of one block that is only learnt after the block that repeats it was heard."""
    made = exchange(name.split()[0], TERMS[overlap], sse=False)
    made.receive(json.dumps(WHOLE[name]).encode(), 0.0)
    made.end(0.0)
    assert made.stops is (overlap == "stop")
    assert made.settlement().reasons == ("overlap",)


def test_a_trace_between_tags_is_heard_too():
    tagged = [chunk({"content": word}) for word in words(f"<think>{TRACE}</think>{TRACE}")]
    _, settlement = run([*tagged, chunk({}, finish="stop"), DONE], decision=TERMS["report"])
    assert settlement.reasons == ("overlap",)
