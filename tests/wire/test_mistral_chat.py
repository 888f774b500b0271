"""Mistral's dialect of chat: content as a list of parts, strings and lists in one stream."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.exchange import Exchange
from hardening.facts import Decision, RequestFacts
from hardening.lanes import Lanes
from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors
from hardening.wire.requests import Edits
from tests.exchanges import (
    ANSWER,
    DONE,
    HIDDEN,
    SHADOW,
    SUMMARISED,
    SUMMARY,
    TOOLS,
    TRACE,
    chunk,
    deltas,
    run,
    words,
)


def thinking(text: str, **more: object) -> dict[str, object]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def stream() -> list[bytes]:
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": [thinking(word)]}) for word in words(TRACE)),
        chunk({"content": [{"type": "text", "text": words(ANSWER)[0]}]}),
        *(chunk({"content": word}) for word in words(ANSWER)[1:]),
        chunk({"content": ""}, finish="stop"),
        DONE,
    ]


def said(out: bytes) -> tuple[str, str]:
    """Text and thought of a stream, as Mistral's client joins them."""
    text = thought = ""
    for value in deltas(out):
        content = value["choices"][0]["delta"]["content"]  # type: ignore[index]
        for part in content if isinstance(content, list) else [{"text": content}]:
            text += part.get("text", "")
            thought += "".join(one["text"] for one in part.get("thinking", ()))
    return text, thought


def test_a_summary_is_a_part_of_the_kind_that_the_trace_was() -> None:
    out, _ = run(stream())
    assert said(out) == (ANSWER, SUMMARY)
    assert said(run(stream(), decision=HIDDEN)[0]) == (ANSWER, "")
    assert run(stream(), decision=SHADOW)[0] == b"".join(stream())


@pytest.mark.parametrize(
    "content",
    [
        [thinking(TRACE, closed=True), {"type": "text", "text": ANSWER}],
        [thinking(TRACE, signature="EqQBCkYIBxgCKkDx"), ANSWER],
        [{"type": "text", "text": ANSWER}, thinking(TRACE), thinking(TRACE)],
        [{"type": "thinking", "thinking": TRACE}, {"type": "text", "text": ANSWER}],
        [{"type": "think", "think": [{"text": TRACE}]}, {"type": "text", "text": ANSWER}],
        f"<think>{TRACE}</think>{ANSWER}",
        f"[THINK]{TRACE}[/THINK]{ANSWER}",
    ],
)
def test_a_body_in_every_shape(content: object) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    out, _ = run([json.dumps({"id": "1", "choices": [choice]}).encode()], decision=HIDDEN, sse=False)
    assert TRACE[:20].encode() not in out
    assert ANSWER.encode() in out


def padded(content: object, size: int) -> bytes:
    """A chunk with padding, as it comes beside each; it may be long."""
    return chunk({"content": content}, p="abcdefghijklmnopqrstuvwxyz0123456789"[:size])


def test_padding_hides_no_frame_of_a_trace_and_costs_no_reading() -> None:
    """Catches frames of a hidden trace that stay for their padding, and so tell how long it was."""
    reads = 0

    class Counting:
        def __getattr__(self, name: str) -> object:
            nonlocal reads
            reads += name == "frame"
            return getattr(CODECS["openai_chat"], name)

    facts = RequestFacts(door="d", format="openai_chat")
    made = Exchange(Counting(), facts, HIDDEN, TOOLS)  # type: ignore[arg-type]
    made.start(200, [(b"content-type", b"text/event-stream")])
    made.receive(chunk({"role": "assistant", "content": ""}), 0.0)
    left = [made.receive(padded([thinking(f"step {at}\n")], at % 36), 0.0) for at in range(200)]
    assert set(left) == {b""}
    assert made.receive(padded(ANSWER, 30), 0.0) == padded(ANSWER, 30)
    assert reads < 15


_contents = st.one_of(
    st.sampled_from(["Yes", "", "a <", "<think>x", "</think>y"]),
    st.lists(
        st.sampled_from(
            [thinking("Hm"), thinking("text"), thinking(""), thinking("a", closed=True), thinking('"q"')]
        )
        | st.sampled_from([{"type": "text", "text": "Yes"}, {"type": "thinking", "thinking": "Hm"}]),
        max_size=2,
    ),
)


@given(parts=st.lists(st.tuples(_contents, st.integers(0, 30)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_parts_that_are_compared_leave_as_those_that_are_read(parts: list[tuple[object, int]]) -> None:
    pieces = [padded(content, size) for content, size in parts] * 2
    for decision in (SUMMARISED, HIDDEN, Decision()):
        compared = run(pieces, decision=decision)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lanes, "learn", lambda *_, **__: None)
            full, settled = run(pieces, decision=decision)
        assert (compared[0], compared[1].changed) == (full, settled.changed)


def test_our_own_summaries_are_not_sent_upstream_and_signed_traces_are() -> None:
    text = {"type": "text", "text": "Hi"}
    own, signed = thinking(SUMMARY, closed=True), thinking(TRACE, signature="EqQBCkYIBxgCKkDx")

    def asked(*parts: dict[str, object]) -> bytes:
        return json.dumps({"model": "m", "messages": [{"role": "assistant", "content": parts}]}).encode()

    codec = CODECS["openai_chat"]
    edited = codec.edit_request(asked(own, text, signed), Edits(drop_resent=True))
    assert json.loads(edited) == json.loads(asked(text, signed))
    assert codec.edit_request(asked(own, text), Edits()) == asked(own, text)


@pytest.mark.parametrize("path", ["/v1/fim/completions", "/v1/agents/completions", "/v1/chat/completions"])
def test_its_doors_speak_chat(path: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert door.codec is not None
    assert door.codec.name == "openai_chat"
