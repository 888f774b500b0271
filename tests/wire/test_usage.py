"""Token counts in the spellings that servers use."""

from __future__ import annotations

import pytest

from hardening.facts import Usage
from hardening.wire.usage import read_usage


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
