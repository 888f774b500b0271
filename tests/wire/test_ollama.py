"""Ollama's lines: counts, tokens, rows, beats and ends, and what its requests ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardening.facts import Decision, LogprobTerms, ReasoningTerms, Refusal, Usage
from hardening.wire.codec import CODECS
from hardening.wire.ndjson import NDJSON
from hardening.wire.requests import Edits
from tests.exchanges import (
    ANSWER,
    HIDDEN,
    SHADOW,
    SUMMARISED,
    SUMMARY,
    TRACE,
    TRACED,
    exchange,
    line,
    ollama_chat_stream,
    ollama_generate_stream,
    run,
    spoken,
    words,
)

CHAT, GENERATE = "ollama_chat", "ollama_generate"
STREAMS = {CHAT: ollama_chat_stream, GENERATE: ollama_generate_stream}


def values(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(one) for one in out.split(b"\n") if one]


def said(out: bytes, name: str) -> str:
    """What the lines say under a name, in the message or beside it."""
    return "".join(value.get("message", value).get(name) or "" for value in values(out))


def row(token: str) -> dict[str, object]:
    top = [
        {"token": token, "logprob": -0.3},
        {"token": "x", "logprob": -1.3},
        {"token": "y", "logprob": -2.3},
    ]
    return {"token": token, "logprob": -0.3, "bytes": list(token.encode()), "top_logprobs": top}


@pytest.mark.parametrize("format", STREAMS)
def test_a_summary_stands_where_the_trace_stood_before_the_answer(format: str) -> None:
    out, settled = run(STREAMS[format](), format)
    text = "content" if format == CHAT else "response"
    assert (said(out, "thinking"), said(out, text)) == (SUMMARY, ANSWER)
    told = [bool(value.get("message", value).get("thinking")) for value in values(out)]
    assert told.index(True) < len(values(out)) - len(words(ANSWER)) - 1
    assert (settled.usage, settled.source) == (Usage(9, 40, TRACED), "usage")
    assert [value["done"] for value in values(out)] == [False] * (len(values(out)) - 1) + [True]
    if format == CHAT:  # which a client demands in every line
        assert {value["message"]["role"] for value in values(out)} == {"assistant"}


def test_a_line_that_lacks_its_end_gets_one_before_another() -> None:
    out, _ = run([ollama_chat_stream()[1].rstrip()], CHAT)
    assert [value["message"]["thinking"] for value in values(out)] == ["", SUMMARY]
    whole = ollama_chat_stream()[1].rstrip()
    assert run([whole], CHAT, SHADOW)[0] == whole


@pytest.mark.parametrize("format", STREAMS)
def test_the_last_line_of_a_trace_that_nothing_follows_is_a_line_of_its_own(format: str) -> None:
    for cut in (1, 20):
        body = b"".join(STREAMS[format]()[1:5])[:-cut]
        out, _ = run([body], format)
        assert TRACE[:10].encode() not in out
        assert said(out, "thinking") == SUMMARY
        assert run([body], format, HIDDEN)[0].count(b"\n") <= 1


def test_a_count_that_stands_alone_says_nothing_of_the_other() -> None:
    last = line(**spoken(""), done=True, eval_count=7)
    _, settled = run([line(**spoken("Yes.")), last], CHAT)
    assert settled.usage == Usage(10, 7)  # 40 bytes of prompt: the server had it in memory and left it out
    odd = line(**spoken(""), done=True, eval_count="7", prompt_eval_count=-1)
    _, settled = run([line(**spoken("Yes.")), odd], CHAT)
    assert settled.source == "events"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
def test_the_tokens_of_the_raw_output_go_with_the_trace(decision: Decision, streamed: bool) -> None:
    last = line(
        response="Yes.",
        thinking=TRACE,
        done=True,
        context=[31, 41, 59],
        _debug_info={"rendered_template": TRACE},
    )
    out, _ = run([last], GENERATE, decision, sse=streamed)
    (value, *_) = values(out)
    assert (value["context"], value["_debug_info"], value["response"]) == ([], {}, "Yes.")
    shown = Decision(reasoning=ReasoningTerms(show="full"), logprobs=LogprobTerms(top=2))
    assert run([last], GENERATE, shown)[0] == run([last], GENERATE, SHADOW)[0] == last


def test_rows_go_with_their_trace_and_with_text_that_is_held_back() -> None:
    pieces = [
        line(0, **spoken("", thinking="Tom has"), logprobs=[row("Tom"), row(" has")]),
        line(1, **spoken("", thinking=" five"), logprobs=[row(" five")]),
        line(2, **spoken("", thinking=" six"), logprobs=[row(" six")]),
        line(3, **spoken(""), logprobs=[row("</"), row("think>")]),
        line(4, **spoken("Yes"), logprobs=[row("Yes")]),
        line(5, **spoken(""), logprobs=[row("."), row(" No")]),
        line(6, **spoken(""), done=True, logprobs=[row("!")]),
    ]
    for cut in (pieces, [b"".join(pieces)]):
        out, _ = run(cut, CHAT)
        rows = [one for value in values(out) for one in value.get("logprobs", ())]
        assert [one["token"] for one in rows] == ["Yes"]
        assert ([len(one["top_logprobs"]) for one in rows], rows[0]["logprob"]) == ([2], -0.5)
        assert b'"logprobs"' not in run(cut, CHAT, HIDDEN)[0].replace(b'"logprobs":[]', b"")


def test_rows_of_a_whole_answer_are_those_of_its_text() -> None:
    body = line(**spoken("Yes", thinking="Hm"), done=True, logprobs=[row("Hm"), row("</think>"), row("Yes")])
    out, _ = run([body], CHAT, sse=False)
    assert [one["token"] for one in json.loads(out)["logprobs"]] in (["Yes"], [])


@pytest.mark.parametrize("format", STREAMS)
def test_raw_output_holds_its_trace_between_tags(format: str) -> None:
    pieces = [
        line(number, **(spoken(text) if format == CHAT else {"response": text}))
        for number, text in enumerate([*words(f"<think>{TRACE}"), "</think>", ANSWER])
    ]
    out, _ = run(pieces, format, HIDDEN)
    assert said(out, "content" if format == CHAT else "response") == ANSWER
    assert len(values(out)) == 2  # the first, which begins the stream, and the answer


@pytest.mark.parametrize(
    "more",
    [
        {"thinking_text": TRACE},
        {"reasoning": [{"text": TRACE}]},
        {"thinking": {"parts": [TRACE]}},
        {"thinking": list(TRACE.encode())},
        {"content": ["Yes.", {"type": "thinking", "thinking": TRACE}, f"<think>{TRACE}</think>"]},
        {"content": [{"type": "thinking", "thinking": [{"text": TRACE}]}, {"type": "text", "text": "Yes."}]},
        {"tokens": {"token_ids": [1, 2, 3]}, "thinking": "x"},
    ],
)
def test_other_names_and_shapes_of_a_trace(more: dict[str, object]) -> None:
    for body in (
        line(**spoken("Yes.", **more)),
        line(**more, **spoken("Yes.")),
        line(response="Yes.", **more),
    ):
        out, _ = run([body], CHAT, HIDDEN)
        assert b"Yes." in out
        assert TRACE[:20].encode() not in out
        assert b"84,111,109" not in out
        assert b"[1,2,3]" not in out


@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream", b""])
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_lines_that_call_themselves_something_else(kind: bytes, size: int) -> None:
    body = b"".join(ollama_chat_stream())
    made = exchange(CHAT, HIDDEN)
    made.start(200, [(b"content-type", kind)])
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    out = b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)
    assert (said(out, "content"), said(out, "thinking")) == (ANSWER, "")
    assert made.settlement().usage == Usage(9, 40, TRACED)


def test_tags_in_lines_that_call_themselves_one_text_are_split_as_in_a_stream() -> None:
    pieces = [
        line(number, **spoken(text)) for number, text in enumerate(["a<thi", "nk>", TRACE, "</think", ">b"])
    ]
    assert said(run(pieces, CHAT, HIDDEN, sse=False)[0], "content") == "ab"


def test_a_line_among_server_sent_events_is_none_of_them() -> None:
    """Catches a line that is taken for an event because it looks like those of another framing."""
    event = b"data: " + line(**spoken("a")) + b"\n"
    pieces = [event] * 4 + [line(5, **spoken("b")), b"\n", event]

    def left(pieces: list[bytes]) -> list[bytes]:
        made = exchange(CHAT, HIDDEN)
        made.start(200, [(b"content-type", b"text/event-stream")])
        return [*(made.receive(piece, 0.0) for piece in pieces), made.end(0.0)]

    shares = left(pieces)
    assert shares[4] == b""  # it is an event without the name of a field, and ends where events end
    assert b"".join(shares) == b"".join(left([b"".join(pieces)])) == b"".join(pieces)


def test_every_key_of_a_line_that_comes_twice_or_escaped_is_cut() -> None:
    twice = line(**spoken("Yes.", thinking="T-one")).replace(b'"role"', b'"think\\u0069ng":"T-two","role"')
    assert twice.count(b"T-") == 2
    assert b"T-" not in run([twice], CHAT, HIDDEN)[0]


def test_what_is_written_holds_no_line_end_of_any_client() -> None:
    text = "a\x85b\u2028c\u2029d <"
    raw = line(**spoken("@")).replace(b"@", text.encode())
    out, _ = run([raw, line(**spoken("think>secret</think>e"), done=True)], CHAT)
    assert len(out.decode().splitlines()) == len(values(out)) == 2
    assert said(out, "content").replace(SUMMARY, "") == "a\x85b\u2028c\u2029d <think>\n\n</think>\ne"


def test_a_byte_order_mark_blank_lines_and_odd_lines() -> None:
    stream = ollama_chat_stream()
    out, settled = run([b"\xef\xbb\xbf" + stream[0], b"\n", b"{\n", *stream[1:]], CHAT, HIDDEN)
    assert said(out.removeprefix(b"\xef\xbb\xbf"), "content") == ANSWER
    assert settled.reasons == ("unreadable_frame",)


def test_beats_are_lines_that_say_nothing_until_the_stream_is_done() -> None:
    stream = ollama_chat_stream()
    made = exchange(CHAT)
    made.receive(stream[0], 0.0)
    for piece in stream[1:4]:
        made.receive(piece, 0.0)
    assert made.wake_at == 10.0
    (beat,) = values(made.wake(10.0))
    assert beat == {**json.loads(stream[0]), **spoken(""), "done": False}
    for piece in stream[4:]:
        made.receive(piece, 11.0)
    assert made.wake(30.0) == b""
    early = exchange(GENERATE)
    assert values(early.wake(1.0)) == [{"response": "", "done": False}]


@pytest.mark.parametrize("format", STREAMS)
def test_a_stream_out_of_tokens_ends_as_one_that_reached_its_length(format: str) -> None:
    made = exchange(format)
    stream = STREAMS[format]()
    made.receive(b"".join(stream[:4]), 0.0)
    *_, summary, last = values(made.cut(0.0))
    assert summary.get("message", summary)["thinking"] == SUMMARY
    assert (last["done"], last["done_reason"], last["model"]) == (True, "length", "m")
    assert last["eval_count"] > 0
    assert (last["message"]["content"] if format == CHAT else last["response"]) == ""


def test_errors_are_a_text_under_one_name() -> None:
    refusal = Refusal(429, "rate_limit", "a limit\u2028is used up")
    status, _, body = CODECS[CHAT].refusal(refusal, "req_1")
    assert (status, json.loads(body)) == (429, {"error": "a limit\u2028is used up"})
    failed = CODECS[GENERATE].stream(NDJSON).fail(refusal, "req_1")
    assert failed.endswith(b"\n")
    assert (json.loads(failed), len(failed.decode().splitlines())) == (json.loads(body), 1)
    told = line(**spoken("", thinking=TRACE)) + b'{"error":"' + TRACE.encode() + b'"}\n'
    out, _ = run([told], CHAT, HIDDEN)
    assert values(out)[-1] == {"error": ""}


@pytest.mark.parametrize(
    ("asked", "streams"),
    [
        ({}, True),
        ({"stream": True}, True),
        ({"stream": None}, True),
        ({"stream": False}, False),
        ({"Stream": False}, False),
        ({"stream": False, "STREAM": True}, True),
    ],
)
def test_an_answer_comes_in_pieces_unless_it_shall_not(asked: dict[str, object], streams: bool) -> None:
    body = json.dumps({"model": "m", **asked}).encode()
    for format in STREAMS:
        assert CODECS[format].read_request(body, door="d").stream is streams


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"num_predict": 7}, 7),
        ({"num_predict": -1}, None),
        ({"num_predict": -2, "Num_Predict": 7}, None),
        ({}, None),
    ],
)
def test_a_bound_below_zero_is_none(options: dict[str, object], bound: int | None) -> None:
    body = json.dumps({"model": "m", "options": options}).encode()
    assert CODECS[CHAT].read_request(body, door="d").max_tokens == bound
    edited = CODECS[CHAT].edit_request(body, Edits(max_tokens=5))
    assert {key.lower(): value for key, value in json.loads(edited)["options"].items()} == {"num_predict": 5}


def test_a_request_asks_for_no_more_than_is_allowed_and_sends_no_summary_back() -> None:
    turns = [
        {"role": "assistant", "content": "Hi", "thinking": SUMMARY, "tool_calls": []},
        {"role": "user", "content": "?"},
    ]
    body = json.dumps(
        {"model": "m", "messages": turns, "logprobs": True, "top_logprobs": 20, "think": "high"}
    ).encode()
    facts = CODECS[CHAT].read_request(body, door="d")
    assert (facts.top_logprobs, facts.stream) == (20, True)
    edited = json.loads(
        CODECS[CHAT].edit_request(body, Edits(max_tokens=9, top_logprobs=2, drop_resent=True))
    )
    turns[0]["thinking"] = ""
    assert edited == {
        "options": {"num_predict": 9},
        "model": "m",
        "messages": turns,
        "logprobs": True,
        "top_logprobs": 2,
        "think": "high",
    }
    assert CODECS[CHAT].edit_request(body, Edits(top_logprobs=20)) is body
