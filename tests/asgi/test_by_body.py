"""A path that answers in the format of the body: it is hardened in that one, and closed to all else."""

from __future__ import annotations

import base64
import json

import pytest

from hardening.testing import find_leaks, harden
from tests.asgi.chat import HIDE, TRACE, stream, whole
from tests.asgi.driver import ask, replies, run

PATH = "/invocations"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
TEXT = json.dumps(
    {
        "id": "cmpl-1",
        "object": "text_completion",
        "choices": [{"index": 0, "text": f"<think>{TRACE}</think>42.", "finish_reason": "stop"}],
    }
).encode()


def test_a_chat_and_a_completion_are_each_hardened_in_their_own_format() -> None:
    for asked, app, format in (
        (CHAT, replies(stream()), "openai_chat"),
        (CHAT, replies([whole()], kind=b"application/json"), "openai_chat"),
        ({"prompt": "?"}, replies([TEXT], kind=b"application/json"), "openai_completions"),
    ):
        hardened = harden(app, HIDE)
        answer = run(ask(hardened, json.dumps(asked).encode(), path=PATH))
        assert (answer.status, find_leaks(answer.body, TRACE)) == (200, [])
        (receipt,) = hardened.receipts
        assert (receipt.format, receipt.door, receipt.decision.reasoning.show) == (format, PATH, "none")


OTHERS = [
    {**CHAT, "inputs": "?"},
    {**CHAT, "prompt": "?"},
    {"input": "?", "prompt": "?"},
    {"inputs": "?"},
    {"model": "m"},
]


@pytest.mark.parametrize("asked", OTHERS)
def test_what_cannot_be_told_finds_the_door_closed(asked: dict[str, object]) -> None:
    app = replies([whole()], kind=b"application/json")
    hardened = harden(app, HIDE)
    answer = run(ask(hardened, json.dumps(asked).encode(), path=PATH))
    assert answer.status == 403
    assert json.loads(answer.body)["error"]["type"] == "permission_error"
    assert hardened.receipts[0].outcome == "refused"


@pytest.mark.parametrize("asked", OTHERS)
def test_in_shadow_it_passes_and_is_told(asked: dict[str, object]) -> None:
    hardened = harden(replies([whole()], kind=b"application/json"), "mode: shadow\n" + HIDE)
    answer = run(ask(hardened, json.dumps(asked).encode(), path=PATH))
    assert (answer.status, answer.body) == (200, whole())
    assert hardened.receipts[0].reasons == ("refusal_forbidden",)


def test_a_body_that_is_no_object_follows_the_policy_for_what_cannot_be_read() -> None:
    app = replies([whole()], kind=b"application/json")
    assert run(ask(harden(app, HIDE), b"[", path=PATH)).status == 400
    passing = HIDE + "on_failure: {unreadable: pass}\n"
    answer = run(ask(harden(app, passing), b"[", path=PATH))
    assert (answer.status, find_leaks(answer.body, TRACE)) == (200, [])


def test_an_embedding_that_a_chat_is_answered_with_does_not_leave() -> None:
    value = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.125, -0.5]}]}
    app = replies([json.dumps(value).encode()], kind=b"application/json")
    answer = run(ask(harden(app, HIDE), json.dumps(CHAT).encode(), path=PATH))
    assert json.loads(answer.body)["data"][0]["embedding"] == []


POOLED = (
    [0.12345678, -0.5],
    [[0.12345678, 0.25], [0.12345678, 2]],
    base64.b64encode(bytes(range(97))).decode(),
)
VECTORS = """\
version: 1
limits: {calls: {requests: 1k, per: 1m}}
defaults: {limits: [calls], reasoning: {show: full}, embeddings: {step: 0.1}}
"""


@pytest.mark.parametrize("data", POOLED)
@pytest.mark.parametrize("policy", [HIDE, VECTORS])
def test_what_a_pooler_answers_a_chat_with_does_not_leave(data: object, policy: str) -> None:
    """Catches an embedding that leaves beside the grid, because a chat asked a pooling model for it."""
    one = {"index": 0, "object": "pooling", "data": data}
    value = {"id": "pool-1", "object": "list", "model": "m", "data": [one], "usage": {"prompt_tokens": 3}}
    app = replies([json.dumps(value).encode()], kind=b"application/json")
    hardened = harden(app, policy)
    answer = run(ask(hardened, json.dumps(CHAT).encode(), path=PATH))
    assert answer.status == 200
    assert b"12345678" not in answer.body
    assert str(data).encode() not in answer.body
    left = json.loads(answer.body)
    assert (left["data"][0]["object"], left["usage"]) == ("pooling", {"prompt_tokens": 3})
    assert hardened.receipts[0].tokens.prompt == 3


def test_a_chat_about_pooling_is_left_alone() -> None:
    said = '{"object": "pooling", "data": [0.12345678]}'
    value = {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}
    body = json.dumps(value).encode()
    app = replies([body], kind=b"application/json")
    assert run(ask(harden(app, HIDE), json.dumps(CHAT).encode(), path=PATH)).body == body


def test_an_input_is_answered_with_embeddings_on_the_grid() -> None:
    value = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1249, -0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    app = replies([json.dumps(value).encode()], kind=b"application/json")
    policy = HIDE.replace("defaults:\n", "defaults:\n  usage: round\n  embeddings: {step: 0.25}\n")
    hardened = harden(app, policy)
    answer = run(ask(hardened, json.dumps({"model": "m", "input": "?"}).encode(), path=PATH))
    told = json.loads(answer.body)
    assert told["data"][0]["embedding"] == [0.0, -0.5]
    assert told["usage"] == value["usage"]
    assert hardened.receipts[0].format == "openai_embeddings"
