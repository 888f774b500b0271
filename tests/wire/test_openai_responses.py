"""Responses: a trace is told up to ten times, and every telling follows the first."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from hardening.facts import Decision, LogprobTerms, ReasoningTerms, Usage
from hardening.testing import find_leaks
from hardening.wire.codec import CODECS
from hardening.wire.requests import Edits
from tests.exchanges import (
    ANSWER,
    HIDDEN,
    SUMMARISED,
    SUMMARY,
    TRACE,
    Told,
    deltas,
    event,
    exchange,
    message_item,
    numbered,
    reasoning_item,
    response,
    responses_stream,
    run,
    told_response,
    told_text,
    told_trace,
)

FORMAT = "openai_responses"
CODEC = CODECS[FORMAT]
TEXT, SUMMARIES = "reasoning_text", "reasoning_summary_text"
SHOWN = {id(SUMMARISED): SUMMARY, id(HIDDEN): ""}
ONLY_ROWS = Decision(logprobs=LogprobTerms(top=1, step=0.25))


def texts(value: Any, kind: str) -> list[str]:
    """The texts of the parts of a kind, wherever they stand in a value, in their order."""
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == kind else []
        return own + [text for one in value.values() for text in texts(one, kind)]
    return [text for one in value for text in texts(one, kind)] if isinstance(value, list) else []


def joined(events: list[Any], kind: str) -> str:
    return "".join(one["delta"] for one in events if one["type"] == f"response.{kind}.delta")


def tellings(out: bytes, channel: str, part: str) -> dict[str, list[str]]:
    """What each kind of event tells of a text."""
    events: list[Any] = deltas(out)
    told = {"delta": [joined(events, channel)]}
    for one in events:
        if one["type"].endswith("added"):
            continue
        if one["type"] == f"response.{channel}.done":
            told.setdefault("done", []).append(one["text"])
        elif found := texts(one, part):
            told.setdefault(one["type"], []).extend(found)
    return told


def numbers(out: bytes) -> list[object]:
    return [one["sequence_number"] for one in deltas(out)]


@pytest.mark.parametrize("channels", [(TEXT,), (SUMMARIES,), (TEXT, SUMMARIES), (SUMMARIES, TEXT)])
@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_every_telling_of_a_trace_follows_the_first(channels: tuple[str, ...], decision: Decision) -> None:
    out, settled = run(responses_stream(*channels), FORMAT, decision)
    assert find_leaks(out, TRACE) == []
    for channel in (TEXT, SUMMARIES):
        part = channel.replace("reasoning_summary_text", "summary_text")
        told = tellings(out, channel, part)
        shown = SHOWN[id(decision)] if channel in channels else ""
        assert {text for found in told.values() for text in found} == {shown}
        if shown:  # delta, done, part, item, completed
            assert [len(found) for found in told.values()] == [1] * 5
    assert numbers(out) == list(range(len(deltas(out))))
    assert joined(deltas(out), "output_text") == ANSWER
    assert (settled.usage, settled.changed) == (Usage(9, 40, 25), ("reasoning",))


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_neither_numbers_nor_parts_tell_how_long_a_trace_was(parts: int, decision: Decision) -> None:
    """Catches a frame, a part or a number for each of an upstream's own summaries."""

    def stream(count: int, trace: str) -> list[bytes]:
        item = reasoning_item()
        item["summary"] = [{"type": "summary_text", "text": trace}] * count
        middle: Told = [("output_item.added", {"output_index": 0, "item": reasoning_item()})]
        middle += [one for number in range(count) for one in told_trace(trace, SUMMARIES, number)]
        middle.append(("output_item.done", {"output_index": 0, "item": item}))
        return told_response([*middle, *told_text(ANSWER)], [item, message_item()])

    short, long = stream(1, "Hm, so."), stream(parts, TRACE * 3)
    assert run(short, FORMAT, decision)[0] == run(long, FORMAT, decision)[0]


INLINE = {
    "closed": (f"<think>{TRACE}</think>{ANSWER}", f"<think>\n{SUMMARY}\n</think>\n{ANSWER}", ANSWER),
    "two": (
        f"<think>{TRACE}</think>{ANSWER}<think>{TRACE}</think> So.",
        f"<think>\n{SUMMARY}\n</think>\n{ANSWER}<think>\n{SUMMARY}\n</think>\n So.",
        f"{ANSWER} So.",
    ),
    "unclosed": (f"{ANSWER}<think>{TRACE}", f"{ANSWER}<think>\n{SUMMARY}\n</think>\n", ANSWER),
    "never opened": (f"Hm. </think>{ANSWER}",) * 3,
    "quoted": ("Say `<think>` and go.", "Say `<think>` and go.", "Say `<think>` and go."),
    "begun at the end": ("If a <", "If a <", "If a <"),
}


@pytest.mark.parametrize("name", INLINE)
@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
@pytest.mark.parametrize("step", [1, 4, 1000])
def test_a_text_with_a_trace_in_it_is_the_same_in_every_telling(
    name: str, decision: Decision, step: int
) -> None:
    """Catches a copy that is empty, holds the trace, or holds another summary than the pieces did."""
    said, summarised, hidden = INLINE[name]
    events: Told = []
    for kind, value in told_text(said, 0):
        if kind == "output_text.delta":
            continue
        events.append((kind, value))
        if kind == "content_part.added":
            at = {name: value[name] for name in ("item_id", "output_index", "content_index")}
            events += [
                ("output_text.delta", {**at, "delta": said[start : start + step], "logprobs": []})
                for start in range(0, len(said), step)
            ]
    out, _ = run(told_response(events, [message_item(said)]), FORMAT, decision)
    told = tellings(out, "output_text", "output_text")
    assert {text for found in told.values() for text in found} == {
        summarised if decision is SUMMARISED else hidden
    }
    assert len(told) == 5
    assert find_leaks(out, TRACE) == []
    assert numbers(out) == list(range(len(deltas(out))))


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_a_trace_that_comes_as_a_whole_alone(decision: Decision) -> None:
    """Catches a copy that waits for pieces which never came, and a bare tag in a text without any."""
    item, said = reasoning_item(TRACE), message_item(f"Hm. {TRACE}</think>{ANSWER}")
    middle: Told = [
        ("output_item.added", {"output_index": 0, "item": reasoning_item()}),
        ("output_item.done", {"output_index": 0, "item": item}),
        ("output_item.added", {"output_index": 1, "item": message_item("")}),
        ("output_item.done", {"output_index": 1, "item": said}),
    ]
    out, _ = run(told_response(middle, [item, said]), FORMAT, decision)
    assert find_leaks(out, TRACE) == []
    shown = SHOWN[id(decision)]
    assert set(texts(deltas(out), TEXT)) == ({shown} if shown else set())
    spoken = f"<think>\n{shown}\n</think>\n{ANSWER}" if shown else ANSWER
    assert texts(deltas(out), "output_text") == [spoken, spoken]


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
@pytest.mark.parametrize("told", ["as an item", "at the end"])
def test_a_whole_that_nothing_closes(told: str, decision: Decision) -> None:
    """Catches a trace that is never summarised where only one frame tells it, or text that waits for more."""
    item, said = reasoning_item(TRACE), message_item(f"{ANSWER}<think>{TRACE}")
    middle: Told = [
        ("output_item.done", {"output_index": 0, "item": item}),
        ("output_item.done", {"output_index": 1, "item": said}),
    ]
    stream = told_response(middle, [item, said]) if told == "as an item" else told_response([], [said, item])
    out, _ = run(stream, FORMAT, decision)
    spoken = f"{ANSWER}<think>\n{SUMMARY}\n</think>\n" if decision is SUMMARISED else ANSWER
    shown = [SUMMARY] if decision is SUMMARISED else []
    times = 2 if told == "as an item" else 1
    assert texts(deltas(out), "output_text") == [spoken] * times
    assert texts(deltas(out), TEXT) == shown * times


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_pieces_that_only_the_end_closes(decision: Decision) -> None:
    """Catches an end that tells less than its pieces: what they left open is summarised before it."""
    said = f"{ANSWER}<think>{TRACE}"
    pieces = [one for one in told_trace(TRACE) + told_text(said) if one[0].endswith("delta")]
    out, _ = run(told_response(pieces, [reasoning_item(TRACE), message_item(said)]), FORMAT, decision)
    shown = [SUMMARY] if decision is SUMMARISED else []
    assert texts(deltas(out), TEXT) == [joined(deltas(out), TEXT)][: len(shown)] == shown
    assert texts(deltas(out), "output_text") == [joined(deltas(out), "output_text")]


@pytest.mark.parametrize("last", ["incomplete", "failed", None])
def test_a_trace_that_nothing_ends(last: str | None) -> None:
    """Catches a trace that is given back, or told raw in the object that ends the stream."""
    item = reasoning_item(TRACE, status="in_progress")
    middle: Told = [("output_item.added", {"output_index": 0, "item": reasoning_item()})]
    middle += told_trace(TRACE)[:-2]
    whole = told_response(middle, [item])
    if last is None:
        whole.pop()
    else:
        whole[-1] = whole[-1].replace(b"response.completed", f"response.{last}".encode())
    out, _ = run(whole, FORMAT)
    assert find_leaks(out, TRACE) == []
    assert joined(deltas(out), TEXT) == SUMMARY
    assert numbers(out) == list(range(len(deltas(out))))
    if last:
        assert texts(deltas(out)[-1], TEXT) == [SUMMARY]


def body(*items: dict[str, object], **more: object) -> bytes:
    return json.dumps({**response(list(items)), **more}).encode()


def whole(value: bytes, decision: Decision = SUMMARISED) -> Any:
    return json.loads(run([value], FORMAT, decision, sse=False)[0])


def test_a_body() -> None:
    item = reasoning_item(TRACE, TRACE)
    told = whole(body(item, message_item()))
    assert texts(told, TEXT) == texts(told, "summary_text") == [SUMMARY]
    assert texts(told, "output_text") == [ANSWER]
    hidden = whole(body(item, message_item()), HIDDEN)
    assert hidden["output"] == [reasoning_item(), message_item()]


def test_a_body_that_says_its_text_once_more() -> None:
    said = f"<think>{TRACE}</think>{ANSWER}"
    told = whole(body(message_item(said), output_text=said), HIDDEN)
    assert (told["output_text"], texts(told, "output_text")) == (ANSWER, [ANSWER])
    plain = body(message_item(), output_text=ANSWER)
    assert run([plain], FORMAT, sse=False)[0] == plain


@pytest.mark.parametrize("place", ["reasoning", "response"])
def test_what_is_called_reasoning_is_a_trace_as_text_and_settings_as_an_object(place: str) -> None:
    settings = {"effort": "high", "summary": "detailed", "max_tokens": 9, "mode": None}
    kept = body(message_item(), reasoning=settings)
    assert run([kept], FORMAT, sse=False)[0] == kept
    told = whole(body(message_item(), reasoning=TRACE))
    assert told["reasoning"] == SUMMARY
    odd = whole(body(message_item(), reasoning={"effort": "high", "text": TRACE}), HIDDEN)
    assert TRACE not in odd["reasoning"].values()
    if place == "response":
        final = event("response.completed", sequence_number=0, response=json.loads(body(reasoning=TRACE)))
        out, _ = run([final], FORMAT, HIDDEN)
        assert deltas(out)[0]["response"]["reasoning"] == ""  # type: ignore[index]


SEALED = "gAAAAABpQx7k" + base64.urlsafe_b64encode(bytes(range(128, 256)) * 2).decode()
PLAIN = {
    "plain": TRACE,
    "base64": base64.b64encode(TRACE.encode()).decode(),
    "deflated": "sglang-reasoning-v1." + base64.b64encode(zlib.compress(TRACE.encode())).decode(),
}


@pytest.mark.parametrize("summary", ["", TRACE])
def test_a_seal_that_nobody_can_open_stays_for_the_next_turn(summary: str) -> None:
    """Catches a client that cannot go on: without it the API no longer knows the item."""
    item = reasoning_item("", summary, encrypted_content=SEALED)
    middle: Told = [
        ("output_item.added", {"output_index": 0, "item": reasoning_item(encrypted_content=SEALED[:40])})
    ]
    middle += told_trace(summary, SUMMARIES) if summary else []
    middle.append(("output_item.done", {"output_index": 0, "item": item}))
    for decision in (SUMMARISED, HIDDEN):
        out, _ = run(told_response(middle, [item]), FORMAT, decision)
        assert out.count(json.dumps(SEALED).encode()) == 2
        assert whole(body(item), decision)["output"][0]["encrypted_content"] == SEALED


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("where", [("", ""), (TRACE, ""), ("", TRACE), (TRACE, TRACE)])
def test_a_seal_that_anybody_can_open_goes(name: str, where: tuple[str, str]) -> None:
    item = reasoning_item(*where, encrypted_content=PLAIN[name])
    streamed: Told = told_trace(TRACE) if where[0] else []
    streamed.append(("output_item.done", {"output_index": 0, "item": item}))
    for out in (run(told_response(streamed, [item]), FORMAT)[0], run([body(item)], FORMAT, sse=False)[0]):
        assert PLAIN[name][-20:].encode() not in out
        assert find_leaks(out, TRACE) == []


def test_kept_items_are_read_as_those_of_a_response() -> None:
    listed = {"object": "list", "data": [reasoning_item(TRACE), message_item(), reasoning_item("", TRACE)]}
    told = whole(json.dumps(listed).encode())
    assert [texts(one, kind) for one in told["data"] for kind in (TEXT, "summary_text")] == [
        [SUMMARY], [], [], [], [], [SUMMARY],
    ]  # fmt: skip
    assert told["data"][1] == message_item()


CALL: dict[str, object] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c_1",
    "name": "count",
    "arguments": '{"a":"<think>"}',
}
CALLED: Told = [
    ("output_item.added", {"output_index": 2, "item": {**CALL, "arguments": ""}}),
    ("function_call_arguments.delta", {"output_index": 2, "item_id": "fc_1", "delta": '{"a":"<thi'}),
    ("function_call_arguments.delta", {"output_index": 2, "item_id": "fc_1", "delta": 'nk>"}'}),
    ("function_call_arguments.done", {"output_index": 2, "item_id": "fc_1", "arguments": CALL["arguments"]}),
    ("output_item.done", {"output_index": 2, "item": CALL}),
]


def test_calls_and_refusals_leave_as_they_came() -> None:
    refused: Told = [
        ("refusal.delta", {"output_index": 3, "content_index": 0, "item_id": "m", "delta": "I will "}),
        ("refusal.delta", {"output_index": 3, "content_index": 0, "item_id": "m", "delta": "not."}),
        ("refusal.done", {"output_index": 3, "content_index": 0, "item_id": "m", "refusal": "I will not."}),
    ]
    stream = told_response([*CALLED, *refused], [CALL])
    for decision in (SUMMARISED, HIDDEN):
        assert run(stream, FORMAT, decision)[0] == b"".join(stream)


def test_the_input_of_a_kept_response_goes_and_that_of_a_kept_call_stays() -> None:
    called: dict[str, object] = {
        "type": "custom_tool_call",
        "id": "c_1",
        "call_id": "c_1",
        "name": "run",
        "input": "ls <think>",
    }
    asked: list[object] = [
        {"role": "user", "content": "q"},
        {"type": "reasoning", "content": [{"type": "text", "text": TRACE}]},
    ]
    template = {"id": "pmpt_1", "variables": {"a": "b"}}
    kept = {**response([message_item(), called]), "input": asked, "prompt": template}
    for of in (kept, {"data": [kept]}, {"response": kept}, {"data": [{**kept, "prompt": asked}]}):
        told = whole(json.dumps(of).encode())
        assert find_leaks(json.dumps(told).encode(), TRACE) == []
        one = told.get("response") or told.get("data", [told])[0]
        assert one["input"] == []
        assert one["output"] == [message_item(), called]
        assert one["prompt"] in (template, [{}, {}])
    assert whole(json.dumps({"data": [called]}).encode()) == {"data": [called]}


def test_what_is_told_five_times_is_counted_once() -> None:
    """Catches a stream without usage whose trace, text or call is charged for each telling."""
    sealed = reasoning_item(TRACE, TRACE, encrypted_content=TRACE)  # three times in one place
    final = response([sealed, message_item(), CALL])
    stream = responses_stream()[:-1] + numbered([("completed", {"response": final})])
    said = [frame for frame in stream if b"in_progress" not in frame]
    bare = [frame.replace(b'"usage": {', b'"was": {') for frame in said]
    once = exchange(FORMAT, bytes_per_token=1.0)
    for frame in [*bare[:-1], *numbered(CALLED), bare[-1]]:
        once.receive(frame, 0.0)
    once.end(0.0)
    usage = once.settlement().usage
    assert usage.reasoning == len(TRACE)
    # A call in pieces is counted as the strings stand there, quotes and all; what follows is not.
    pieces = sum(len(json.dumps(one["delta"])) for kind, one in CALLED if kind.endswith("delta"))
    assert usage.completion == len(TRACE) + len(ANSWER) + pieces


ROW = {"token": "Tom", "logprob": -0.3, "bytes": None, "top_logprobs": [{"token": "Tom", "logprob": -0.3}, {"token": "Jim", "logprob": -1.7}]}  # fmt: skip


def test_rows_are_cut_in_every_telling() -> None:
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "Tom", "annotations": [], "logprobs": [ROW]}
    item = {**message_item(), "content": [part]}
    middle: Told = [
        ("output_text.delta", {**at, "delta": "Tom", "logprobs": [ROW]}),
        ("output_text.done", {**at, "text": "Tom", "logprobs": [ROW]}),
        ("content_part.done", {**at, "part": part}),
        ("output_item.done", {"output_index": 0, "item": item}),
    ]
    for decision, left in ((SUMMARISED, 10), (ONLY_ROWS, 10), (HIDDEN, 0)):
        out, _ = run(told_response(middle, [item]), FORMAT, decision)
        assert out.count(b"-0.5") == left
        assert b"-0.3" not in out
        assert (b"Jim" in out) is (decision is SUMMARISED)


def test_raw_messages_and_rows_of_a_trace_do_not_leave() -> None:
    raw = [{"message": TRACE, "tokens": [1, 2, 3]}]
    at = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    rows: Told = [("reasoning_text.delta", {**at, "delta": "Tom", "logprobs": [ROW]})]
    final = {**response([reasoning_item("Tom")]), "input_messages": raw, "output_messages": raw}
    out, _ = run(numbered([*rows, ("completed", {"response": final})]), FORMAT)
    assert b"Jim" not in out
    told: Any = deltas(out)[-1]["response"]
    assert (told["input_messages"], told["output_messages"]) == ([], [])


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "response.reasoning.delta", "delta": TRACE},
        {"type": "response.reasoning_summary.delta", "delta": {"text": TRACE}},
        {"type": "response.thinking.delta", "payload": TRACE},
        {"type": "response.thought", "chunks": [{"t": TRACE}]},
        {"delta": TRACE, "type": "response.reasoning_text.delta"},
        {"type": "response.reasoning_text.done", "text": TRACE},
        {"type": "response.output_text.delta", "delta": "Hi", "reasoning_content": TRACE},
        {"type": "response.output_item.done", "item": {"type": "reasoning", "id": "r", "trace_of_it": TRACE}},
        {"type": "response.output_item.done", "item": {"type": "reasoning", "summary": [], "note": TRACE}},
        {"type": "response.output_item.done", "item": {"type": "reasoning", "content": TRACE}},
        {"type": "response.output_item.done", "item": {"type": "message", "content": [{"type": "reasoning_text", "text": TRACE}]}},
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": [TRACE]}},
        {"type": "response.content_part.done", "part": {"type": "thinking", "thinking": TRACE}},
        {"type": "response.in_progress", "response": {"output": [{"type": "reasoning", "content": [{"text": TRACE}]}]}},
        {"type": "response.completed", "response": {"output": [{"type": "message", "reasoning": TRACE}]}},
        {"type": "response.failed", "response": {"error": {"message": "x", "debug": TRACE}}},
        {"type": "error", "error": {"failed_generation": TRACE}},
        {"data": {"type": "response.reasoning_text.delta", "delta": TRACE}},
        [{"type": "response.reasoning_text.delta", "delta": TRACE}],
    ],
)  # fmt: skip
def test_no_spelling_of_an_event_carries_a_trace(frame: object) -> None:
    raw = b"data: " + json.dumps(frame).encode() + b"\n\n"
    escaped = raw.replace(b"reasoning", b"r\\u0065asoning").replace(b"delta", b"d\\u0065lta")
    twice = raw.replace(b'"type"', b'"type": "x", "type"', 1)
    for sent in (raw, escaped, twice, b"\xef\xbb\xbf" + raw):
        out, _ = run([*responses_stream()[:2], sent], FORMAT, HIDDEN)
        assert find_leaks(out, TRACE) == [], sent


def test_a_second_key_of_the_same_name_hides_nothing() -> None:
    raw = b'data: {"type":"response.reasoning_text.delta","sequence_number":0,"delta":"%b","delta":""}\n\n' % TRACE.encode()  # fmt: skip
    assert find_leaks(run([raw], FORMAT, HIDDEN)[0], TRACE) == []


def test_a_trace_opens_no_tag_in_what_is_left_of_it() -> None:
    """Catches a snapshot in mid-stream that ends the text, so that the rest of a trace counts as visible."""
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    pieces = [f"Hi <think>{TRACE[:30]}", TRACE[30:], f"</think>{ANSWER}"]
    middle: Told = []
    for number, piece in enumerate(pieces):
        middle.append(("output_text.delta", {**at, "delta": piece, "logprobs": []}))
        so_far = message_item("".join(pieces[: number + 1]), "in_progress")
        middle.append(("in_progress", {"response": response([so_far], "in_progress")}))
    out, _ = run(numbered(middle), FORMAT, HIDDEN)
    assert find_leaks(out, TRACE) == []
    assert joined(deltas(out), "output_text") == f"Hi {ANSWER}"
    assert texts(deltas(out)[-1], "output_text") == [f"Hi {ANSWER}"]


def test_a_model_that_starts_open_tells_its_answer_alone_everywhere() -> None:
    decision = Decision(reasoning=ReasoningTerms(show="none", inline="starts_open"))
    said = f"{TRACE}</think>{ANSWER}"
    out, _ = run(told_response(told_text(said, 0), [message_item(said)]), FORMAT, decision)
    told = tellings(out, "output_text", "output_text")
    assert {text for found in told.values() for text in found} == {ANSWER}


def test_a_body_that_tells_a_trace_thrice_is_counted_once() -> None:
    item = reasoning_item(TRACE, TRACE, encrypted_content=TRACE)
    made = exchange(FORMAT, sse=False, bytes_per_token=1.0)
    made.receive(body(item, message_item(), usage=None), 0.0)
    made.end(0.0)
    assert made.settlement().usage == Usage(40, len(TRACE) + len(ANSWER), len(TRACE))


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_nothing_is_held_of_a_trace_that_is_over(decision: Decision) -> None:
    """Catches an agent's stream of a hundred traces, each of which is kept to its end."""
    made = exchange(FORMAT, decision)
    for frame in responses_stream()[:-1]:
        made.receive(frame, 0.0)
    kept = [frame.raw for frames in made._reply.rewriter._templates.values() for frame in frames.values()]
    assert kept
    assert not any(b"reasoning" in raw for raw in kept)


# -- numbers


def strip(stream: Iterable[bytes]) -> list[bytes]:
    return [b"data: " + json.dumps({k: v for k, v in deltas(one)[0].items() if k != "sequence_number"}).encode() + b"\n\n" for one in stream]  # fmt: skip


@pytest.mark.parametrize("first", [0, 7])
def test_numbers_count_on_from_the_first(first: int) -> None:
    stream = [
        frame.replace(b'"sequence_number": %d' % at, b'"sequence_number": %d' % (at + first))
        for at, frame in enumerate(responses_stream())
    ]
    out, _ = run(stream, FORMAT)
    assert numbers(out) == list(range(first, first + len(deltas(out))))


def test_a_stream_that_does_not_count_is_left_to_it() -> None:
    bare = strip(responses_stream())
    out, _ = run(bare, FORMAT)
    assert b"sequence_number" not in out
    assert joined(deltas(out), TEXT) == SUMMARY


def test_a_second_response_in_one_stream_is_counted_anew() -> None:
    once = run(responses_stream(), FORMAT)[0]
    assert run(responses_stream() * 2, FORMAT)[0] == once * 2


# -- the format's own words


def test_a_beat_is_the_response_again_and_is_counted() -> None:
    made = exchange(FORMAT)
    stream = responses_stream()
    assert made.wake(0.0) == b""
    out = [made.receive(frame, 0.0) for frame in stream[:6]]
    beat = made.wake(20.0)
    out += [beat, *(made.receive(frame, 30.0) for frame in stream[6:]), made.end(30.0)]
    told: Any = deltas(beat)[0]
    assert (told["type"], told["response"]) == ("response.in_progress", response([], "in_progress"))
    assert numbers(b"".join(out)) == list(range(len(deltas(b"".join(out)))))
    assert made.wake(40.0) == b""


def test_a_cut_is_an_incomplete_response_with_its_usage() -> None:
    made = exchange(FORMAT)
    out = b"".join(made.receive(frame, 0.0) for frame in responses_stream()[:12]) + made.cut(0.0)
    last: Any = deltas(out)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["id"] == "resp_1"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["usage"]["output_tokens"] == made.settlement().usage.completion
    assert numbers(out) == list(range(len(deltas(out))))
    assert find_leaks(out, TRACE) == []


# -- requests


def test_what_a_request_asks() -> None:
    asked = {"model": "m", "stream": True, "max_output_tokens": 9, "top_logprobs": 20, "input": "?"}
    read = CODEC.read_request(json.dumps(asked).encode(), door="d")
    assert (read.model, read.stream, read.max_tokens, read.top_logprobs) == ("m", True, 9, 20)
    named = b'{"include":["message.output_text.logprobs"]}'
    assert CODEC.read_request(named, door="d").top_logprobs == 0
    assert CODEC.read_request(b'{"include":["reasoning.encrypted_content"]}', door="d").top_logprobs is None


def test_a_request_asks_for_less() -> None:
    body = b'{"include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 20}'
    assert CODEC.edit_request(body, Edits(top_logprobs=5)) == body.replace(b"20", b"5")
    none = json.loads(CODEC.edit_request(body, Edits(top_logprobs=0, max_tokens=7)))
    assert none == {"max_output_tokens": 7, "include": ["reasoning.encrypted_content"], "top_logprobs": None}


def test_summaries_that_a_client_sends_back_are_not_taken_for_the_models_trace() -> None:
    """Catches what vLLM would put into its prompt as reasoning; a sealed item stays, and a mere reference."""
    asked = {"role": "user", "content": "?", "note": 123456789012345678901234567890}
    reference = {"type": "reasoning", "id": "rs_1", "summary": [], "content": None}
    summary = {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": SUMMARY}]}
    sealed = {**summary, "encrypted_content": SEALED}
    items = [asked, reasoning_item(SUMMARY), reference, summary, sealed, CALL]
    made = exchange(FORMAT)
    sent = json.loads(made.request(json.dumps({"input": items, "model": "m"}).encode()))
    assert sent["input"] == [asked, reference, {**summary, "summary": []}, sealed, CALL]
    shown = exchange(FORMAT, ONLY_ROWS)
    same = json.dumps({"input": items}).encode()
    assert shown.request(same) is same
    text = b'{"input": "what is \\"reasoning\\"?"}'
    assert made.request(text) is text
