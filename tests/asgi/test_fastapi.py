"""FastAPI in each of the ways to know who asks: identity arrives, refusals have the API's shape, nothing is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import anthropic
import httpx
import openai
import pytest
from fastapi import Depends, FastAPI, Request

import hardening
from hardening.identity import Identifier, Keys
from hardening.testing import find_leaks, harden
from tests.asgi.chat import HIDE
from tests.asgi.serving import serving
from tests.asgi.shop import KEY, WAIT_S, WAYS, Shop, asked
from tests.exchanges import TRACE

DOORS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
NUMBERS = count(1)
ASKED: Any = [{"role": "user", "content": "How many are left?"}]


class Counter:
    """The shop's customers: asks as one of them, by HTTP or by SDK."""

    def __init__(self, shop: Shop, address: str) -> None:
        self.notes = shop.notes
        self.address = address
        identifier = Identifier(Keys.of(KEY.encode()))
        self.stranger = identifier.identify({"client": ("127.0.0.1", 1), "headers": []}, None, 0.0).id

    def ask(self, way: str, who: str | None, path: str, body: bytes = asked(), **more: Any) -> httpx.Response:
        headers = {} if who is None else {"x-api-key": f"key-{who}", "authorization": f"Bearer key-{who}"}
        headers["content-type"] = "application/json"
        return httpx.post(f"{self.address}/{way}{path}", content=body, headers=headers, timeout=60.0, **more)

    def call(self, sdk: Any, way: str, who: str, model: str = "m") -> Any:
        """One call through an official SDK."""
        key = f"key-{who}"
        made = {"max_retries": 0, "timeout": WAIT_S}
        if sdk is openai:
            with openai.OpenAI(
                base_url=f"{self.address}/{way}/v1", api_key=key, default_headers={"x-api-key": key}, **made
            ) as gpt:
                return gpt.chat.completions.create(model=model, messages=ASKED)
        with anthropic.Anthropic(
            base_url=f"{self.address}/{way}",
            api_key=key,
            default_headers={"authorization": f"Bearer {key}", "x-api-key": key},
            **made,
        ) as claude:
            return claude.messages.create(model=model, messages=ASKED, max_tokens=1000)


@pytest.fixture(scope="module")
def served() -> Iterator[Counter]:
    shop = Shop()
    with serving(shop.app) as address:
        yield Counter(shop, address)


@pytest.fixture
def counter(served: Counter, caplog: pytest.LogCaptureFixture) -> Iterator[Counter]:
    """The shop; whoever asks, no traceback and no error is logged."""
    yield served
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture(params=[openai, anthropic], ids=["openai", "anthropic"])
def sdk(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def who() -> str:
    """A customer that no other test is."""
    return f"partner-{next(NUMBERS)}"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("path", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("way", WAYS)
def test_identity_arrives(counter: Counter, way: str, path: str, streamed: bool, who: str) -> None:
    answer = counter.ask(way, who, path, asked(streamed=streamed))
    assert answer.status_code == 200
    assert find_leaks(answer.content, TRACE) == []
    receipt = counter.notes[way].receipt(who)
    assert (receipt.proven, receipt.rule) == (True, "partners")
    assert (receipt.outcome, receipt.tokens.completion > 0) == ("complete", True)


@pytest.mark.parametrize("way", WAYS)
def test_a_rule_that_refuses_is_the_sdks_own_error(counter: Counter, sdk: Any, way: str, who: str) -> None:
    with pytest.raises(sdk.PermissionDeniedError) as caught:
        counter.call(sdk, way, who, model="closed")
    assert "closed for now" in str(caught.value)
    assert caught.value.response.headers["cache-control"] == "private, no-store"
    receipt = counter.notes[way].receipt(who)
    assert (receipt.status, receipt.outcome, receipt.rule) == (403, "refused", "closed")


@pytest.mark.parametrize("way", WAYS)
def test_a_used_up_limit_is_the_sdks_own_error(counter: Counter, sdk: Any, way: str) -> None:
    who = f"carl-{sdk.__name__}"
    for _ in range(2):
        counter.call(sdk, way, who)
    with pytest.raises(sdk.RateLimitError) as caught:
        counter.call(sdk, way, who)
    assert int(caught.value.response.headers["retry-after"]) > 86_400
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_gets_the_apps_own_answer_and_spends_nothing(counter: Counter, way: str) -> None:
    answer = counter.ask(way, None, "/v1/chat/completions")
    assert answer.status_code == 401
    assert "detail" in answer.json()
    if way != "auth_middleware":  # it stands outside, so that request never came in
        receipt = counter.notes[way].receipt(counter.stranger)
        assert (receipt.status, receipt.proven, receipt.limits) == (401, False, ())


def test_a_door_below_the_mount_of_a_sub_application(counter: Counter, who: str) -> None:
    """Its own page for errors must not stand in for the refusal."""
    answer = counter.ask("sub_application", who, "/llm/v1/chat/completions", asked("closed"))
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "closed for now"


def test_routes_that_are_no_doors_keep_the_dependency_of_the_app(counter: Counter) -> None:
    address = f"{counter.address}/router/health"
    assert httpx.get(address, headers={"x-api-key": "key-eve"}).json() == {"status": "up"}
    assert httpx.get(address).status_code == 401


def test_background_tasks_run_after_the_receipt_and_not_for_who_is_refused(
    counter: Counter, who: str
) -> None:
    for name, model in ((who, "m"), (f"{who}-refused", "closed"), (f"{who}-later", "m")):
        counter.ask("background", name, "/v1/messages", asked(model))
    log = counter.notes["background"].log
    told = iter(lambda: log.get(timeout=WAIT_S), f"{who}-later True True")
    assert [line for line in told if who in line] == [f"{who} True True"]


@pytest.mark.parametrize(
    ("model", "status", "said"), [("m", 200, ["left", "closed"]), ("closed", 403, ["rolled back", "closed"])]
)
def test_dependencies_that_yield_clean_up_once(
    model: str, status: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    with serving(shop.app) as address:
        counter = Counter(shop, address)
        assert counter.ask("yielding", "gus", "/v1/messages", asked(model)).status_code == status
    log = shop.notes["yielding"].log
    assert [log.get(timeout=WAIT_S) for _ in range(log.qsize())] == said
    assert "Traceback" not in caplog.text


def test_a_middleware_inside_sees_the_refusal_pass(counter: Counter, who: str) -> None:
    assert counter.ask("inner_middleware", who, "/v1/messages", asked("closed")).status_code == 403
    assert counter.notes["inner_middleware"].log.get(timeout=WAIT_S) == "Refused"


def test_what_fastapi_reads_before_dependencies_is_the_callers_own_request() -> None:
    """Catches a page of ours that promises more: a declared body is read first, a `Request` is not."""

    async def customer(request: Request) -> None:
        await hardening.admit(request, "acct_7")

    async def declared(body: dict[str, Any]) -> dict[str, Any]:
        return {"asked": body["top_logprobs"]}

    async def by_hand(request: Request) -> dict[str, Any]:
        return {"asked": (await request.json())["top_logprobs"]}

    app = FastAPI(dependencies=[Depends(customer)])
    app.add_api_route("/v1/messages", declared, methods=["POST"])
    app.add_api_route("/v1/chat/completions", by_hand, methods=["POST"])
    with serving(harden(app, HIDE, identify=hardening.DEFERRED)) as address:
        body = {"model": "m", "messages": [], "logprobs": True, "top_logprobs": 20}
        asked_for = [httpx.post(address + path, json=body).json()["asked"] for path in DOORS.values()]
    assert asked_for == [2, 20]
