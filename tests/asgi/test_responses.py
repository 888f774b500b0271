"""The way back: heads, pieces and ends of responses through the whole middleware."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.testing import find_leaks, harden
from tests.asgi.chat import ANSWER, BODY, HIDE, PLAIN_JSON, TRACE, chunk, stream, whole
from tests.asgi.driver import LoopClock, ask, replies, run


def content(body: bytes) -> str:
    frames = [json.loads(part[6:]) for part in body.decode().split("\n\n") if part.startswith("data: {")]
    return "".join(c["delta"].get("content") or "" for f in frames for c in f["choices"])


def test_a_stream_leaves_hardened_at_once_and_names_its_treatment() -> None:
    hardened = harden(replies(stream()), HIDE)
    answer = run(ask(hardened, BODY))
    assert find_leaks(answer.chunks, TRACE) == []
    assert content(answer.body).strip() == ANSWER
    assert answer.ended
    assert answer.headers["x-hardening"] == "reasoning=none, logprobs=2"
    assert answer.headers["cache-control"] == "private, no-store"
    assert [receipt.outcome for receipt in hardened.receipts] == ["complete"]


def test_a_chunk_that_nothing_touches_is_the_very_message_of_the_app() -> None:
    sent: list[Message] = []
    chunks = [chunk({"role": "assistant", "content": "a"}), *(chunk({"content": w}) for w in "bcdef")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for body in chunks:
            sent.append({"type": "http.response.body", "body": body, "more_body": True})
            await send(sent[-1])
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    answer = run(ask(harden(app, HIDE), BODY))
    assert all(out is there for out, there in zip(answer.messages[1:], sent, strict=False))


def test_the_head_of_a_whole_body_waits_and_tells_its_true_length() -> None:
    body = whole()
    headers = [(b"content-length", b"%d" % len(body)), (b"etag", b'"1"'), (b"x-request-id", b"7")]
    answer = run(
        ask(harden(replies([body[:40], body[40:]], kind=b"application/json", headers=headers), HIDE), BODY)
    )
    assert find_leaks(answer.body, TRACE) == []
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "etag" not in answer.headers
    assert answer.headers["x-request-id"] == "7"
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == ANSWER


def test_a_whole_body_that_nothing_touches_keeps_its_own_headers() -> None:
    headers = [(b"content-length", b"%d" % len(PLAIN_JSON)), (b"etag", b'"1"'), (b"x-hardening", b"forged")]
    answer = run(ask(harden(replies([PLAIN_JSON], kind=b"application/json", headers=headers), HIDE), BODY))
    assert answer.body == PLAIN_JSON
    assert answer.headers["etag"] == '"1"'
    assert "cache-control" not in answer.headers
    assert "forged" not in answer.headers["x-hardening"]


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_a_packed_answer_is_unpacked_and_hardened(coding: bytes) -> None:
    pack = gzip.compress if coding == b"gzip" else zlib.compress
    packed = pack(b"".join(stream()))
    app = replies(
        [packed[i : i + 7] for i in range(0, len(packed), 7)], headers=[(b"content-encoding", coding)]
    )
    answer = run(ask(harden(app, HIDE), BODY))
    assert "content-encoding" not in answer.headers
    assert content(answer.body).strip() == ANSWER
    assert find_leaks(answer.body, TRACE) == []


@pytest.mark.parametrize(("unreadable", "status"), [("block", 502), ("pass", 200)])
def test_an_answer_in_an_unknown_coding_follows_the_policy(unreadable: str, status: int) -> None:
    policy = HIDE + f"on_failure: {{unreadable: {unreadable}}}\n"
    hardened = harden(replies([b"\x0b\x02\x80"], headers=[(b"content-encoding", b"br")]), policy)
    answer = run(ask(hardened, BODY))
    assert answer.status == status
    assert (answer.body == b"\x0b\x02\x80") is (unreadable == "pass")
    assert answer.ended
    assert len(hardened.receipts) == 1


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
def test_no_file_leaves_past_the_middleware(kind: str) -> None:
    offered: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        offered.append(scope["extensions"])
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": kind, "path": "/etc/hostname", "file": 3})

    extensions = {kind: {}, "http.response.trailers": {}, "tls": {"server_cert": None}}
    answer = run(ask(harden(app, HIDE), BODY, extensions=extensions))
    assert offered == [{"tls": {"server_cert": None}}]
    assert answer.status == 502
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]


def test_a_stream_that_calls_itself_json_and_is_cut_before_anything_left_begins_with_its_head() -> None:
    thoughts = [chunk({"reasoning_content": TRACE}) for _ in range(200)]
    policy = HIDE.replace("trial: {requests: 1k, per: 1m}", "trial: {tokens: 3k, per: 1m}")
    assert policy != HIDE
    hardened = harden(replies([*thoughts, *stream()], kind=b"application/json"), policy, clock=LoopClock())
    answer = run(ask(hardened, BODY))
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]
    assert find_leaks(answer.body, TRACE) == []
    assert [(receipt.outcome, receipt.status) for receipt in hardened.receipts] == [("cut", 200)]


def test_what_is_held_before_anything_may_leave_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardening.asgi.response.UNPACKED_BYTES", 100_000)
    thoughts = [chunk({"reasoning_content": TRACE}) for _ in range(2000)]
    answer = run(ask(harden(replies(thoughts, kind=b"application/json"), HIDE), BODY))
    assert answer.status == 502
    assert find_leaks(answer.body, TRACE) == []


def test_trailers_and_early_hints_are_swallowed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [TRACE.encode()]})
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": PLAIN_JSON})
        await send({"type": "http.response.trailers", "headers": [(b"x-trace", TRACE.encode())]})

    answer = run(ask(harden(app, HIDE), BODY))
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]
    assert "trailers" not in answer.messages[0]


def test_background_tasks_run_on_after_the_receipt_is_written() -> None:
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await replies([PLAIN_JSON], kind=b"application/json")(scope, receive, send)
        seen.append(len(hardened.receipts))

    hardened = harden(app, HIDE)
    assert run(ask(hardened, BODY)).status == 200
    assert seen == [1]


def test_a_held_trace_is_bridged_by_beats_that_never_break_a_frame() -> None:
    frames = stream()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for frame in frames:
            for part in (frame[:9], frame[9:]):
                await send({"type": "http.response.body", "body": part, "more_body": True})
                await asyncio.sleep(4.0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    hardened = harden(slow, HIDE, clock=LoopClock())
    answer = run(ask(hardened, BODY))
    parsed = [
        json.loads(part[6:]) for part in answer.body.decode().split("\n\n") if part.startswith("data: {")
    ]
    assert content(answer.body).strip() == ANSWER
    assert len(parsed) > len(stream(trace="")) + 10
    assert find_leaks(answer.chunks, TRACE) == []


@pytest.mark.parametrize("choices", [1, 2])
def test_a_beat_and_a_chunk_are_never_under_way_at_once(choices: int) -> None:
    """With two choices the text of one leaves beside the held trace of the other."""
    under_way = 0
    most = 0

    async def slow_socket(message: Message) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(13.0)
        under_way -= 1

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for frame in stream():
            for index in range(choices):
                body = chunk({"content": "beside "}, index=index) if index else frame
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(3.7)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    answer = run(ask(harden(app, HIDE, clock=LoopClock()), BODY, on_send=slow_socket))
    assert content(answer.body).replace("beside ", "").strip() == ANSWER
    assert most == 1
