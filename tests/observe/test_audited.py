"""A line that was written is read again; what is no receipt is named without a word of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from hardening.facts import Decision, LogprobTerms, PolicyId, ReasoningTerms, Refusal
from hardening.observe.audit import to_line
from hardening.observe.audited import MAX_LINE_BYTES, ReceiptError, read_receipt

DECISION = Decision(
    rule="r",
    band="watch",
    refusal=Refusal(429, "rate_limit", "later", 2.5),
    reasoning=ReasoningTerms("summary", 9, True, "starts_open"),
    logprobs=LogprobTerms(5, 0.25, 0.5),
    limits=("minute", "month"),
    max_tokens=50,
    pace_per_s=20.0,
    charge=4.0,
)


def test_what_was_written_is_read_again(receipt):
    read = read_receipt(to_line(receipt(decision=DECISION, would=Decision(band="harden"), band="watch")))
    assert read.decision == DECISION
    assert read.would == Decision(band="harden")
    assert read.time == datetime(2026, 11, 24, 0, 0, 0, 250_000, UTC)
    assert read.policy == PolicyId("acme-prod", "sha256:1234")
    assert (read.account, read.proven, read.door, read.format, read.model) == (
        "key_0123456789abcdef012345",
        True,
        "/v1/chat/completions",
        "openai_chat",
        "glass-1",
    )


def test_a_band_in_shadow_is_the_one_that_the_account_stood_in(receipt):
    assert read_receipt(to_line(receipt(band="watch"))).standing_band == "watch"
    shadowed = receipt(band=None, would=Decision(band="harden"))
    assert read_receipt(to_line(shadowed)).standing_band == "harden"


def test_what_a_later_release_adds_is_passed_over(receipt):
    line = json.loads(to_line(receipt())) | {"new": 1}
    line["decision"]["new"] = 1
    assert read_receipt(json.dumps(line).encode()).account == receipt().account


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decision": None}, "`decision`"),
        ({"decision": {"reasoning": {"show": "geheim"}}}, "`decision.reasoning.show`"),
        ({"time": "geheim"}, "`time`"),
        ({"proven": "geheim"}, "`proven`"),
        ({"risk": "geheim"}, "`risk`"),
    ],
)
def test_another_value_is_named_by_its_path_and_not_quoted(receipt, change, words):
    line = json.loads(to_line(receipt())) | change
    with pytest.raises(ReceiptError, match=words) as caught:
        read_receipt(json.dumps(line).encode())
    assert "geheim" not in str(caught.value)


def test_a_missing_field_is_named(receipt):
    line = json.loads(to_line(receipt()))
    del line["account"]
    with pytest.raises(ReceiptError, match="found no `account`"):
        read_receipt(json.dumps(line).encode())


@pytest.mark.parametrize("line", [b"", b"geheim", b"[]", b"1", b'{"time"', b"\xff", b"[" * 9000])
def test_what_is_no_object_is_refused(line):
    with pytest.raises(ReceiptError, match="no JSON object") as caught:
        read_receipt(line)
    assert "geheim" not in str(caught.value)


def test_a_line_without_end_is_refused():
    with pytest.raises(ReceiptError, match="more than"):
        read_receipt(b" " * (MAX_LINE_BYTES + 1))
