"""The page of ways to log-probabilities says what is so, and promises what the presets promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hardening.redteam.logprobs.paths import PARAMETERS, page, pairs

PAGE = (Path(__file__).parents[2] / "docs" / "logprobs-paths.md").read_text("utf-8")
AGAIN = "run scripts/logprobs-paths"
SOME = [
    *((name, "") for name in PARAMETERS),
    ("top_logprobs: -1", "logit_bias"),
    ("n", "logprob_token_ids"),
    ("prompt_logprobs", "echo"),
    ("bad_words", "extra_body"),
    ("top_logprobs: 20", "response_format"),
]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_every_pair_has_a_line_and_none_more_tokens_than_its_preset_gives() -> None:
    assert len(lines(PAGE)) == len(list(pairs())), AGAIN
    for line in lines(PAGE):
        _, *baseline, strict = (int(found) for found in re.findall(r"(?:\| |streamed )(\d+)", line))
        assert max(baseline) <= 5
        assert strict == 0
    assert max(int(re.findall(r"\| (\d+)", line)[0]) for line in lines(PAGE)) > 100


@pytest.mark.slow
def test_the_page_is_current() -> None:
    assert set(lines(page(SOME))) <= set(lines(PAGE)), AGAIN
