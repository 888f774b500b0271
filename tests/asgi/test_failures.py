"""Whatever breaks, and wherever: one receipt, one settlement, no task left, an end that clients can read."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening import Receipt, StateError
from hardening.exchange import Exchange
from hardening.facts import Account, Admission, Charge, Lease
from hardening.lanes import Lanes
from hardening.lanes.text import BareTextLane
from hardening.lanes.trace import BareTraceLane
from hardening.rewrite import Rewriter
from hardening.state import MemoryStore
from hardening.testing import ManualClock, find_leaks, harden
from tests.asgi.chat import ANSWER, BODY, HIDE, PLAIN_JSON, TRACE, stream, whole
from tests.asgi.driver import Answer, LoopClock, ask, replies, run
from tests.exchanges import gemini_array

SSE = [(b"content-type", b"text/event-stream")]


class CountingStore(MemoryStore):
    """The memory store, and how often it was asked to settle."""

    settled = 0

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Any, now: float) -> None:
        self.settled += 1
        super().settle(lease, actual, evidence, now)


class LaterStore:
    """The memory store behind a network: everything is awaited."""

    def __init__(self) -> None:
        self.inner = CountingStore()

    async def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        await asyncio.sleep(0)
        return self.inner.admit(account, charges, now)

    async def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        await asyncio.sleep(0)
        return self.inner.extend(lease, charges, now)

    async def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Any, now: float) -> None:
        await asyncio.sleep(0)
        self.inner.settle(lease, actual, evidence, now)


class BrokenStore:
    """A store that answers nothing but what it is told to."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.inner = MemoryStore()

    def _or_break(self, act: str, *arguments: Any) -> Any:
        if act in self.broken:
            raise StateError("no answer from redis://:secret@host")
        return getattr(self.inner, act)(*arguments)

    def admit(self, *arguments: Any) -> Any:
        return self._or_break("admit", *arguments)

    def extend(self, *arguments: Any) -> Any:
        return self._or_break("extend", *arguments)

    def settle(self, *arguments: Any) -> Any:
        return self._or_break("settle", *arguments)


STORES = [CountingStore, LaterStore]


def settled_once(store: Any) -> bool:
    counting = getattr(store, "inner", store)
    return bool(counting.settled == 1 and counting.open_leases == 0 and counting.late_settlements == 0)


def waits_for_disconnect(frames: list[bytes]) -> Any:
    """Streams like Starlette: hears of a disconnect through receive, and then stops."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def heard() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def streamed() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": SSE})
            for frame in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
                await asyncio.sleep(1.0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async with anyio.create_task_group() as tasks:

            async def first(act: Any) -> None:
                await act()
                tasks.cancel_scope.cancel()

            tasks.start_soon(first, streamed)
            await first(heard)

    return app


def outcomes(receipts: list[Receipt]) -> list[str]:
    return [receipt.outcome for receipt in receipts]


# -- the client


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_a_client_that_leaves_at_any_event_is_settled_once(store_class: Any, mode: str) -> None:
    frames = stream(trace="one two three four five six", answer="seven eight")
    for after in range(1, len(stream(trace="", answer="seven eight"))):
        store = store_class()
        policy = HIDE + f"mode: {mode}\n"
        hardened = harden(waits_for_disconnect(frames), policy, clock=LoopClock(), state=store)
        run(ask(hardened, BODY, disconnect_after=after))
        assert outcomes(hardened.receipts) == ["disconnected"]
        assert settled_once(store)


@pytest.mark.parametrize("fails_after", [0, 1, 3])
def test_a_send_that_fails_is_a_client_that_left(fails_after: int) -> None:
    store = CountingStore()
    hardened = harden(replies(stream()), HIDE, state=store)
    answer = run(ask(hardened, BODY, send_fails_after=fails_after))
    assert isinstance(answer.raised, OSError)
    assert outcomes(hardened.receipts) == ["disconnected"]
    assert settled_once(store)


def test_a_send_of_a_whole_body_that_fails_is_a_client_that_left() -> None:
    hardened = harden(replies([whole()], kind=b"application/json"), HIDE)
    run(ask(hardened, BODY, send_fails_after=0))
    assert outcomes(hardened.receipts) == ["disconnected"]


def test_a_client_that_leaves_before_its_request_is_whole_costs_nothing() -> None:
    async def main() -> list[Message]:
        sent: list[Message] = []
        messages: list[Message] = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [], "client": None}
        await hardened(scope, receive, send)
        return sent

    store = CountingStore()
    hardened = harden(replies(stream()), HIDE, state=store)
    assert run(main()) == []
    assert (store.settled, store.open_leases) == (0, 0)


# -- the app


def raising(frames: list[bytes], headers: Any = SSE) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if frames:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        raise RuntimeError("out of memory")

    return app


@pytest.mark.parametrize("store_class", STORES)
def test_an_app_that_raises_before_its_answer_is_left_to_what_stands_outside(store_class: Any) -> None:
    store = store_class()
    hardened = harden(raising([]), HIDE, state=store)
    answer = run(ask(hardened, BODY))
    assert isinstance(answer.raised, RuntimeError)
    assert answer.messages == []
    assert outcomes(hardened.receipts) == ["error"]
    assert settled_once(store)


def test_an_app_that_raises_within_a_held_body_is_left_to_what_stands_outside() -> None:
    answer = run(ask(harden(raising([whole()[:50]], [(b"content-type", b"application/json")]), HIDE), BODY))
    assert isinstance(answer.raised, RuntimeError)
    assert answer.messages == []


@pytest.mark.parametrize("frames", range(1, len(stream(trace="one two"))))
def test_an_app_that_raises_in_mid_stream_ends_it_in_the_formats_own_words(frames: int) -> None:
    store = CountingStore()
    hardened = harden(raising(stream(trace="one two")[:frames]), HIDE, state=store)
    answer = run(ask(hardened, BODY))
    assert isinstance(answer.raised, RuntimeError)
    assert answer.ended
    assert "error" in json.loads(answer.body.decode().split("\n\n")[-2][6:])
    assert "out of memory" not in answer.body.decode()
    assert outcomes(hardened.receipts) == ["error"]
    assert settled_once(store)


@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
def test_an_app_that_returns_without_an_end_is_ended(kind: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": stream()[0], "more_body": True})

    hardened = harden(app, HIDE)
    answer = run(ask(hardened, BODY))
    assert answer.ended
    assert b'"error"' in answer.body
    assert outcomes(hardened.receipts) == ["error"]


def test_an_app_that_returns_without_a_word_is_left_to_its_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    hardened = harden(app, HIDE)
    assert run(ask(hardened, BODY)).messages == []
    assert outcomes(hardened.receipts) == ["error"]


@pytest.mark.parametrize("store_class", STORES)
def test_a_server_that_stops_settles_open_streams(store_class: Any) -> None:
    store = store_class()
    hardened = harden(waits_for_disconnect(stream()), HIDE, clock=LoopClock(), state=store)

    async def stopped() -> None:
        task = asyncio.create_task(ask(hardened, BODY))
        await asyncio.sleep(20.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(stopped())
    assert outcomes(hardened.receipts) == ["error"]
    assert settled_once(store)


@pytest.mark.parametrize("status", [401, 403])
def test_a_proven_account_is_not_charged_for_refusals_of_the_app(status: int) -> None:
    store = MemoryStore()
    app = replies([b'{"error": {"message": "bad key"}}'], kind=b"application/json", status=status)
    hardened = harden(app, HIDE, state=store, identify=lambda scope: "acct_7")

    async def flood() -> Answer:
        for _ in range(50):
            answer = await ask(hardened, BODY)
        return answer

    assert run(flood()).status == status
    left = {state.limit.name: state.remaining for state in hardened.receipts[-1].limits}
    assert left["calls"] == pytest.approx(999)


# -- our own parts


@pytest.mark.parametrize(("internal", "status"), [("block", 500), ("pass", 200)])
def test_a_fault_of_ours_before_the_head_follows_the_policy(
    internal: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Exchange, data: bytes, now: float) -> bytes:
        raise KeyError(TRACE)

    monkeypatch.setattr(Exchange, "receive", broken)
    store = CountingStore()
    app = replies([whole()], kind=b"application/json")
    hardened = harden(app, HIDE + f"on_failure: {{internal: {internal}}}\n", state=store)
    answer = run(ask(hardened, BODY))
    assert (answer.status, answer.ended) == (status, True)
    assert (answer.body == whole()) is (internal == "pass")
    assert TRACE not in caplog.text
    assert "KeyError" in caplog.text
    assert settled_once(store)


def test_a_fault_of_ours_after_the_reservation_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyError

    store = CountingStore()
    hardened = harden(
        replies([PLAIN_JSON], kind=b"application/json"), HIDE, state=store, identify=lambda _: "a"
    )

    async def both() -> list[int]:
        with monkeypatch.context() as patched:
            patched.setattr("hardening.asgi.case.decide", broken)
            failed = await ask(hardened, BODY)
        return [failed.status, (await ask(hardened, BODY)).status]

    assert run(both()) == [500, 200]
    left = {state.limit.name: state.remaining for state in hardened.receipts[-1].limits}
    assert left["calls"] == pytest.approx(999, abs=0.1)
    assert store.settled == 2


@pytest.mark.parametrize(
    ("part", "name"),
    [(Exchange, "receive"), (Exchange, "read"), (BareTraceLane, "take"), (BareTextLane, "take")],
)
def test_a_fault_of_ours_in_mid_stream_ends_it_and_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch, part: type, name: str
) -> None:
    true = getattr(part, name)
    calls = 0

    def breaking(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise IndexError(TRACE)
        return true(*arguments)

    monkeypatch.setattr(part, name, breaking)
    hardened = harden(replies(stream(answer=80 * ANSWER)), HIDE)
    answer = run(ask(hardened, BODY))
    assert answer.ended
    assert b'"error"' in answer.body
    assert find_leaks(answer.chunks, TRACE) == []
    assert outcomes(hardened.receipts) == ["error"]


def test_in_shadow_a_fault_of_ours_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Exchange, data: bytes, now: float) -> bytes:
        raise KeyError(TRACE)

    monkeypatch.setattr(Exchange, "receive", broken)
    hardened = harden(replies(stream()), HIDE + "mode: shadow\n")
    assert run(ask(hardened, BODY)).chunks[:-1] == stream()
    assert "internal_fault" in hardened.receipts[0].reasons


@pytest.mark.parametrize("size", [7, 90, 100_000])
@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
@pytest.mark.parametrize("fails_at", [0, 3, 9])
def test_what_passes_after_a_fault_leaves_whole_and_once(
    monkeypatch: pytest.MonkeyPatch, fails_at: int, kind: bytes, coding: bytes, size: int
) -> None:
    read: Any = Rewriter.frame
    frames = iter(range(1000))

    def broken(*arguments: Any, **more: Any) -> bytes:
        if next(frames) == fails_at:
            raise KeyError("a fault of ours")
        return bytes(read(*arguments, **more))

    monkeypatch.setattr(Rewriter, "frame", broken)
    monkeypatch.setattr(Lanes, "learn", lambda *_, **__: None)
    sse = kind == b"text/event-stream"
    said = b"".join(stream(trace="")) if sse else whole(trace="")
    packed = gzip.compress(said) if coding == b"gzip" else said
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    headers = [(b"content-encoding", coding)]
    policy = HIDE.replace("show: none", "show: full") + "on_failure: {internal: pass}\n"
    hardened = harden(replies(pieces, kind=kind, headers=headers), policy)
    answer = run(ask(hardened, BODY))
    left = answer.headers.get("content-encoding", "identity")
    assert (gzip.decompress(answer.body) if left == "gzip" else answer.body) == said
    assert answer.ended


@pytest.mark.parametrize("size", [1, 7, 90, 100_000])
@pytest.mark.parametrize("fails_at", [0, 3, 9])
def test_what_passes_of_an_array_after_a_fault_leaves_whole_and_once(
    monkeypatch: pytest.MonkeyPatch, fails_at: int, size: int
) -> None:
    """Catches the comma that waits for the next element, where reading that element fails."""
    read: Any = Rewriter.frame
    frames = iter(range(1000))

    def broken(*arguments: Any, **more: Any) -> bytes:
        if next(frames) == fails_at:
            raise KeyError("a fault of ours")
        return bytes(read(*arguments, **more))

    monkeypatch.setattr(Rewriter, "frame", broken)
    said = b"".join(gemini_array())
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    policy = HIDE.replace("show: none", "show: full") + "on_failure: {internal: pass}\n"
    hardened = harden(replies(pieces, kind=b"application/json"), policy)
    answer = run(ask(hardened, b"{}", path="/v1beta/models/m:streamGenerateContent"))
    assert answer.body == said
    assert answer.ended


def test_a_stream_that_breaks_off_packed_is_ended_though_the_policy_lets_pass() -> None:
    packed = gzip.compress(b"".join(stream()))
    pieces = [packed[:200], b"no more of it" * 9]
    headers = [(b"content-encoding", b"gzip")]
    hardened = harden(replies(pieces, headers=headers), HIDE + "on_failure: {unreadable: pass}\n")
    answer = run(ask(hardened, BODY))
    assert b"no more of it" not in answer.body
    assert b'"error"' in answer.body
    assert answer.ended


def test_a_receipt_callback_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hardened = harden(replies([PLAIN_JSON], kind=b"application/json"), HIDE)

    def broken(receipt: Receipt) -> None:
        raise RuntimeError("callback")

    hardened.options = replace(hardened.options, on_receipt=broken)
    assert run(ask(hardened, BODY)).status == 200
    assert "on_receipt failed: RuntimeError" in caplog.text


# -- the store


@pytest.mark.parametrize(("terms", "status"), [("local", 200), ("reject", 503), ("allow", 200)])
def test_a_store_that_does_not_admit_follows_the_policy(terms: str, status: int) -> None:
    hardened = harden(
        replies([whole()], kind=b"application/json"),
        HIDE + f"on_failure: {{store: {terms}}}\n",
        state=BrokenStore("admit"),
    )
    answer = run(ask(hardened, BODY))
    assert answer.status == status
    assert find_leaks(answer.body, TRACE) == []
    registry = hardened.options.registry
    assert registry.get_sample_value("hardening_store_errors_total") == 1
    assert registry.get_sample_value("hardening_store_bypasses_total", {"terms": terms}) == 1
    assert registry.get_sample_value("hardening_store_away") == 0


def test_a_store_that_is_away_is_shown_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Catches a log line for each request of an outage, and a gauge that stays up after it."""
    store = BrokenStore("admit")
    clock = ManualClock()
    hardened = harden(replies([PLAIN_JSON], kind=b"application/json"), HIDE, state=store, clock=clock)
    registry = hardened.options.registry
    for _ in range(9):
        assert run(ask(hardened, BODY)).status == 200
    assert registry.get_sample_value("hardening_store_errors_total") == 3
    assert registry.get_sample_value("hardening_store_bypasses_total", {"terms": "local"}) == 9
    assert registry.get_sample_value("hardening_store_away") == 1
    assert [record.message for record in caplog.records if "does not answer" in record.message] != []
    assert len(caplog.records) == 4
    store.broken = ()
    clock.advance(1.0)
    assert run(ask(hardened, BODY)).status == 200
    assert registry.get_sample_value("hardening_store_away") == 0
    assert "answers again" in caplog.text


def test_the_local_store_limits_while_the_shared_one_is_away() -> None:
    policy = HIDE.replace("calls: {requests: 1k, per: 1m}", "calls: {requests: 1, per: 30d}")
    app = replies([PLAIN_JSON], kind=b"application/json")
    hardened = harden(app, policy, state=BrokenStore("admit"), identify=lambda scope: "acct_7")

    async def twice() -> list[int]:
        return [(await ask(hardened, BODY)).status for _ in range(2)]

    assert run(twice()) == [200, 429]


def test_a_store_that_does_not_settle_costs_the_client_nothing() -> None:
    hardened = harden(replies(stream()), HIDE, state=BrokenStore("settle"))
    answer = run(ask(hardened, BODY))
    assert (answer.ended, outcomes(hardened.receipts)) == (True, ["complete"])


class ForeignStore(BrokenStore):
    """A store of somebody else: it fails with an error of its own, at once or when it is awaited."""

    def __init__(self, *broken: str, later: bool) -> None:
        super().__init__(*broken)
        self.later = later

    def _or_break(self, act: str, *arguments: Any) -> Any:
        if act not in self.broken:
            return getattr(self.inner, act)(*arguments)
        if self.later:
            return self._fail()
        raise TimeoutError("no answer from redis://:secret@host")

    async def _fail(self) -> Any:
        await asyncio.sleep(0)
        raise TimeoutError("no answer from redis://:secret@host")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("act", ["admit", "extend", "settle"])
def test_a_store_may_fail_in_its_own_way(act: str, later: bool, caplog: pytest.LogCaptureFixture) -> None:
    answer, hardened, _ = extends(ForeignStore(act, later=later))
    assert (answer.status, len(hardened.receipts)) == (200, 1)
    assert (hardened.options.registry.get_sample_value("hardening_store_errors_total") or 0) >= 1
    assert "TimeoutError" in caplog.text
    assert "secret" not in caplog.text


SHORT = HIDE.replace("minute: {tokens: 100k, per: 1m}", "minute: {tokens: 60, per: 30d}")


def extends(store: Any, policy: str = SHORT) -> tuple[Answer, Any, list[str]]:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await waits_for_disconnect(stream(trace="", answer="word " * 200))(scope, receive, send)
        heard.append((await receive())["type"])

    hardened = harden(app, policy, clock=LoopClock(), state=store, identify=lambda scope: "acct_7")
    return run(ask(hardened, BODY)), hardened, heard


@pytest.mark.parametrize("store_class", STORES)
def test_a_stream_out_of_tokens_is_cut_and_the_app_hears_that_nobody_listens(store_class: Any) -> None:
    store = store_class()
    answer, hardened, heard = extends(store)
    frames = [
        json.loads(part[6:]) for part in answer.body.decode().split("\n\n") if part.startswith("data: {")
    ]
    assert answer.ended
    assert [c["finish_reason"] for f in frames for c in f["choices"] if c["finish_reason"]] == ["length"]
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert len(answer.body) < len(b"".join(stream(trace="", answer="word " * 200))) / 2
    assert heard == ["http.disconnect"]
    assert outcomes(hardened.receipts) == ["cut"]
    assert settled_once(store)


@pytest.mark.parametrize(
    ("terms", "tokens", "outcome"),
    [("allow", 60, "complete"), ("local", 1000, "complete"), ("local", 60, "cut"), ("reject", 60, "cut")],
)
def test_a_store_lost_in_mid_stream_follows_the_policy(terms: str, tokens: int, outcome: str) -> None:
    """What this process saw left last bounds `local`; only `allow` does not count."""
    policy = SHORT.replace("tokens: 60", f"tokens: {tokens}") + f"on_failure: {{store: {terms}}}\n"
    answer, hardened, _ = extends(BrokenStore("extend"), policy)
    assert outcomes(hardened.receipts) == [outcome]
    assert answer.ended
