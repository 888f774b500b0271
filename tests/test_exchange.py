"""One response's whole way: what leaves, when, and what it came to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hardening.errors import WireError
from hardening.exchange import BEAT_S, Tools
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, Refusal, Usage
from tests.exchanges import (
    ANSWER,
    DONE,
    EXEMPT,
    HIDDEN,
    SHADOW,
    SUMMARISED,
    SUMMARY,
    TOOLS,
    TRACE,
    TRACED,
    USAGE,
    chat_stream,
    chunk,
    deltas,
    exchange,
    messages_stream,
    run,
    said,
    words,
)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking", "reasoning_v9"])
def test_a_chat_stream_is_summarised_before_its_answer(field: str) -> None:
    out, settled = run(chat_stream(field))
    assert said(out, field) == SUMMARY
    assert said(out, "content") == ANSWER
    assert out.index(SUMMARY.encode()) < out.index(b"Tom has"[:3])
    assert len(deltas(out)) == 1 + 1 + len(words(ANSWER)) + 2  # role, summary, answer, finish, usage
    assert out.endswith(DONE)
    assert (settled.usage, settled.source, settled.changed) == (Usage(9, 40, TRACED), "usage", ("reasoning",))


def test_a_messages_stream_is_summarised_in_its_block_without_a_signature() -> None:
    out, settled = run(messages_stream(), "anthropic_messages")
    events = deltas(out)
    thinking = [event["delta"]["thinking"] for event in events if "thinking" in event.get("delta", {})]  # type: ignore[operator,index]
    assert thinking == [SUMMARY]
    assert b"signature_delta" not in out
    kinds = [event["type"] for event in events]
    assert kinds.index("content_block_delta") < kinds.index("content_block_stop")
    assert (
        "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
        == ANSWER
    )  # type: ignore[attr-defined]
    assert settled.usage == Usage(9, 40, TRACED)


@pytest.mark.parametrize("decision", [SHADOW, EXEMPT, Decision()])
def test_where_nothing_acts_every_piece_is_the_same_object(decision: Decision) -> None:
    made = exchange(decision=decision)
    for piece in chat_stream():
        assert made.receive(piece, 0.0) is piece
    assert made.end(0.0) == b""
    assert made.settlement().usage == Usage(9, 40, TRACED)
    assert made.treatment == {}


def test_answer_frames_are_the_same_object_even_where_the_policy_acts() -> None:
    made = exchange()
    for piece in chat_stream():
        out = made.receive(piece, 0.0)
        if b'"content": "T' in piece or (b"apples" in piece and b"reasoning" not in piece):
            assert out.endswith(piece)


def test_the_first_frame_of_the_answer_leaves_at_once() -> None:
    made = exchange()
    for piece in chat_stream():
        out = made.receive(piece, 0.0)
        if b'"content": "Tom' in piece:
            assert SUMMARY.encode() in out
            assert out.endswith(piece)
            return
    raise AssertionError("no answer was sent")


def test_trace_and_answer_in_one_chunk() -> None:
    out, _ = run(
        [chunk({"role": "assistant", "reasoning": TRACE, "content": ANSWER}), chunk({}, finish="stop"), DONE]
    )
    assert (said(out, "reasoning"), said(out, "content")) == (SUMMARY, ANSWER)
    assert len(deltas(out)) == 2


def test_copies_in_known_and_unknown_fields_go_with_the_trace() -> None:
    delta = {
        "role": "assistant",
        "content": "",
        "reasoning": TRACE,
        "reasoning_details": [{"type": "reasoning.text", "text": TRACE}],
        "provider_specific_fields": {"reasoning": TRACE, "thoughts": TRACE},
    }
    out, settled = run(
        [chunk(delta, debug={"raw": "prompt " + TRACE + " end"}), chunk({"content": ANSWER}), DONE]
    )
    assert TRACE[:20].encode() not in out
    assert said(out, "content") == ANSWER
    assert "copies" in settled.changed


def test_an_unknown_field_that_repeats_nothing_stays() -> None:
    note = "an honest remark of the gateway, long enough"
    out, _ = run([chunk({"reasoning": TRACE}), chunk({"content": ANSWER}, note=note), DONE])
    assert note.encode() in out


@pytest.mark.parametrize("opening", ["<think>", "\\u003cthink>", "\\u003C\\u0074hink\\u003e"])
def test_inline_tags_in_any_spelling(opening: str) -> None:
    raw = json.dumps("@" + TRACE + "</think>" + ANSWER).replace("@", opening)
    body = chunk({"content": "X"}).replace(b'"X"', raw.encode())
    out, _ = run([body, chunk({}, finish="stop"), DONE])
    assert said(out, "content") == f"<think>\n{SUMMARY}\n</think>\n{ANSWER}"
    hidden, _ = run([body, DONE], decision=HIDDEN)
    assert said(hidden, "content") == ANSWER


def test_a_tag_split_over_chunks_and_text_held_back_at_the_end() -> None:
    pieces = ["Hi <th", "ink>", TRACE, "</thi", "nk>", "a < b", " or <"]
    out, _ = run(
        [*(chunk({"content": piece}) for piece in pieces), chunk({}, finish="stop"), DONE], decision=HIDDEN
    )
    assert said(out, "content") == "Hi a < b or <"


def test_an_unclosed_trace_never_leaves() -> None:
    for end in ([DONE], [chunk({}, finish="length"), DONE], []):
        out, _ = run([chunk({"role": "assistant", "content": "<think>" + TRACE}), *end], decision=HIDDEN)
        assert TRACE[:10].encode() not in out
        out, _ = run([chunk({"role": "assistant"}), chunk({"reasoning": TRACE}), *end])
        assert said(out, "reasoning") == SUMMARY


def test_models_that_start_open_are_held_until_the_tag() -> None:
    decision = Decision(reasoning=ReasoningTerms(show="none", inline="starts_open"))
    out, _ = run(
        [*(chunk({"content": word}) for word in [*words(TRACE), "</think>", ANSWER]), DONE], decision=decision
    )
    assert said(out, "content") == ANSWER


def test_a_bare_closing_tag_is_told() -> None:
    _, settled = run([chunk({"content": "so it is 3</think>"}), chunk({"content": ANSWER}), DONE])
    assert settled.reasons == ("bare_closing_tag",)


def test_choices_that_interleave_have_their_own_trace() -> None:
    pieces = [
        chunk({field: text}, index=index)
        for field, text in [("reasoning", TRACE), ("content", ANSWER)]
        for index in (0, 1)
    ]
    out, _ = run([*pieces, DONE])
    for index in (0, 1):
        assert (said(out, "reasoning", index=index), said(out, "content", index=index)) == (SUMMARY, ANSWER)


ROWS = [
    {
        "token": "Yes",
        "logprob": -0.1,
        "bytes": [89, 101, 115],
        "top_logprobs": [
            {"token": token, "logprob": value, "bytes": None}
            for token, value in [("Yes", -0.1), ("No", -2.4), ("Hm", -5.0)]
        ],
    }
]


def test_rows_are_cut_beside_their_text_and_gone_beside_a_trace() -> None:
    rows = {"content": ROWS}
    frames = [
        chunk({"reasoning": "Yes"}, logprobs=rows),
        *[chunk({"content": "Yes"}, logprobs=rows)] * 3,
        DONE,
    ]
    out, settled = run(frames)
    found = [value["choices"][0]["logprobs"] for value in deltas(out)]  # type: ignore[index]
    kept = [row for rows in found if rows for row in rows["content"]]
    assert len(kept) == 3
    assert [(one["token"], one["logprob"]) for one in kept[0]["top_logprobs"]] == [
        ("Yes", -0.25),
        ("No", -2.5),
    ]
    assert settled.changed == ("logprobs", "reasoning")
    none, _ = run(frames, decision=HIDDEN)
    assert b'logprob":' not in none.replace(b" ", b"")


def test_rows_that_do_not_spell_their_text_are_dropped() -> None:
    out, _ = run([chunk({"content": "Other"}, logprobs={"content": ROWS}), DONE])
    assert deltas(out)[0]["choices"][0]["logprobs"] is None  # type: ignore[index]


def whole(message: dict[str, object], **more: object) -> bytes:
    return json.dumps(
        {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more}
    ).encode()


def test_a_json_body_in_any_pieces_with_padding_first() -> None:
    body = whole({"content": ANSWER, "reasoning_content": TRACE})
    for pieces in ([body], [body[:9], body[9:]], [b"\n  \n", b"\n", *(bytes([byte]) for byte in body)]):
        out, settled = run(pieces, sse=False)
        message = json.loads(out)["choices"][0]["message"]
        assert message == {"content": ANSWER, "reasoning_content": SUMMARY}
        assert settled.changed == ("reasoning",)
    made = exchange(sse=False)
    assert made.receive(b"\n \n", 0.0) == b"\n \n"
    assert made.receive(body, 0.0) == b""


def test_inline_traces_of_a_json_body_and_a_bare_closing_tag() -> None:
    for text in (f"<think>{TRACE}</think>{ANSWER}", f"{TRACE}</think>{ANSWER}", f"{ANSWER}<think>{TRACE}"):
        out, _ = run([whole({"content": text})], sse=False, decision=HIDDEN)
        assert json.loads(out)["choices"][0]["message"]["content"] == ANSWER


def test_an_event_stream_that_is_a_json_body_is_read_as_one() -> None:
    out, _ = run([whole({"content": ANSWER, "reasoning": TRACE})], decision=HIDDEN)
    assert json.loads(out)["choices"][0]["message"] == {"content": ANSWER, "reasoning": ""}


def test_a_body_without_type_that_is_an_event_stream_is_read_as_one() -> None:
    out, _ = run([b": keep\n\n", *chat_stream()], sse=False)
    assert said(out, "reasoning_content") == SUMMARY


@pytest.mark.parametrize(
    "body", [b"<html>" + TRACE.encode(), b'{"choices":[' + TRACE.encode(), b'{"choices":[]} tail']
)
def test_a_body_that_cannot_be_read_raises_and_gives_nothing(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        run([body], sse=False)
    assert TRACE[:10] not in str(caught.value)


def test_the_words_of_a_server_that_refused_need_not_be_json() -> None:
    made = exchange(sse=False)
    made.start(405, [(b"content-type", b"text/plain")])
    assert made.receive(b"Method Not Allowed", 0.0) + made.end(0.0) == b"Method Not Allowed"


def test_a_policy_may_pass_what_cannot_be_read() -> None:
    from hardening.exchange import Exchange
    from hardening.facts import RequestFacts
    from hardening.wire.codec import CODECS

    tools = Tools(TOOLS.makers, pass_unreadable=True)
    made = Exchange(CODECS["openai_chat"], RequestFacts(door="/", format="openai_chat"), HIDDEN, tools)
    made.start(200, [(b"content-type", b"text/html")])
    assert made.receive(b"<html>", 0.0) + made.end(0.0) == b"<html>"
    assert made.settlement().reasons == ("unreadable_body",)


@pytest.mark.parametrize(
    "bad",
    [
        b'data: {"choices":[{"delta":{"reasoning":"' + TRACE.encode() + b"\n\n",
        TRACE.encode() + b"\n\n",
        b": " + TRACE.encode() + b"\n\n",
    ],
)
def test_a_frame_that_cannot_be_read_or_a_comment_with_the_trace_is_dropped(bad: bytes) -> None:
    out, settled = run(
        [chunk({"role": "assistant", "reasoning": TRACE}), bad, chunk({"content": ANSWER}), DONE]
    )
    assert TRACE[:20].encode() not in out
    assert said(out, "content") == ANSWER
    assert settled.reasons == ("unreadable_frame",)


@pytest.mark.parametrize(
    "line", [b": " + TRACE.encode(), TRACE.encode(), b'{"reasoning":"' + TRACE.encode() + b'"}']
)
def test_what_stands_beside_the_data_of_an_event_goes_and_its_data_stays(line: bytes) -> None:
    out, settled = run([chunk({"reasoning": TRACE}), line + b"\n" + chunk({"content": ANSWER}), DONE])
    assert TRACE[:20].encode() not in out
    assert said(out, "content") == ANSWER
    assert settled.reasons == ("unreadable_frame",)


def test_an_honest_comment_beside_data_stays() -> None:
    piece = b": keep-alive\n" + chunk({"content": ANSWER})
    assert run([piece, DONE])[0] == piece + DONE


def test_a_stream_cut_in_a_frame_gives_nothing_of_it() -> None:
    out, _ = run([chunk({"role": "assistant"}), chunk({"reasoning": TRACE})[:-30]])
    assert TRACE[:10].encode() not in out


def test_comments_and_a_last_frame_without_its_empty_line_leave() -> None:
    out, _ = run([b": OPENROUTER PROCESSING\n\n", chunk({"content": ANSWER}).rstrip(b"\n")])
    assert out.startswith(b": OPENROUTER PROCESSING\n\n")
    assert said(out, "content") == ANSWER


def test_heart_beats_only_while_a_trace_is_held() -> None:
    made = exchange()
    assert made.wake_at is None
    made.receive(chunk({"role": "assistant", "content": ""}), 5.0)
    made.receive(chunk({"reasoning": "a"}), 6.0)
    assert made.wake_at == 6.0 + BEAT_S
    made.receive(chunk({"reasoning": "b"}), 9.0)
    assert made.wake_at == 6.0 + BEAT_S
    beat = deltas(made.wake(16.0))[0]
    assert beat["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert (beat["id"], made.wake_at) == ("chatcmpl-1", 16.0 + BEAT_S)
    made.receive(chunk({"reasoning": "c"})[:-5], 17.0)
    assert made.wake(26.0) == b""  # not inside a frame
    made.receive(chunk({"reasoning": "c"})[-5:] + chunk({"content": "A"}), 27.0)
    assert made.wake_at is None


def test_messages_beat_with_pings() -> None:
    made = exchange("anthropic_messages")
    for piece in messages_stream()[:4]:
        made.receive(piece, 0.0)
    assert made.wake(99.0) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_tokens_are_counted_while_they_pass_and_owed_beyond_the_reservation() -> None:
    made = exchange(reserved_tokens=5)
    for piece in chat_stream()[:4]:
        made.receive(piece, 0.0)
    assert made.owed == 0
    for piece in chat_stream()[4:-3]:
        made.receive(piece, 0.0)
    written = len(TRACE) + len(ANSWER)
    assert made.owed == (written - 20) // 4 + 1
    made.granted(made.owed)
    assert made.owed == 0
    settled = made.settlement()
    assert (settled.source, settled.usage.completion, settled.usage.reasoning) == (
        "events",
        -(-written // 4),
        -(-len(TRACE) // 4),
    )


def test_a_cut_ends_in_the_format_and_silences_the_rest() -> None:
    made = exchange()
    for piece in chat_stream()[:6]:
        made.receive(piece, 0.0)
    out = made.cut(0.0)
    last = deltas(out)
    assert said(out, "reasoning_content") == SUMMARY
    assert last[-2]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    assert last[-1]["usage"]["completion_tokens"] > 0  # type: ignore[index]
    assert out.endswith(DONE)
    assert b"".join(made.receive(piece, 0.0) for piece in chat_stream()) + made.end(0.0) == b""
    assert made.settlement().reasons == ("cut",)


def test_a_cut_of_messages_closes_the_block_first() -> None:
    made = exchange("anthropic_messages")
    for piece in messages_stream()[:8]:
        made.receive(piece, 0.0)
    kinds = [value["type"] for value in deltas(made.cut(0.0))]
    assert kinds == ["content_block_delta", "content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("format", "stream"), [("openai_chat", chat_stream), ("anthropic_messages", messages_stream)]
)
def test_a_failure_inside_a_stream_has_the_shape_of_the_format(format: str, stream: object) -> None:
    made = exchange(format)
    for piece in stream()[:6]:  # type: ignore[operator]
        made.receive(piece, 0.0)
    out = made.fail(0.0, Refusal(500, "internal", "the model failed"), "req_1")
    assert deltas(out)[-1]["error"]["message"] == "the model failed"  # type: ignore[index]
    assert TRACE[:20].encode() not in out


def test_the_request_asks_for_no_more_than_the_policy_gives() -> None:
    body = b'{"model":"m","logprobs":true,"top_logprobs":20,"messages":[]}'
    made = exchange(top_logprobs=20)
    assert json.loads(made.request(body))["top_logprobs"] == 2
    assert exchange(decision=SHADOW).request(body) is body
    bounded = exchange(decision=Decision(max_tokens=5, logprobs=LogprobTerms(top=2)))
    assert json.loads(bounded.request(b'{"max_tokens":9}')) == {"max_tokens": 5}


def test_what_is_done_is_told() -> None:
    assert exchange().treatment == {"reasoning": "summary", "logprobs": 2}
    assert exchange(decision=HIDDEN).treatment == {"reasoning": "none", "logprobs": 0}


def test_usage_on_its_own_line_is_untouched() -> None:
    out, _ = run([chunk({"content": ANSWER}), USAGE, DONE])
    assert USAGE in out
    assert SUMMARISED.acts


def test_what_gives_no_rows_is_made_once_of_each_decision() -> None:
    tools = replace(TOOLS, rowless={})
    brief, noised = Decision(max_tokens=9), Decision(logprobs=LogprobTerms(top=5, noise=0.5))
    for _ in range(2):
        assert tools.without_rows(brief) == replace(brief, logprobs=LogprobTerms(top=0))
        assert tools.without_rows(noised) == replace(noised, logprobs=LogprobTerms(top=0, noise=0.5))
    assert tools.without_rows(brief) is tools.without_rows(brief)
    assert len(tools.rowless) == 2
