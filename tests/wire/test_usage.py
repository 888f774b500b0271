"""Token counts in the spellings that servers use."""

from __future__ import annotations

import json

import pytest

from hardening.events import UsageSeen
from hardening.facts import Usage
from hardening.wire.usage import read_usage, usage_seen, with_counts


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}, Usage(3, 5, 2)),
        ({"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 4, "output_tokens": 5}, Usage(17, 5, 0)),
        ({"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}, Usage(0, 9, 4)),
        # xAI's chat counts the trace beside the completion: 10120 + 1499 + 2809 = 14428
        ({"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428, "completion_tokens_details": {"reasoning_tokens": 2809}}, Usage(10120, 4308, 2809)),
        ({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 5}}, Usage(3, 5, 5)),
        ({"prompt_tokens": None, "completion_tokens": 7}, Usage(0, 7, 0)),
        # Gemini counts thoughts beside the answer, and what its own tools read beside the prompt: 6 + 1 + 17 = 24
        ({"promptTokenCount": 6, "candidatesTokenCount": 1, "thoughtsTokenCount": 17, "totalTokenCount": 24}, Usage(6, 18, 17)),
        ({"prompt_token_count": 6, "candidates_token_count": 1, "thoughts_token_count": 17}, Usage(6, 18, 17)),
        ({"promptTokenCount": 6, "thoughtsTokenCount": 17}, Usage(6, 17, 17)),
        ({"promptTokenCount": 6, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 4, "totalTokenCount": 100}, Usage(96, 4, 0)),
        ({"promptTokenCount": 96, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 4, "totalTokenCount": 100}, Usage(96, 4, 0)),
        ({"totalTokenCount": 9}, Usage(9, 0, 0)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": None}, Usage(1, 2, 0)),
    ],
)  # fmt: skip
def test_each_spelling(value: object, usage: Usage) -> None:
    assert read_usage(value) == usage


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "12",
        {},
        {"total_tokens": 4},
        {"prompt_tokens": True},
        {"prompt_tokens": -1},
        {"completion_tokens": 1e300},
    ],
)
def test_what_is_no_count_is_none(value: object) -> None:
    assert read_usage(value) is None


def coarse(value: object) -> object:
    """A usage object that says 64 tokens in the place of its own."""
    seen = usage_seen(value)
    assert seen
    return json.loads(with_counts(value, UsageSeen(Usage(seen.usage.prompt, 64), prompt=seen.prompt)))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49, "reasoning_tokens": 30},
            {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73, "reasoning_tokens": 0},
        ),
        # xAI's chat, whose trace stands beside: no difference tells it any more
        (
            {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 43, "completion_tokens_details": {"reasoning_tokens": 30, "accepted_prediction_tokens": 2}, "num_sources_used": 0, "cost_in_usd_ticks": 8170},
            {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73, "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0}, "num_sources_used": None, "cost_in_usd_ticks": None},
        ),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation": {"ephemeral_5m_input_tokens": 1}, "output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}, "iterations": [{"output_tokens": 40}], "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"},
            {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation": {"ephemeral_5m_input_tokens": 1}, "output_tokens": 64, "output_tokens_details": {"thinking_tokens": 0}, "iterations": None, "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"},
        ),
        (
            {"input_tokens": 9, "output_tokens": 40, "total_tokens": 49, "input_tokens_details": {"cached_tokens": 3, "input_tokens_per_turn": [4, 5]}, "output_tokens_details": {"reasoning_tokens": 30, "output_tokens_per_turn": [40]}},
            {"input_tokens": 9, "output_tokens": 64, "total_tokens": 73, "input_tokens_details": {"cached_tokens": 3, "input_tokens_per_turn": None}, "output_tokens_details": {"reasoning_tokens": 0, "output_tokens_per_turn": None}},
        ),
        (
            {"promptTokenCount": 6, "candidatesTokenCount": 1, "thoughtsTokenCount": 17, "totalTokenCount": 24, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}], "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
            {"promptTokenCount": 6, "candidatesTokenCount": 64, "thoughtsTokenCount": 0, "totalTokenCount": 70, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}], "candidatesTokensDetails": None},
        ),
        # a total that hides more than it names, and one that stands alone
        ({"promptTokenCount": 6, "totalTokenCount": 900}, {"promptTokenCount": 6, "totalTokenCount": 70}),
        ({"totalTokenCount": 900}, {"totalTokenCount": None}),
        # Groq's times and OpenRouter's prices are lengths too
        (
            {"prompt_tokens": 9, "completion_tokens": 40, "completion_time": 0.113, "total_time": 0.2, "cost": 0.00007, "cost_details": {"upstream_inference_completions_cost": 0.00006}, "is_byok": False},
            {"prompt_tokens": 9, "completion_tokens": 64, "completion_time": None, "total_time": None, "cost": None, "cost_details": None, "is_byok": None},
        ),
        # a name that nobody knows may be one more count; a count in an odd shape is none
        ({"completion_tokens": 40, "thoughts": 30, "prompt_tokens": {"a": 40}}, {"completion_tokens": 64, "thoughts": None, "prompt_tokens": None}),
    ],
)  # fmt: skip
def test_counts_of_an_answer_are_those_that_are_told(value: object, told: object) -> None:
    assert coarse(value) == told


def test_a_name_among_counts_is_one_word() -> None:
    """Catches a trace in the place of a tier's name, where the whole object is written anew."""
    seen = UsageSeen(Usage(3, 64), prompt=True)
    said = {"prompt_tokens": 3, "completion_tokens": 5, "service_tier": "I add the apples and the pears"}
    said |= {"trafficType": "PROVISIONED_THROUGHPUT", "speed": "word" * 20, "inference_geo": "us\nnot"}
    told = json.loads(with_counts(said, seen))
    assert (told["service_tier"], told["speed"], told["inference_geo"]) == (None, None, None)
    assert told["trafficType"] == "PROVISIONED_THROUGHPUT"
    details = {"promptTokensDetails": [{"modality": "I add the apples", "tokenCount": 3}]}
    assert json.loads(with_counts({**said, **details}, seen))["promptTokensDetails"] == [
        {"modality": None, "tokenCount": 3}
    ]


def test_a_guessed_prompt_stands_for_all_that_the_server_counts_of_it() -> None:
    """Catches a count of what was cached, which tells the length of what was sealed in a prompt."""
    seen = UsageSeen(Usage(50, 64), guessed=True)
    said = {
        "prompt_tokens": 917,
        "completion_tokens": 40,
        "total_tokens": 957,
        "cached_tokens": 896.0,
        "service_tier": "default",
    }
    details = {"prompt_tokens_details": {"cached_tokens": 896, "text_tokens": 917}}
    assert json.loads(with_counts({**said, **details}, seen)) == {
        "prompt_tokens": 50,
        "completion_tokens": 64,
        "total_tokens": 114,
        "cached_tokens": 0,
        "service_tier": "default",
        "prompt_tokens_details": None,
    }
