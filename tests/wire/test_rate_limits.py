"""What is left of limits, in the headers of each API."""

from __future__ import annotations

from datetime import datetime

import pytest

from hardening.facts import Limit, LimitState
from hardening.wire.codec import CODECS

MINUTE = Limit("minute", "tokens", 60_000, 60.0, 120_000)
DAY = Limit("day", "tokens", 1_000_000, 86_400.0, 1_000_000)
ASKED = Limit("asked", "requests", 30, 60.0, 30)
READ = Limit("read", "prompt", 500, 60.0, 500)
WALL = 1_800_000_000.0


def told(format: str, *states: LimitState) -> dict[str, str]:
    headers = CODECS[format].rate_limits(states, WALL)
    assert len({name for name, _ in headers}) == len(headers)
    return {name.decode(): value.decode() for name, value in headers}


def test_openai_style() -> None:
    states = LimitState(MINUTE, 119_000.7, 0.5), LimitState(ASKED, 29.0, 2.0)
    assert told("openai_chat", *states) == {
        "x-ratelimit-limit-tokens": "120000",
        "x-ratelimit-remaining-tokens": "119000",
        "x-ratelimit-reset-tokens": "500ms",
        "x-ratelimit-limit-requests": "30",
        "x-ratelimit-remaining-requests": "29",
        "x-ratelimit-reset-requests": "2s",
    }


def test_anthropic_style_says_when_and_knows_more_units() -> None:
    headers = told("anthropic_messages", LimitState(READ, 400.0, 12.0), LimitState(ASKED, 0.4, 60.0))
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "400"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    reset = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
    assert reset.timestamp() == WALL + 60


@pytest.mark.parametrize("format", ["anthropic_messages", "openai_chat"])
def test_a_debt_that_outlasts_the_calendar_can_be_told(format: str) -> None:
    """Catches a refusal that ends as an error, where a server once said that it wrote 2 ** 53 tokens."""
    headers = told(format, LimitState(MINUTE, 0.0, 2.0**53 * 60))
    assert headers.get("anthropic-ratelimit-tokens-reset", "9999-12-31T23:59:59Z") == "9999-12-31T23:59:59Z"


def test_the_limit_with_the_least_left_is_told() -> None:
    """Catches a caller who is told of a full minute while his day is over."""
    headers = told("openai_chat", LimitState(MINUTE, 120_000, 0.0), LimitState(DAY, 7, 86_000.0))
    assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("1000000", "7")
    assert headers["x-ratelimit-reset-tokens"] == "23h53m20s"


def test_a_unit_without_a_name_is_not_told() -> None:
    assert told("openai_chat", LimitState(READ, 1, 1.0)) == {}


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.0, "0ms"), (0.012, "12ms"), (59.6, "1m0s"), (360.0, "6m0s"), (3602.0, "1h0m2s"), (1.4, "1s")],
)
def test_durations(seconds: float, says: str) -> None:
    assert told("ollama_chat", LimitState(ASKED, 1, seconds))["x-ratelimit-reset-requests"] == says
