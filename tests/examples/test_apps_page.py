"""docs/apps.md: its code runs, block after block as a reader would paste it, and does what the words say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hardening import HardeningMiddleware, Policy
from hardening.facts import Account, RequestFacts, SignalFacts

PAGE = Path(__file__).parents[2] / "docs" / "apps.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def pasted() -> list[dict[str, Any]]:
    """What is defined after each block, the blocks before it included."""
    names: dict[str, Any] = {}
    after: list[dict[str, Any]] = []
    for at, block in enumerate(BLOCKS):
        exec(compile(block, f"{PAGE.name}[{at}]", "exec"), names)
        after.append(dict(names))
    return after


def test_every_block_runs(pasted: list[dict[str, Any]]) -> None:
    assert len(pasted) == PAGE.read_text("utf-8").count("```") / 2 == 6


def test_the_function_names_the_account(pasted: list[dict[str, Any]]) -> None:
    class User:
        display_name = "anne"

    identify = pasted[0]["identify"]
    assert identify({"user": User()}) == Account("anne", groups=("partner",))
    assert identify({}) is None


def test_the_dependency_admits_and_rejects(pasted: list[dict[str, Any]]) -> None:
    async def messages() -> dict[str, str]:
        return {"type": "message"}

    app = pasted[1]["app"]
    app.add_api_route("/v1/messages", messages, methods=["POST"])
    with TestClient(app) as client:
        body = {"model": "m", "max_tokens": 9, "messages": []}
        assert client.post("/v1/messages", json=body, headers={"x-api-key": "key-of-anne"}).status_code == 200
        assert client.post("/v1/messages", json=body, headers={"x-api-key": "wrong"}).status_code == 401


def test_the_policy_and_the_callback_are_what_they_say(
    pasted: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    policy = pasted[2]["policy"]
    assert isinstance(policy, Policy)
    assert policy.name == "mine"
    outermost = pasted[3]["app"].user_middleware[0]
    assert outermost.cls is HardeningMiddleware
    assert outermost.kwargs == {"policy": policy, "on_receipt": pasted[3]["count"]}


def test_the_test_of_the_page_passes(pasted: list[dict[str, Any]]) -> None:
    pasted[5]["test_no_trace_leaves_and_the_limit_comes_back"]()


def test_the_signal_speaks_against_whom_the_bank_has_named(pasted: list[dict[str, Any]]) -> None:
    signal, request = pasted[4]["StolenCards"](), RequestFacts("/v1/messages", "anthropic_messages")
    assert signal(SignalFacts(Account("acct_7"), request)) == 2.0
    assert signal(SignalFacts(Account("acct_8"), request)) == 0.0
