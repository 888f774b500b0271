"""Requests for log-probabilities ask for as many alternatives as may leave, so that a drawn token is known among them."""

from __future__ import annotations

import json

import pytest

from hardening.wire.codec import CODECS
from hardening.wire.requests import Edits

CHAT = CODECS["openai_chat"]


@pytest.mark.parametrize(
    ("format", "asked", "edited"),
    [
        ("openai_chat", {"logprobs": True}, {"top_logprobs": 5, "logprobs": True}),
        ("openai_chat", {"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 5}),
        ("openai_chat", {"logprobs": True, "top_logprobs": None}, {"logprobs": True, "top_logprobs": 5}),
        ("openai_chat", {"logprobs": True, "top_logprobs": -1}, {"logprobs": True, "top_logprobs": 5}),
        ("openai_chat", {"n_probs": 1}, {"n_probs": 5}),
        ("openai_completions", {"logprobs": 0}, {"logprobs": 5}),
        ("openai_completions", {"logprobs": 20}, {"logprobs": 5}),
        (
            "openai_responses",
            {"include": ["message.output_text.logprobs"]},
            {"top_logprobs": 5, "include": ["message.output_text.logprobs"]},
        ),
        (
            "ollama_chat",
            {"logprobs": True, "options": {}},
            {"top_logprobs": 5, "logprobs": True, "options": {}},
        ),
        (
            "gemini_generate",
            {"generationConfig": {"responseLogprobs": True}},
            {"generationConfig": {"logprobs": 5, "responseLogprobs": True}},
        ),
    ],
)
def test_fewer_alternatives_than_may_leave_are_raised_and_more_are_cut(
    format: str, asked: dict[str, object], edited: dict[str, object]
) -> None:
    """Catches a caller who forces one token after another and reads the value of each, beside no alternative."""
    body = CODECS[format].edit_request(json.dumps(asked).encode(), Edits(top_logprobs=5))
    assert json.loads(body) == edited


@pytest.mark.parametrize(
    ("format", "asked"),
    [
        ("openai_chat", {"logprobs": False, "top_logprobs": 0}),
        ("openai_chat", {"top_logprobs": 2}),
        ("openai_chat", {"logprobs": True, "top_logprobs": 5}),
        ("openai_chat", {"n_probs": 0}),
        ("openai_completions", {"logprobs": None}),
        ("openai_completions", {"logprobs": 5}),
        ("openai_responses", {"include": ["file_search_call.results"], "top_logprobs": 0}),
        ("anthropic_messages", {"max_tokens": 7}),
    ],
)
def test_who_asks_for_no_values_or_for_that_many_is_left_alone(format: str, asked: dict[str, object]) -> None:
    body = json.dumps(asked).encode()
    assert CODECS[format].edit_request(body, Edits(top_logprobs=5)) is body


def test_a_key_that_servers_pass_over_does_not_stand_for_the_real_one() -> None:
    body = CHAT.edit_request(
        b'{"logprobs":true,"Top_Logprobs" : 5,"x":{"top_logprobs":5}}', Edits(top_logprobs=5)
    )
    assert body.startswith(b'{"top_logprobs":5,"logprobs":true')
    spaced = b'{"logprobs":true,"top_logprobs" :\n5}'
    assert CHAT.edit_request(spaced, Edits(top_logprobs=5)) is spaced


@pytest.mark.parametrize(
    ("format", "asked", "most"), [("openai_completions", 0, 5), ("openai_chat", True, 20)]
)
def test_no_more_is_asked_than_servers_give(format: str, asked: object, most: int) -> None:
    body = CODECS[format].edit_request(json.dumps({"logprobs": asked}).encode(), Edits(top_logprobs=100))
    assert max(value for value in json.loads(body).values() if value is not True) == most


def test_where_no_row_may_leave_none_is_asked_for() -> None:
    for body in (b'{"logprobs":true}', b'{"logprobs":"yes"}'):
        assert CHAT.edit_request(body, Edits(top_logprobs=0)) == b'{"logprobs":false}'
