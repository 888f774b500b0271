"""Refusals in words: what is used up, in how long, and whether waiting helps."""

from __future__ import annotations

import pytest

from hardening.asgi.refusals import limit_refusal
from hardening.facts import Admission, Limit, Standing, Unit


def refused(unit: Unit, amount: float, per_s: float, wait_s: float | None = 5.0) -> tuple[str, str]:
    limit = Limit("l", unit, amount, per_s, amount)
    admission = Admission(False, None, Standing(), refused_by="l", retry_after_s=wait_s)
    refusal = limit_refusal(admission, (limit,))
    return refusal.kind, refusal.message


@pytest.mark.parametrize(
    ("unit", "amount", "per_s", "words"),
    [
        ("requests", 1, 3600, "1 request per hour"),
        ("requests", 30, 60, "30 requests per minute"),
        ("tokens", 60_000, 120, "60,000 tokens per 2 minutes"),
        ("prompt", 1, 1, "1 prompt token per second"),
        ("completion", 5, 90, "5 completion tokens per 90 seconds"),
        ("streams", 1, 1, "1 stream at once"),
    ],
)
def test_the_limit_is_named_in_plain_words(unit: Unit, amount: float, per_s: float, words: str) -> None:
    assert refused(unit, amount, per_s)[1] == f"the limit of {words} is used up"


def test_who_asks_for_more_than_a_whole_limit_is_told_so() -> None:
    """Catches a caller who waits for a limit that is whole, and was never used."""
    words = "the request may need more than the limit of 60,000 tokens per minute ever gives"
    assert refused("tokens", 60_000, 60, None) == ("quota", words)
    assert refused("streams", 1, 1, None)[1] == "the limit of 1 stream at once is used up"


def test_what_all_callers_share_is_refused_without_a_figure() -> None:
    """Catches a caller who reads off what an operator sells to all of them together."""
    limit = Limit("l", "requests", 5000, 60.0, 5000, by="all")
    admission = Admission(False, None, Standing(), refused_by="l", retry_after_s=5.0)
    refusal = limit_refusal(admission, (limit,))
    assert refusal.message == "a limit that all callers share is used up"
    assert (refusal.kind, refusal.retry_after_s) == ("rate_limit", 5.0)


def test_a_long_window_is_a_quota_and_a_short_one_a_rate() -> None:
    assert refused("tokens", 9, 60)[0] == "rate_limit"
    assert refused("tokens", 9, 30 * 86_400)[0] == "quota"


def test_a_wait_tells_no_hidden_length() -> None:
    """Catches a caller who takes two waits from each other and has the length of a trace."""
    limit = Limit("l", "tokens", 3000, 86_400.0, 3000)
    waits = [
        limit_refusal(
            Admission(False, None, Standing(), refused_by="l", retry_after_s=28.8 * tokens),
            (limit,),
            hides_lengths=True,
        ).retry_after_s
        for tokens in (501, 800, 1024, 1025)
    ]
    assert waits == [28.8 * 1024, 28.8 * 1024, 28.8 * 1024, 28.8 * 2048]
