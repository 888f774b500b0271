"""Mistral's dialect of chat: content as a list of parts, strings and lists in one stream."""

from __future__ import annotations

import json

import pytest

from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors
from hardening.wire.requests import Edits
from tests.exchanges import ANSWER, DONE, HIDDEN, SHADOW, SUMMARY, TRACE, chunk, deltas, run, words


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
