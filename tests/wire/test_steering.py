"""What bends a distribution is told in every format, under the names of every server, and nothing else is taken for it."""

from __future__ import annotations

import json

import pytest

from hardening.wire.codec import CODECS

SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"enum": ["zebra"]}}}
CHAT, TEXT, RESPONSES, GEMINI = "openai_chat", "openai_completions", "openai_responses", "gemini_generate"


def steered(format: str, body: object) -> bool:
    return CODECS[format].read_request(json.dumps(body).encode(), door="/t").steered


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (CHAT, {"response_format": SCHEMA}),
        (CHAT, {"response_format": {"type": "json_object"}}),
        (CHAT, {"Response_Format": SCHEMA}),
        (CHAT, {"guided_choice": ["zebra"]}),
        (CHAT, {"structured_outputs": {"choice": ["zebra"]}}),
        (CHAT, {"presence_penalty": 1}),
        (CHAT, {"presence_penalty": "-2"}),
        (CHAT, {"repetition_penalty": 0}),
        (CHAT, {"min_tokens": 1}),
        (CHAT, {"ignore_eos": True}),
        (CHAT, {"extra_body": {"guided_regex": "zebra"}}),
        (TEXT, {"frequency_penalty": -0.5}),
        (TEXT, {"grammar": 'root ::= "zebra"'}),
        (RESPONSES, {"text": {"format": SCHEMA, "verbosity": "low"}}),
        (GEMINI, {"generationConfig": {"presencePenalty": 1.5}}),
        (GEMINI, {"generation_config": {"response_schema": {"enum": ["zebra"]}}}),
        ("ollama_chat", {"format": {"enum": ["zebra"]}}),
        ("ollama_generate", {"options": {"repeat_penalty": 1.3}}),
    ],
)
def test_what_bends_the_distribution_is_told(format: str, body: object) -> None:
    assert steered(format, body)


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (CHAT, {"response_format": {"type": "text"}, "presence_penalty": 0.0, "frequency_penalty": None}),
        (CHAT, {"repetition_penalty": 1.0, "min_tokens": 0, "ignore_eos": False, "guided_json": None}),
        (CHAT, {"top_p": 0.9, "seed": 7, "stop": ["."], "logit_bias": {}, "tools": [{"type": "function"}]}),
        (RESPONSES, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
        (RESPONSES, {"text": {"verbosity": "high"}}),
        (GEMINI, {"generationConfig": {"presencePenalty": 0, "topK": 40}}),
        ("ollama_chat", {"format": "", "options": {"repeat_penalty": 1, "num_ctx": 4096}}),
    ],
)
def test_what_changes_nothing_is_not(format: str, body: object) -> None:
    assert not steered(format, body)
