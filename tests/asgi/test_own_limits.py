"""The path at which an account reads its own limits: over a real server and every store, and what it never tells."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from hardening.facts import Account, Limit
from hardening.state import MemoryStore
from hardening.testing import harden
from tests.asgi.chat import BODY, PLAIN_JSON
from tests.asgi.driver import LoopClock, ask, replies, run
from tests.asgi.serving import serving

POLICY = """\
version: 1
limits:
  secret-name: {tokens: 100k, per: 1h}
  calls: {requests: 100, per: 1h}
  team: {requests: 500, per: 1h, by: org}
  models: {requests: 50, per: 1h, by: model}
  first: {requests: 10, per: 1h}
  parallel: {streams: 4}
accounts: {limits_path: /v1/limits}
defaults: {limits: [secret-name, calls, team, models, parallel]}
risk:
  new: {until: {requests: 2}, limits: [first]}
  bands: {harden: {enter: 0.8, leave: 0.7, charge: 4x}}
"""
KEY = {"HARDENING_KEY": "a key for tests, and for nothing else"}
MADE = [200]
JSON = b"application/json"


@pytest.fixture(params=["memory", "sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield "memory://"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
    else:
        if sys.platform == "win32":
            pytest.skip("the package of the server is not built there")
        from tests.state.servers import served

        with served() as server:
            yield server.url


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers chats; who asks for anything else learns that the app was asked."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    is_chat = scope["path"] == "/v1/chat/completions"
    head = [(b"content-type", JSON)]
    await send({"type": "http.response.start", "status": 200 if is_chat else 404, "headers": head})
    await send({"type": "http.response.body", "body": PLAIN_JSON if is_chat else b"{}", "more_body": False})


def told(client: httpx.Client, query: str = "", **headers: str) -> dict[tuple[str, str], tuple[int, int]]:
    answer = client.get("/v1/limits" + query, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    rows = answer.json()["limits"]
    assert "secret-name" not in answer.text
    return {(row["unit"], row["by"]): (row["limit"], row["remaining"]) for row in rows}


def test_an_account_reads_what_is_left_and_reading_costs_nothing(address: str) -> None:
    hardened = harden(app, POLICY, environment={**KEY, "HARDENING_STATE": address})
    good = {"authorization": "Bearer good"}
    with serving(hardened, lifespan="on") as base, httpx.Client(base_url=base, timeout=60.0) as client:
        assert client.get("/v1/limits", headers=good).status_code == 401  # nobody vouched for it yet
        chat = {"content": BODY, "headers": {**good, "content-type": "application/json"}}
        assert client.post("/v1/chat/completions", **chat).status_code == 200  # paid by its network's pool
        for _ in range(3):
            new = told(client, **good)
        assert new[("requests", "account")] in ((10, 10), (100, 100))
        assert ("requests", "model") not in new
        assert client.post("/v1/chat/completions", **chat).status_code == 200
        assert client.post("/v1/chat/completions", **chat).status_code == 200
        known = told(client, **good)
        assert set(known) == {
            ("tokens", "account"),
            ("requests", "account"),
            ("requests", "org"),
            ("streams", "account"),
        }
        assert known[("requests", "account")] == (100, 98)
        assert known[("requests", "org")] == (500, 498)
        assert known[("streams", "account")] == (4, 4)
        model = json.loads(BODY)["model"]
        of_model = told(client, f"?model={quote(model.upper())}", **good)
        assert of_model[("requests", "model")] == (50, 48)
        assert set(of_model) == {*known, ("requests", "model")}
        for query in ("?model=another", "?model=", "?model=" + 2000 * "x", "?model=a&model=" + model, "?%ff"):
            assert set(told(client, query, **good)) == set(known)
        assert client.get("/v1/limits", headers={"authorization": "Bearer other"}).status_code == 401
        assert client.head("/v1/limits", headers=good).content == b""
        assert client.post("/v1/limits", headers=good).status_code == 404  # the app's


def asked(policy: str, who: Any, path: str = "/v1/limits", **options: Any) -> Any:
    chat = replies([PLAIN_JSON], kind=JSON)
    hardened = harden(chat, policy, clock=LoopClock(), identify=lambda scope: who, **options)

    async def asking() -> Any:
        return await ask(hardened, b"", path=path, method="GET")

    return run(asking())


@pytest.mark.parametrize(
    "policy",
    [
        POLICY.replace(", limits_path: /v1/limits", "").replace("limits_path: /v1/limits", "groups: {}"),
        POLICY + "disclose: false\n",
        POLICY + "mode: shadow\n",
    ],
    ids=["left out", "not disclosed", "in shadow"],
)
def test_without_the_setting_the_path_is_the_apps(policy: str) -> None:
    assert asked(policy, "acct_7").body == PLAIN_JSON


def test_strangers_are_told_nothing() -> None:
    answer = asked(POLICY, Account("acct_7", proven=False))
    assert (answer.status, b"limits" in answer.body, b"remaining" in answer.body) == (401, True, False)


def test_no_tokens_are_told_where_answers_do_not_tell_theirs() -> None:
    plain, hidden = asked(POLICY, "acct_7"), asked(POLICY + "rules: [{name: r, usage: drop}]\n", "acct_7")
    assert (b'"tokens"' in plain.body, b'"tokens"' in hidden.body) == (True, False)
    assert b'"requests"' in hidden.body


def test_a_debt_that_no_number_of_json_holds_is_told_as_the_largest() -> None:
    store, year = MemoryStore(), 3660 * 86_400.0
    limit = Limit("year", "tokens", 1.0, year, 1.0)
    store.saw_spent(limit, "account:acct_7", 2.0**53, 0.0)
    policy = "version: 1\nlimits: {year: {tokens: 1, per: 3660d}}\ndefaults: {limits: [year]}\n"
    answer = asked(policy + "accounts: {limits_path: /v1/limits}\n", "acct_7", state=store)
    assert answer.status == 200
    assert json.loads(answer.body)["limits"][0]["reset_s"] == 2**53


def test_a_fault_of_the_apps_says_nothing_of_it() -> None:
    class Bad:
        def __str__(self) -> str:
            return "geheim"

    answer = asked(POLICY, Bad())
    assert answer.status == 401
    assert b"geheim" not in answer.body
