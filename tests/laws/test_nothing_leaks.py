"""Law 1: whatever an upstream answers and wherever a client knocks, no piece of a hidden trace leaves.

Each row is a way that once led a trace past a policy, or nearly did.
"""

from __future__ import annotations

import json

import pytest

from hardening.testing import find_leaks, harden
from tests.asgi.driver import Answer, ask, replies, run

TRACE = (
    "First I weigh every option on the table, then seventeen apples are put beside twenty-five pears, "
    "and from these the total is worked out slowly."
)
ANSWER = "There are 42 pieces of fruit."
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
JSON, SSE = b"application/json", b"text/event-stream"
ASKED = b'{"model":"m","stream":true,"messages":[]}'


def words(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def chunk(delta: object, finish: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more.pop("choice", {})}  # type: ignore[dict-item]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def body(message: object, **more: object) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more.pop("choice", {})}  # type: ignore[dict-item]
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], **more}).encode()


def sse(*frames: object) -> bytes:
    said = [frame if isinstance(frame, bytes) else json.dumps(frame).encode() for frame in frames]
    return b"".join(b"data: " + frame + b"\n\n" for frame in said) + b"data: [DONE]\n\n"


REASONED = body({"content": ANSWER, "reasoning_content": TRACE})
THOUGHT = json.dumps(
    {
        "type": "message",
        "content": [{"type": "thinking", "thinking": TRACE}, {"type": "text", "text": ANSWER}],
    }
).encode()


def answer(
    upstream: bytes,
    *,
    kind: bytes = JSON,
    policy: str = "strict",
    status: int = 200,
    path: str = CHAT,
    **scope: object,
) -> Answer:
    app = harden(replies([upstream], kind=kind, status=status), policy)
    return run(ask(app, ASKED, path=path, **scope))  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/v1/messages", "/v1"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/chat/completions", "/v1/chat"),
        ("/v1/chat/x/../completions", ""),
        ("/v1/chat/completions?x", ""),
        ("/v1/chat/completions#x", ""),
        ("/api/v1/x/%2e%2e/messages", "/api"),
    ],
)
def test_no_spelling_of_a_path_leads_around(policy: str, path: str, root: str) -> None:
    upstream = THOUGHT if "messages" in path else REASONED
    left = answer(upstream, policy=policy, path=path, root_path=root)
    assert left.status == 200
    assert ANSWER.encode() in left.body
    assert not find_leaks(left.body, TRACE)


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/chatcmpl-1",
        "/v1/chat/completions/chatcmpl-1/messages",
        "/v1/messages/batches/b/results",
    ],
)
def test_an_answer_that_was_kept_is_cut_as_well(policy: str, path: str) -> None:
    assert not find_leaks(answer(REASONED, policy=policy, path=path, method="GET").body, TRACE)
