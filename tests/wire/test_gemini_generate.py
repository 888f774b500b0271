"""Gemini: which part is a thought, what stays with it, and what a stream of it says by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardening.errors import WireError
from hardening.facts import Decision, LogprobTerms, Refusal, Usage
from hardening.wire.codec import CODECS
from hardening.wire.requests import Edits
from tests.exchanges import (
    ANSWER,
    HIDDEN,
    SHADOW,
    SIGNED,
    SUMMARISED,
    SUMMARY,
    TRACE,
    deltas,
    exchange,
    gemini_array,
    gemini_event,
    gemini_frames,
    gemini_stream,
    run,
    spoke,
)

FORMAT = "gemini_generate"
THOUGHT = {"text": TRACE, "thought": True}
SAID = {"text": ANSWER}
CALL = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": SIGNED}


def whole(*parts: Any, decision: Decision = HIDDEN, **more: Any) -> dict[str, Any]:
    """The body that leaves for one that says `parts`."""
    return body({**spoke(*parts, finish="STOP"), **more}, decision)


def body(value: object, decision: Decision = HIDDEN) -> Any:
    out, _ = run([json.dumps(value).encode()], FORMAT, decision, sse=False)
    return json.loads(out)


def parts_of(value: Any) -> list[Any]:
    return value["candidates"][0]["content"]["parts"]  # type: ignore[no-any-return]


def streamed(*values: object, decision: Decision = HIDDEN) -> list[Any]:
    return deltas(run(map(gemini_event, values), FORMAT, decision)[0])


# -- which part is a thought


@pytest.mark.parametrize("decision", [HIDDEN, SUMMARISED])
def test_a_thought_is_emptied_or_summarised_where_it_stands(decision: Decision) -> None:
    left = parts_of(whole(THOUGHT, SAID, decision=decision))
    assert left == [{"text": SUMMARY if decision is SUMMARISED else "", "thought": True}, SAID]


@pytest.mark.parametrize("switch", [True, "true", "True", 1, "yes", "what is no word of a switch"])
@pytest.mark.parametrize("first", [True, False])
def test_a_switch_before_or_behind_the_text_and_in_any_spelling(switch: object, first: bool) -> None:
    part = {"thought": switch, "text": TRACE} if first else {"text": TRACE, "thought": switch}
    left = parts_of(whole(part, SAID))
    assert [left[0]["text"], left[1]] == ["", SAID]
    assert left[0]["thought"] == (switch if switch != "what is no word of a switch" else "")


@pytest.mark.parametrize("switch", [False, None, "false", 0, "", {}])
def test_a_switch_that_is_off_hides_nothing(switch: object) -> None:
    part = {"text": ANSWER, "thought": switch}
    assert parts_of(whole(part)) == [part]


def test_every_thought_of_a_chunk_counts_and_only_the_first_tells_the_summary() -> None:
    """Catches a second thought that is taken for a copy: then neither a summary nor a search would know it."""
    second = "A second thought that comes in the same response, of its own."
    value = spoke(THOUGHT, SAID, {"text": second, "thought": True}, {"text": " More."}, finish="STOP")
    out, settled = run([json.dumps({**value, "note": second}).encode()], FORMAT, SUMMARISED, sse=False)
    left = json.loads(out)
    assert [part["text"] for part in parts_of(left)] == [SUMMARY, ANSWER, "", " More."]
    assert left["note"] == ""
    assert settled.changed == ("copies", "reasoning")


@pytest.mark.parametrize(
    "part",
    [
        {"thought": True, "text": "", "content": TRACE},
        {"thought": True, "text": "short", "foo": TRACE},
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": TRACE}},
        {"thought": True, "executableCode": {"language": "PYTHON", "code": TRACE}},
        {"thought": {"text": TRACE}},
        {"thought": TRACE, "text": ""},
        {"is_thought": True, "text": TRACE},
        {"reasoning": TRACE, "text": ""},
        {"text": TRACE, "type": "thinking"},
        {"text": TRACE, "thought": True, "text2": {"again": [TRACE]}},
    ],
)
def test_all_of_a_thought_goes_whatever_stands_in_it(part: dict[str, object]) -> None:
    value = whole(part, SAID)
    assert "apples. He" not in json.dumps(value)
    assert parts_of(value)[-1] == SAID


def test_escaped_and_doubled_keys_are_seen() -> None:
    raw = json.dumps(spoke(THOUGHT, SAID, finish="STOP")).replace('"thought"', '"th\\u006fught"')
    twice = raw.replace('"text": "Tom has 5', f'"text": "{TRACE}", "text": "Tom has 5')
    for body_ in (raw, twice):
        out, _ = run([body_.encode()], FORMAT, HIDDEN, sse=False)
        assert b"apples. He" not in out
        assert ANSWER.encode() in out


@pytest.mark.parametrize(
    "value",
    [
        {"response": spoke(THOUGHT, SAID)},
        [spoke(THOUGHT, SAID)],
        [[{"response": spoke(THOUGHT, SAID)}]],
        {"candidates": spoke(THOUGHT, SAID)["candidates"][0]},  # type: ignore[index]
        {"candidates": [{"content": [{"parts": [THOUGHT, SAID]}]}]},
        {"candidates": [{"content": {"parts": THOUGHT}}, {"content": ANSWER}]},
        {"candidates": [{"content": {"parts": [SAID]}, "thoughts": [TRACE]}]},
        {"candidates": [{"content": {"parts": [SAID], "reasoning_content": TRACE}}]},
        {"candidates": [{"content": {"parts": [f"<think>{TRACE}</think>{ANSWER}"]}}]},
    ],
)
def test_another_shape_hides_its_thoughts_too(value: object) -> None:
    left = json.dumps(body(value))
    assert "apples. He" not in left
    assert ANSWER in left


def test_what_is_no_thought_is_untouched() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {
            "toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a"]}},
            "thoughtSignature": SIGNED,
        },
        CALL,
        SAID,
    ]
    value = {
        **spoke(*parts, finish="STOP"),
        "promptFeedback": {"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]},
    }
    value["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["apples"], "groundingChunks": [{}]}  # type: ignore[index]
    raw = json.dumps(value).encode()
    assert run([raw], FORMAT, HIDDEN, sse=False)[0] == raw


# -- signatures


def test_a_signature_stays_with_its_part_whatever_became_of_the_thought() -> None:
    """Catches a signature that goes with the trace: Gemini 3 answers the next turn with 400."""
    left = parts_of(
        whole({**THOUGHT, "thoughtSignature": SIGNED}, {**SAID, "thoughtSignature": SIGNED}, CALL)
    )
    assert left == [
        {"text": "", "thought": True, "thoughtSignature": SIGNED},
        {**SAID, "thoughtSignature": SIGNED},
        CALL,
    ]


def test_a_chunk_whose_thought_goes_stays_for_its_signature() -> None:
    left = streamed(
        spoke(THOUGHT),
        spoke(THOUGHT),
        spoke({**THOUGHT, "thoughtSignature": SIGNED}),
        spoke(SAID, finish="STOP"),
    )
    assert [parts_of(value) for value in left[1:]] == [
        [{"text": "", "thought": True, "thoughtSignature": SIGNED}],
        [SAID],
    ]


def test_a_signature_that_anybody_can_read_is_none() -> None:
    left = parts_of(whole(SAID, {**CALL, "thoughtSignature": TRACE}))
    assert left == [SAID, {**CALL, "thoughtSignature": ""}]


# -- streams


def test_a_hidden_trace_leaves_one_chunk_whatever_its_length() -> None:
    left = deltas(run(gemini_stream(), FORMAT, HIDDEN)[0])
    assert parts_of(left[0]) == [{"text": "", "thought": True}]
    assert "".join(part.get("text", "") for value in left for part in parts_of(value)) == ANSWER
    assert len(left) == 1 + len(ANSWER.split()) + 1


def test_a_summary_comes_before_the_answer_and_says_who_speaks() -> None:
    left = deltas(run(gemini_stream(), FORMAT, SUMMARISED)[0])
    told = left[1]["candidates"][0]["content"]  # type: ignore[index]
    assert told == {"parts": [{"text": SUMMARY, "thought": True}], "role": "model"}
    assert left[1]["usageMetadata"] is None


def test_a_summary_written_anew_calls_no_function_again() -> None:
    first = spoke({"text": "One. ", "thought": True}, CALL)
    left = streamed(first, spoke({"text": "Two. ", "thought": True}), spoke(SAID), decision=SUMMARISED)
    calls = [part for value in left for part in parts_of(value) if part.get("functionCall") is not None]
    assert calls == [CALL]


def test_candidates_have_traces_of_their_own_and_may_leave_their_number_to_the_end() -> None:
    def one(index: int, *parts: dict[str, object], **more: object) -> dict[str, object]:
        return {"content": {"parts": list(parts), "role": "model"}, **more, "index": index}

    values: list[object] = [
        {"candidates": [one(1, THOUGHT), one(0, THOUGHT)]},
        {"candidates": [one(1, SAID)]},
        {"candidates": [one(0, THOUGHT)]},
        {"candidates": [one(0, SAID, finishReason="STOP"), one(1, finishReason="STOP")]},
    ]
    told: dict[int, str] = {}
    for value in streamed(*values, decision=SUMMARISED):
        for candidate in value["candidates"]:
            for part in candidate["content"]["parts"]:
                told[candidate["index"]] = told.get(candidate["index"], "") + part["text"]
    assert told == {0: SUMMARY + ANSWER, 1: SUMMARY + ANSWER}


def test_a_trace_that_never_closes_is_never_given_back() -> None:
    out, _ = run(gemini_stream()[:9], FORMAT, HIDDEN)
    assert b"apples" not in out
    out, _ = run(gemini_stream()[:9], FORMAT, SUMMARISED)
    assert SUMMARY.encode() in out


def test_an_error_in_mid_stream_leaves_as_it_came() -> None:
    error = b'{\r\n  "error": {\r\n    "code": 499,\r\n    "status": "CANCELLED"\r\n  }\r\n}\r\n'
    out, settled = run([*gemini_stream()[:3], error], FORMAT, HIDDEN)
    assert out.endswith(error)
    assert settled.reasons == ()


# -- arrays


def arrayed(pieces: list[bytes], decision: Decision = HIDDEN) -> tuple[bytes, Any]:
    return run(pieces, FORMAT, decision, sse=False)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_array_says_what_events_say(size: int) -> None:
    joined = b"".join(gemini_array())
    out, settled = arrayed([joined[at : at + size] for at in range(0, len(joined), size)], SUMMARISED)
    events, same = run(gemini_stream(), FORMAT, SUMMARISED)
    assert json.loads(out) == deltas(events)
    assert settled == same
    assert arrayed([joined], SHADOW)[0] == joined


def test_elements_leave_as_soon_as_they_are_whole() -> None:
    made = exchange(FORMAT, HIDDEN, sse=False)
    spoken = [made.receive(piece, 0.0) for piece in [b"[", *gemini_array()[-6:]]]
    assert spoken[0] == b"["
    assert all(spoken[1:])


def test_the_head_of_an_array_waits_for_its_first_byte_only() -> None:
    made = exchange(FORMAT, HIDDEN, sse=False)
    assert made.start(200, [(b"content-type", b"application/json; charset=UTF-8")]).hold
    assert made.receive(b"[{", 0.0) == b"["


@pytest.mark.parametrize("decision", [HIDDEN, SUMMARISED])
@pytest.mark.parametrize("frames", [1, 3, 0])
def test_an_array_that_is_ended_here_is_one(decision: Decision, frames: int) -> None:
    for end in ("cut", "fail"):
        made = exchange(FORMAT, decision, sse=False)
        pieces = gemini_array()[:frames] if frames else [b"["]
        out = b"".join(made.receive(piece, 0.0) for piece in [*pieces, b"\n,\r\n{"[: 9 * bool(frames)]])
        out += made.wake(10.0) if frames == 0 else b""
        refusal = Refusal(502, "internal", "the model server failed")
        out += made.cut(0.0) if end == "cut" else made.fail(0.0, refusal)
        *_, last = json.loads(out)
        if end == "cut":
            assert last["candidates"][0]["finishReason"] == "MAX_TOKENS"
        else:
            assert last["error"] == {"code": 502, "message": refusal.message, "status": "INTERNAL"}
        assert b"apples" not in out
        assert made.receive(b"}]", 0.0) + made.end(0.0) == b""


def test_a_beat_stands_between_elements() -> None:
    made = exchange(FORMAT, HIDDEN, sse=False)
    pieces = gemini_array()
    out = [made.receive(piece, 0.0) for piece in pieces[:2]]
    out += [made.wake(10.0), made.receive(b"\n,\r\n", 11.0), made.wake(20.0)]
    out += [made.receive(b"".join(pieces[2:]).removeprefix(b"\n,\r\n"), 21.0), made.end(22.0)]
    beats = [
        value for value in json.loads(b"".join(out)) if parts_of(value) == [{"text": "", "thought": True}]
    ]
    assert len(beats) == 3  # the first chunk of the trace among them
    assert made.wake(30.0) == b""


def test_a_summary_that_is_owed_stands_before_the_end_of_the_array() -> None:
    thoughts = [json.dumps(value).encode() for value in gemini_frames()[:3]]
    out, _ = arrayed([b"[" + b",".join(thoughts) + b"]\n"], SUMMARISED)
    assert parts_of(json.loads(out)[-1]) == [{"text": SUMMARY, "thought": True}]
    assert out.endswith(b"]\n")


def test_what_is_no_array_is_read_as_what_it_is() -> None:
    error = b'{"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}'
    assert arrayed([error])[0] == error
    events = b"".join(gemini_stream())
    for size in (1, len(events)):
        out, _ = arrayed([events[at : at + size] for at in range(0, len(events), size)])
        assert out == run(gemini_stream(), FORMAT, HIDDEN)[0]


def test_elements_that_can_be_no_answer_go_and_the_array_stays() -> None:
    pieces = [f'["{TRACE}", 7, null, ', json.dumps(spoke(SAID)), f', "{TRACE}"]']
    out, settled = arrayed(["".join(pieces).encode()])
    assert json.loads(out) == [spoke(SAID)]
    assert settled.reasons == ("unreadable_frame",)


@pytest.mark.parametrize("broken", ["nul", f'{{"a" "{TRACE}"}}', "}"])
def test_an_array_with_an_element_that_is_no_json_is_not_read_on(broken: str) -> None:
    """Catches a reader that goes on where nobody knows whether it stands inside of an element."""
    with pytest.raises(WireError, match="expected a JSON value"):
        arrayed([f"[{broken}, {json.dumps(spoke(SAID))}]".encode()])


# -- what a stream says by itself


def test_beats_say_nothing_and_end_with_the_candidate() -> None:
    made = exchange(FORMAT, HIDDEN)
    assert made.wake(0.0) == b""
    made.receive(gemini_stream()[0], 0.0)
    assert made.wake_at == 10.0
    assert made.wake(10.0) == (
        b'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"","thought":true}]}}],'
        b'"modelVersion":"gemini-m","responseId":"r1"}\r\n\r\n'
    )
    made.receive(gemini_stream()[-1], 11.0)
    assert made.wake(20.0) == b""


def test_a_stream_out_of_tokens_ends_each_open_candidate_and_counts_thoughts_apart() -> None:
    codec = CODECS[FORMAT]
    framing = codec.framing(b"text/event-stream")
    assert framing is not None
    stream = codec.stream(framing)
    for value in (spoke(SAID), spoke(SAID, index=1), spoke({"text": ""}, index=1, finish="STOP")):
        raw = gemini_event(value)
        stream.note(codec.frame(raw, 6, len(raw) - 4), eol=b"\n", data=raw[6:-4])
    (end,) = deltas(stream.cut(Usage(9, 50, 30)))
    assert [(one["index"], one["finishReason"]) for one in end["candidates"]] == [(0, "MAX_TOKENS")]  # type: ignore[attr-defined]
    assert end["usageMetadata"] == {
        "promptTokenCount": 9,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 59,
    }


@pytest.mark.parametrize(
    ("reason", "over"), [("STOP", True), (1, True), (0, False), ("FINISH_REASON_UNSPECIFIED", False)]
)
def test_a_reason_may_be_a_number(reason: object, over: bool) -> None:
    """Catches a stream whose count is taken for unfinished, since an enumeration was written as a number."""
    value = spoke(SAID, candidatesTokenCount=2)
    value["candidates"][0]["finishReason"] = reason  # type: ignore[index]
    _, settled = run([gemini_event(value)], FORMAT, HIDDEN)
    assert (settled.usage.completion == 2) is over


# -- log-probabilities


def lists(count: int = 8) -> dict[str, Any]:
    tokens = [word + " " for word in ANSWER.split(" ")[:-1]] + [ANSWER.split(" ")[-1]]
    rows = [
        [{"token": token if rank == 0 else f"t{rank}", "logProbability": -0.137 - rank, "tokenId": 77_000 + rank}
         for rank in range(count)]
        for token in tokens
    ]  # fmt: skip
    return {
        "avgLogprobs": -0.137571,
        "logprobsResult": {
            "chosenCandidates": [row[0] for row in rows],
            "topCandidates": [{"candidates": row} for row in rows],
            "logProbabilitySum": -7.137571,
        },
    }


def with_lists(more: dict[str, Any], *parts: dict[str, object]) -> dict[str, Any]:
    value: dict[str, Any] = spoke(*parts, finish="STOP")
    value["candidates"][0] |= more
    return value


def test_rows_are_cut_to_the_policy_and_hold_no_ids_and_no_sums() -> None:
    left = body(with_lists(lists(), THOUGHT, SAID), SUMMARISED)["candidates"][0]
    assert left["avgLogprobs"] is None
    rows = left["logprobsResult"]
    assert rows.keys() == {"chosenCandidates", "topCandidates"}
    assert "".join(row["token"] for row in rows["chosenCandidates"]) == ANSWER
    assert {row["logProbability"] for row in rows["chosenCandidates"]} == {-0.25}
    assert [len(row["candidates"]) for row in rows["topCandidates"]] == [2] * len(ANSWER.split())
    assert b"tokenId" not in json.dumps(left).encode()


@pytest.mark.parametrize("snake", [False, True])
def test_no_rows_leave_where_the_policy_has_none(snake: bool) -> None:
    more = lists()
    if snake:
        result = more["logprobsResult"]
        more = {
            "avg_logprobs": -0.137571,
            "logprobs_result": {
                "chosen_candidates": [{"token": ANSWER, "log_probability": -0.137}],
                "top_candidates": result["topCandidates"],
            },
        }
    left = json.dumps(body(with_lists(more, SAID)))
    assert "0.137" not in left
    assert "chosen" not in left
    assert ANSWER in left


@pytest.mark.parametrize(
    "result",
    [
        {"chosenCandidates": [{"token": TRACE, "logProbability": -1.5}]},
        {"chosenCandidates": [{"token": ANSWER, "logProbability": -1.5}], "topCandidates": [{}, {}]},
        {"chosenCandidates": {"token": ANSWER}, "topCandidates": []},
        {"chosenCandidates": [{"token": ANSWER, "logProbability": "-1.5"}]},
        {"topCandidates": [{"candidates": [{"token": ANSWER, "logProbability": -1.5}]}]},
        {
            "chosenCandidates": [{"token": ANSWER, "logProbability": -1.5}],
            "topCandidates": [{"candidates": [7]}],
        },
        [{"token": ANSWER, "logProbability": -1.5}],
        {"other": [{"token": ANSWER, "logProbability": -1.5}]},
    ],
)
def test_rows_that_do_not_spell_the_answer_or_do_not_agree_go(result: object) -> None:
    left = body(with_lists({"logprobsResult": result}, THOUGHT, SAID), SUMMARISED)
    assert "1.5" not in json.dumps(left)
    assert ANSWER in json.dumps(left)


def test_rows_within_the_policy_leave_as_they_came() -> None:
    value = with_lists({"logprobsResult": {**lists(2)["logprobsResult"]}}, SAID)
    del value["candidates"][0]["logprobsResult"]["logProbabilitySum"]
    raw = json.dumps(value).encode()
    assert run([raw], FORMAT, Decision(logprobs=LogprobTerms(top=None)), sse=False)[0] == raw


# -- requests and refusals


ASKED = {
    "contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [{"text": "ours", "thought": True}]},
        {
            "role": "model",
            "parts": [{"text": "ours", "thought": True}, {"text": "a", "thoughtSignature": SIGNED}],
        },
        {"role": "model", "parts": [{"text": "theirs", "thought": True, "thoughtSignature": SIGNED}, CALL]},
    ],
    "generationConfig": {
        "candidateCount": 3,
        "responseLogprobs": True,
        "logprobs": 20,
        "maxOutputTokens": 99,
    },
}


@pytest.mark.parametrize("snake", [False, True])
def test_what_a_request_asks(snake: bool) -> None:
    raw = json.dumps(ASKED)
    if snake:
        for camel, other in (
            ("generationConfig", "generation_config"),
            ("maxOutputTokens", "max_output_tokens"),
            ("candidateCount", "candidate_count"),
        ):
            raw = raw.replace(camel, other)
    facts = CODECS[FORMAT].read_request(raw.encode(), door="/d", model="gemini-m", stream=True)
    assert (facts.model, facts.stream, facts.choices, facts.max_tokens, facts.top_logprobs) == (
        "gemini-m", True, 3, 99, 20,
    )  # fmt: skip


def test_a_request_asks_for_no_more_than_is_allowed() -> None:
    edits = Edits(max_tokens=7, top_logprobs=5, drop_resent=True)
    left = json.loads(CODECS[FORMAT].edit_request(json.dumps(ASKED).encode(), edits))
    assert left["generationConfig"] == {**ASKED["generationConfig"], "logprobs": 5, "maxOutputTokens": 7}  # type: ignore[dict-item]
    none = json.loads(CODECS[FORMAT].edit_request(json.dumps(ASKED).encode(), Edits(top_logprobs=0)))
    assert (none["generationConfig"]["responseLogprobs"], none["generationConfig"]["logprobs"]) == (
        False,
        None,
    )
    assert CODECS[FORMAT].edit_request(b'{"contents":[]}', Edits(max_tokens=7)) == (
        b'{"generationConfig":{"maxOutputTokens":7},"contents":[]}'
    )


def test_our_own_summaries_are_not_sent_upstream_as_thoughts_of_the_model() -> None:
    """Catches a chat client's history, in which every chunk is a message of its own."""
    made = exchange(FORMAT, SUMMARISED)
    left = json.loads(made.request(json.dumps(ASKED).encode()))["contents"]
    contents: Any = ASKED["contents"]
    assert left == [contents[0], {"role": "model", "parts": [contents[2]["parts"][1]]}, contents[3]]
    only = b'{"contents":[{"parts":[{"text":"ours","thought":true}]}]}'
    assert made.request(only) == only


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        ("forbidden", 403, "PERMISSION_DENIED"), ("rate_limit", 429, "RESOURCE_EXHAUSTED"),
        ("quota", 429, "RESOURCE_EXHAUSTED"), ("unreadable", 400, "INVALID_ARGUMENT"),
        ("unauthenticated", 401, "UNAUTHENTICATED"), ("unavailable", 503, "UNAVAILABLE"), ("internal", 500, "INTERNAL"),
    ],
)  # fmt: skip
def test_a_refusal_is_googles(kind: Any, status: int, name: str) -> None:
    told, headers, raw = CODECS[FORMAT].refusal(Refusal(status, kind, "no"), "req_1")
    assert (told, dict(headers)[b"content-type"]) == (status, b"application/json")
    assert json.loads(raw) == {"error": {"code": status, "message": "no", "status": name}}
