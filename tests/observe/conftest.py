"""One finished exchange, as a Receipt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hardening.facts import AddedTime, Decision, Limit, LimitState, PolicyId, Receipt, TokenCount

MINUTE = Limit("minute", "tokens", 60_000.0, 60.0, 120_000.0)

FACTS: dict[str, Any] = {
    "time": 1_795_478_400.25,
    "request_id": "req_1",
    "policy": PolicyId("acme-prod", "sha256:1234"),
    "mode": "enforce",
    "account": "key_0123456789abcdef012345",
    "proven": True,
    "door": "/v1/chat/completions",
    "format": "openai_chat",
    "model": "glass-1",
    "status": 200,
    "rule": None,
    "band": None,
    "risk": 0.0,
    "reasons": ("reasoning.show",),
    "decision": Decision(limits=("minute",)),
    "would": None,
    "changed": ("reasoning", "logprobs"),
    "tokens": TokenCount(12, 340, 300, 4108, 352, "usage"),
    "limits": (LimitState(MINUTE, 119_648.0, 0.352),),
    "added_us": AddedTime(18.0, 120.0, 30.0),
    "outcome": "complete",
}


@pytest.fixture
def receipt() -> Callable[..., Receipt]:
    """Makes a Receipt; what is named replaces what is usual."""
    return lambda **changes: Receipt(**{**FACTS, **changes})
