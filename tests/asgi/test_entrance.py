"""What `Entrance` says of a path is what the middleware does there."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.asgi.entrance import Entrance
from hardening.testing import harden
from tests.asgi.chat import BODY, HIDE, whole
from tests.asgi.driver import ask, run
from tests.policy.loading import loaded

PATHS = [
    "/v1/chat/completions",
    "/llm/v1/chat/completions/",
    "/openai/deployments/x/chat/completions",
    "/v1/messages",
    "/messages",
    "/v1/chat/completions/chatcmpl-1",
    "/v1/chat/completions/chatcmpl-1/messages",
    "/v1/messages/batches/b/results",
    "/API/chat",
    "/raw/v1/chat/completions",
    "/raw/x/../../v1/messages",
    "/converse",
    "/generate",
    "/llm/generate",
    "/v1/threads/t/messages",
    "/v1/complete/",
    "/a2a/x/y",
    "/engines/m/chat/completions",
    "/",
    "/predict",
    "/v1/score",
    "/realtime",
    "/raw/realtime",
]
DOORS = 'doors: {unknown: %s, "/raw/*": pass, /api/chat: openai_chat, /converse: bedrock_converse, /v1: openai_chat}\n'
METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS"]


def entrance_of(text: str) -> Entrance:
    policy = loaded(text)
    return Entrance(policy.doors, enforced=policy.mode == "enforce")


@pytest.mark.parametrize("root", ["", "/llm", "/v1"])
@pytest.mark.parametrize("unknown", ["report", "block"])
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_http_is_treated_as_is_said(mode: str, unknown: str, root: str) -> None:
    text = HIDE + f"mode: {mode}\n" + DOORS % unknown
    entrance = entrance_of(text)
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": whole()})

    def done(path: str, method: str) -> str:
        hardened = harden(app, text)
        calls.clear()
        answer = run(ask(hardened, BODY, path=path, method=method, root_path=root))
        if not calls:
            assert answer.status == 403
            return "blocked"
        if hardened.receipts:
            return "hardened"
        assert answer.body == whole() or method == "HEAD"
        counted = hardened.options.registry.get_sample_value("hardening_unclaimed_output_total")
        return "reported" if counted else "passed"

    for path in [*PATHS, *(root + path for path in PATHS if root)]:
        for method in METHODS:
            assert (path, method, entrance.passage(path, root, method)) == (path, method, done(path, method))


def test_what_is_sent_to_the_root_is_closed_until_a_policy_opens_it() -> None:
    """Catches TGI's `POST /`, and an app that cannot keep its own."""
    closed, opened = entrance_of(HIDE), entrance_of(HIDE + "doors: {/: pass, /predict: pass}\n")
    for path in ("/", "/predict"):
        assert [closed.passage(path, method=method) for method in METHODS] == [
            "passed",
            "passed",
            "blocked",
            "blocked",
            "passed",
        ]
        assert opened.passage(path) == "passed"
        assert closed.websocket(path) == "passed"


@pytest.mark.parametrize("unknown", ["report", "block"])
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_websockets_are_treated_as_is_said(mode: str, unknown: str) -> None:
    text = HIDE + f"mode: {mode}\n" + DOORS % unknown
    entrance = entrance_of(text)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def talk(path: str) -> str:
        said: list[str] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            said.append(message["type"])

        await harden(app, text)(
            {"type": "websocket", "path": path, "headers": [], "client": None}, receive, send
        )
        return "passed" if said == ["websocket.accept"] else "blocked"

    for path in PATHS:
        assert (path, entrance.websocket(path)) == (path, run(talk(path)))


def test_a_websocket_at_an_unknown_path_is_closed_with_the_other_unknown_paths() -> None:
    paths = ["/v1/messages", "/realtime", "/live", "/raw/live"]
    reported, blocked = entrance_of(HIDE + DOORS % "report"), entrance_of(HIDE + DOORS % "block")
    assert [reported.websocket(path) for path in paths] == ["blocked", "blocked", "passed", "passed"]
    assert [blocked.websocket(path) for path in paths] == ["blocked", "blocked", "blocked", "passed"]
    assert entrance_of(HIDE + "doors: {/realtime: pass}\n").websocket("/realtime") == "passed"
