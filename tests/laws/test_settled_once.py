"""Law 7: whatever becomes of a stream, its lease is settled once, with what was generated, and nothing runs on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.exchange import Exchange
from hardening.facts import Account, Charge
from hardening.state import MemoryStore
from hardening.testing import Hardened, ManualClock, find_leaks, harden
from tests.asgi.driver import Answer, LoopClock, ask, run
from tests.exchanges import TRACE, deltas
from tests.laws.counting import Awaited, Counting, counts
from tests.laws.formats import CHAT, FORMATS, Format

POLICY = """\
version: 1
name: counted
limits:
  minute: {tokens: 100k, per: 30d}
  calls: {requests: 1k, per: 30d}
  trial: {requests: 1k, per: 1m}
accounts: {unproven: {limits: [trial]}}
defaults: {limits: [minute, calls], reasoning: {show: none}}
"""
WHO = "acct_7"
BYTES_PER_TOKEN = 4
STORES = [Counting, Awaited]


def spent(hardened: Hardened, limit: str) -> float:
    """What one limit of the account has lost, read from the store itself."""
    assert hardened.service is not None
    charge = Charge(hardened.service.in_force.policy.limits[limit], f"account:{WHO}", 0.0)
    store: Any = hardened.service.store
    store = getattr(store, "inner", store)  # what is guarded, or what answers at once
    states = MemoryStore.admit(getattr(store, "inner", store), Account(WHO), (charge,), 0.0).limits
    return charge.limit.burst - states[0].remaining


def behind(app: ASGIApp, store: Any, **more: Any) -> Hardened:
    clock = more.pop("clock", None) or ManualClock()
    return harden(
        app, more.pop("policy", POLICY), state=store, identify=lambda scope: WHO, clock=clock, **more
    )


def messages_of(format: Format, streamed: bool) -> list[Message]:
    """An answer as an app says it: head, pieces, end."""
    kind = format.kind if streamed else b"application/json"
    pieces = format.stream if streamed else (format.whole[:90], format.whole[90:])
    return [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]},
        *({"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces),
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]


def breaks_off(messages: list[Message], at: int, *, raises: bool) -> ASGIApp:
    """Says the first `at` messages, then fails or just returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages[:at]:
            await send(message)
            await asyncio.sleep(0)
        if raises:
            raise RuntimeError("out of memory")

    return app


GEMINI_COUNTS = ("candidatesTokenCount", "thoughtsTokenCount")


def generated_tokens(pieces: tuple[bytes, ...]) -> int:
    """What the model wrote by then: as its server counts at the end, before it by the bytes."""
    values: list[Any] = deltas(b"".join(pieces))
    values = [
        {**value, **value.get("response", {})} if isinstance(value.get("response"), dict) else value
        for value in values
    ]
    usages = [value.get("usage") or value.get("message", {}).get("usage") or value for value in values]
    counts = ("completion_tokens", "output_tokens", "eval_count")
    told = max((one.get(name, 0) for one in usages for name in counts), default=0)
    metadata = [value.get("usageMetadata") or {} for value in values]
    apart = [max((one.get(name, 0) for one in metadata), default=0) for name in GEMINI_COUNTS]
    told = max(told, sum(apart))
    parts = [part for value in values for part in (value.get("delta"), *value.get("choices", ())) if part]
    parts = [{"text": part} if isinstance(part, str) else part.get("delta", part) for part in parts]
    parts += [value.get("message", value) for value in values if "done" in value]
    parts += [
        part for value in values for one in value.get("candidates", ()) for part in one["content"]["parts"]
    ]
    fields = ("content", "reasoning_content", "text", "thinking", "response")
    written = sum(len(part.get(field) or "") for part in parts for field in fields)
    return max(told, -(-written // BYTES_PER_TOKEN))


def last_event(answer: Answer) -> dict[str, Any]:
    return deltas(answer.body)[-1]


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("raises", [True, False], ids=["raises", "returns"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
def test_an_app_that_breaks_off_anywhere(
    format: Format, streamed: bool, raises: bool, store_class: Any
) -> None:
    """Catches a path out of the app that settles never or twice, charges nothing, or ends without an error."""
    messages = messages_of(format, streamed)
    for at in range(len(messages) + 1):
        store = store_class()
        hardened = behind(breaks_off(messages, at, raises=raises), store)
        answer = run(ask(hardened, format.asked, path=format.path))
        assert counts(store) == (0, 0, 0)
        (receipt,) = hardened.receipts
        assert isinstance(answer.raised, RuntimeError) is raises
        assert spent(hardened, "calls") == pytest.approx(1)
        assert spent(hardened, "minute") == pytest.approx(receipt.tokens.settled)
        done = at == len(messages)
        assert receipt.outcome == ("complete" if done else "error")
        if streamed and at:
            assert receipt.tokens.completion == generated_tokens(format.stream[: at - 1])
            assert receipt.tokens.prompt in (9, pytest.approx(len(format.asked) / BYTES_PER_TOKEN, abs=1))
            if not done:
                assert answer.ended
                error = last_event(answer)["error"]
                assert str(error.get("message") if isinstance(error, dict) else error).startswith("the model")
        elif at == 0 or (raises and not done):
            assert answer.messages == []
        assert find_leaks(answer.body, TRACE) == []


def streaming(format: Format, pause_s: float = 0.0) -> ASGIApp:
    """The stream as Starlette sends it, which hears of a disconnect while it streams."""

    async def frames() -> AsyncIterator[bytes]:
        for frame in format.stream:
            yield frame
            await asyncio.sleep(pause_s)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await StreamingResponse(frames(), media_type=format.kind.decode())(scope, receive, send)

    return app


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("pause_s", [0.0, 12.0], ids=["", "beats"])
def test_a_client_that_leaves_at_any_event(format: Format, store_class: Any, pause_s: float) -> None:
    """Catches a disconnect that is settled twice, by the app's end and by ours, or leaves a beat running."""
    for after in range(1, len(format.stream)):
        store = store_class()
        hardened = behind(streaming(format, pause_s), store, clock=LoopClock())
        answer = run(ask(hardened, format.asked, path=format.path, disconnect_after=after))
        assert counts(store) == (0, 0, 0)
        assert [receipt.outcome for receipt in hardened.receipts] in (["disconnected"], ["complete"])
        assert len(answer.chunks) <= after


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_send_that_fails_at_any_message(
    format: Format, streamed: bool, store_class: Any, version: str
) -> None:
    """Catches an `OSError` of the server's send, at the head too, that skips the settlement."""
    whole = breaks_off(messages_of(format, streamed=False), 4, raises=False)
    for fails_at in range(30):
        sent: list[Message] = []

        async def failing(message: Message, sent: list[Message] = sent, fails_at: int = fails_at) -> None:
            sent.append(message)
            if len(sent) > fails_at:
                raise OSError("the client is gone")

        store = store_class()
        hardened = behind(streaming(format) if streamed else whole, store)
        asgi = {"version": "3.0", "spec_version": version}
        run(ask(hardened, format.asked, path=format.path, on_send=failing, asgi=asgi))
        assert counts(store) == (0, 0, 0)
        if len(sent) <= fails_at:
            break
        assert [receipt.outcome for receipt in hardened.receipts] == ["disconnected"]
    assert fails_at > 1


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
def test_a_cancel_at_any_await(format: Format, mode: str, store_class: Any) -> None:
    """Catches an await between reservation and settlement at which a stopping server loses the lease."""

    async def cancelled(hardened: Hardened, ticks: int) -> bool:
        task = asyncio.create_task(ask(hardened, format.asked, path=format.path))
        for _ in range(ticks):
            await asyncio.sleep(0)
        over = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for _ in range(3):  # the settling of an awaited store outlives its request, by design
            await asyncio.sleep(0)
        return over

    ticks, over = 0, False
    while not over:
        store = store_class()
        hardened = behind(streaming(format), store, policy=POLICY + f"mode: {mode}\n")
        over = run(cancelled(hardened, ticks))
        assert counts(store) == (0, 0, 0), ticks
        ticks += 1
    assert ticks > len(format.stream)


@pytest.mark.parametrize("stopped_s", [0.5, 9.5, 10.0, 12.5, 20.0, 36.0])
def test_a_cancel_while_beats_run(stopped_s: float) -> None:
    """Catches a timer or a beat that outlives its stream."""

    async def stopped(hardened: Hardened) -> None:
        task = asyncio.create_task(ask(hardened, CHAT.asked))
        await asyncio.sleep(stopped_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    store = Counting()
    run(stopped(behind(streaming(CHAT, 24.0), store, clock=LoopClock())))
    assert counts(store) == (0, 0, 0)


@pytest.mark.parametrize("internal", ["block", "pass"])
@pytest.mark.parametrize("step", ["request", "start", "receive", "end"])
def test_a_fault_of_ours_at_any_step(step: str, internal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a lease that stays open because our own code failed between reservation and answer."""

    def broken(*arguments: Any) -> Any:
        raise KeyError

    monkeypatch.setattr(Exchange, step, broken)
    for streamed in (True, False):
        store = Counting()
        messages = messages_of(CHAT, streamed)
        policy = POLICY + f"on_failure: {{internal: {internal}}}\n"
        app = breaks_off(messages, len(messages), raises=False)
        answer = run(ask(behind(app, store, policy=policy), CHAT.asked))
        assert counts(store) == (0, 0, 0)
        assert answer.ended
        assert answer.raised is None
        if internal == "block" and not (streamed and step in ("receive", "end")):
            assert (answer.status, "error" in json.loads(answer.body)) == (500, True)
