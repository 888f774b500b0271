"""Frames: events in the order of their meaning, values replaced in place and in shape."""

from __future__ import annotations

import json

import pytest

from hardening.events import (
    Finish,
    Logprobs,
    Reasoning,
    ReasoningEnd,
    Seal,
    Text,
    TextCopy,
    Tool,
    UsageSeen,
    Withheld,
)
from hardening.facts import Usage
from hardening.wire.codec import CODECS
from hardening.wire.frame import Frame

CHAT = CODECS["openai_chat"]
MESSAGES = CODECS["anthropic_messages"]


def events(frame: Frame) -> list[object]:
    return [event for event, _ in frame.events]


def test_a_trace_is_read_before_the_answer_and_copies_are_withheld() -> None:
    body = {
        "choices": [
            {
                "message": {
                    "content": "A",
                    "reasoning_details": [{"text": "T"}],
                    "reasoning": "T",
                    "x_thoughts": "T",
                },
                "finish_reason": "stop",
            }
        ]
    }
    frame = CHAT.frame(json.dumps(body).encode())
    assert events(frame) == [
        Reasoning(0, "T"),
        Withheld(0, "trace"),
        Withheld(0, "trace"),
        Text(0, "A", whole=True),
        Finish(0, "stop"),
    ]
    assert frame.value(frame.events[0][1]) == b'"T"'


def test_choices_keep_apart() -> None:
    body = {
        "choices": [
            {"index": 1, "delta": {"content": "b"}},
            {"index": 0, "delta": {"reasoning_content": "a"}},
        ]
    }
    assert events(CHAT.frame(json.dumps(body).encode())) == [Reasoning(0, "a"), Text(1, "b")]


def test_a_whole_message_beside_a_delta_is_a_copy() -> None:
    body = {"choices": [{"delta": {"content": "b"}, "message": {"content": "ab"}, "text": "b"}]}
    assert events(CHAT.frame(json.dumps(body).encode())) == [
        Text(0, "b"),
        TextCopy(0, "ab"),
        TextCopy(0, "b"),
    ]


def test_lists_of_parts() -> None:
    body = {
        "choices": [
            {
                "delta": {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "T"}]},
                        {"type": "text", "text": "A"},
                    ]
                }
            }
        ]
    }
    frame = CHAT.frame(json.dumps(body).encode())
    assert events(frame) == [Reasoning(0, "T"), Text(0, "A")]
    out = json.loads(frame.render({frame.events[0][1]: frame.written(frame.events[0][1], "")}))
    assert out["choices"][0]["delta"]["content"][0] == {"type": "thinking", "thinking": []}


@pytest.mark.parametrize("kind", ["reasoning", "thinking", "reasoning.text", "thought"])
@pytest.mark.parametrize("field", ["text", "value", "content"])
def test_a_part_that_calls_itself_reasoning_is(kind: str, field: str) -> None:
    part = {"type": kind, field: "T", "id": "p1"}
    body = {"choices": [{"message": {"content": [part, {"type": "text", "text": "A"}]}}]}
    frame = CHAT.frame(json.dumps(body).encode())
    assert events(frame) == [Reasoning(0, "T"), Text(0, "A", whole=True)]
    out = json.loads(frame.render({frame.events[0][1]: frame.written(frame.events[0][1], "")}))
    assert out["choices"][0]["message"]["content"][0] == {**part, field: ""}


def test_everything_else_a_chat_frame_says() -> None:
    body = {
        "choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}, "token_ids": [1], "logprobs": {"content": [{"token": "a"}], "reasoning_content": [{"token": "b"}], "tokens": ["c"]}}],
        "prompt_logprobs": [None], "hidden_states": [1.0], "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "error": None,
    }  # fmt: skip
    kinds = events(CHAT.frame(json.dumps(body).encode()))
    assert [type(event) for event in kinds] == [
        Withheld,
        Withheld,
        Withheld,
        Withheld,
        Logprobs,
        Logprobs,
        Tool,
        UsageSeen,
    ]
    assert kinds[-1] == UsageSeen(Usage(1, 2, 0))
    assert {event.kind for event in kinds if isinstance(event, Withheld)} == {"ids", "rows", "states"}


@pytest.mark.parametrize(
    ("name", "kind"), [("hidden_states", "states"), ("token_ids", "ids"), ("prompt_logprobs", "rows")]
)
def test_a_name_with_one_meaning_has_it_wherever_it_stands(name: str, kind: str) -> None:
    frame = CHAT.frame(json.dumps({"x": [{"y": {name: [1, 2]}}]}).encode())
    assert events(frame) == [Withheld(0, kind)]  # type: ignore[arg-type]


def test_rows_that_are_gone_leave_null_and_not_an_empty_holder() -> None:
    body = b'{"choices":[{"logprobs": {"content": [{"token":"a"}], "refusal":null} ,"x":1.50}]}'
    frame = CHAT.frame(body)
    ((event, site),) = frame.events
    assert isinstance(event, Logprobs)
    assert frame.render({site: b"[]"}) == b'{"choices":[{"logprobs": null ,"x":1.50}]}'
    assert frame.render({site: b"[1]"}) == body.replace(b'[{"token":"a"}]', b"[1]")
    assert frame.render({}) is body


def test_an_edit_keeps_every_other_byte() -> None:
    body = b' {"choices" : [ {"delta":{"reasoning":"T\\n","z":1e400,"content":"A"}} ],"u":12345678901234567890123} '
    frame = CHAT.frame(body)
    assert frame.render({frame.events[0][1]: b'""'}) == body.replace(b'"T\\n"', b'""')


def test_anthropic_blocks_and_events() -> None:
    body = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "T", "signature": "Eq8x=="},
            {"type": "text", "text": "A"},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    assert events(MESSAGES.frame(json.dumps(body).encode())) == [
        Reasoning(0, "T"),
        Seal(0, "Eq8x=="),
        Finish(0, "end_turn"),
        Text(1, "A"),
        UsageSeen(Usage(1, 2, 0)),
    ]
    stop = b'{"type":"content_block_stop","index":3}'
    assert events(MESSAGES.frame(stop)) == [ReasoningEnd(3)]
    delta = b'{"index":2,"delta":{"thinking":"T","type":"thinking_delta"},"type":"content_block_delta"}'
    assert events(MESSAGES.frame(delta)) == [Reasoning(2, "T")]
