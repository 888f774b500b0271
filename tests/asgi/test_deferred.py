"""`identify=DEFERRED`: nothing leaves before `admit`, a refusal always does, and all of it is settled once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening import DEFERRED, Account, AccountError, Decision, Refused, admit, decision
from hardening.exchange import Exchange
from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.chat import BODY, HIDE, TRACE, stream, whole
from tests.asgi.driver import Answer, LoopClock, ask, replies, run, scope_of
from tests.laws.counting import Awaited, Counting, counts

JSON = b"application/json"
SHOW = HIDE.replace("{show: none}", "{show: full}")
TIGHT = HIDE.replace("calls: {requests: 1k, per: 1m}", "calls: {requests: 1, per: 30d}")
CLOSED = (
    HIDE + "rules:\n  - {name: closed, match: {account: acct_7}, refuse: {status: 403, message: closed}}\n"
)
WHO = Account("acct_7", groups=("partner",))
STORES = [Counting, Awaited]
Act = Callable[[Scope], Awaitable[object]]


async def admits(scope: Scope) -> None:
    await admit(scope, WHO)


async def nobody(scope: Scope) -> None:
    """Forgets to say who asks."""


def after(act: Act, app: ASGIApp) -> ASGIApp:
    """Does something with the scope, then answers."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await act(scope)
        await app(scope, receive, send)

    return wrapped


def answers(status: int = 200, kind: bytes = JSON, seen: Any = None) -> ASGIApp:
    pieces = stream() if kind == b"text/event-stream" else [whole()]
    return replies(pieces, kind=kind, status=status, seen=seen)


def deferred(app: ASGIApp, policy: str = HIDE, **more: Any) -> Hardened:
    return harden(app, policy, identify=DEFERRED, clock=more.pop("clock", None) or LoopClock(), **more)


def asked(app: ASGIApp, **more: Any) -> Answer:
    return run(ask(app, more.pop("body", BODY), **more))


def error_of(answer: Answer) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer.body)["error"]
    return error


# -- who is admitted


@pytest.mark.parametrize("kind", [JSON, b"text/event-stream"])
def test_the_account_that_the_app_admits_is_the_one_that_is_charged(kind: bytes) -> None:
    policy = HIDE + "accounts: {groups: {partner: []}, unproven: {limits: [trial]}}\n"
    policy = policy.replace("accounts:\n  unproven: {limits: [trial]}\n", "", 1)
    policy += "rules:\n  - {name: partners, match: {group: partner}, logprobs: {top: 3}}\n"
    hardened = deferred(after(admits, answers(kind=kind)), policy)
    answer = asked(hardened, headers=[(b"authorization", b"Bearer sk-other")])
    assert answer.status == 200
    assert find_leaks(answer.body, TRACE) == []
    (receipt,) = hardened.receipts
    assert (receipt.account, receipt.proven, receipt.rule) == ("acct_7", True, "partners")
    assert {state.limit.name for state in receipt.limits} == {"minute", "calls"}
    assert (receipt.outcome, receipt.tokens.completion) == ("complete", 60)


def test_an_account_that_the_app_does_not_vouch_for_spends_its_networks_pool() -> None:
    async def unsure(scope: Scope) -> None:
        await admit(scope, Account("guest", proven=False))

    hardened = deferred(after(unsure, answers()))
    asked(hardened)
    assert [state.limit.name for state in hardened.receipts[0].limits] == ["trial"]


def test_an_exempt_account_gets_every_byte_as_it_came() -> None:
    policy = HIDE + "rules:\n  - {name: own, match: {account: acct_7}, exempt: true}\n"
    assert asked(deferred(after(admits, answers()), policy)).body == whole()


def test_the_decision_is_given_and_can_be_asked_for() -> None:
    told: list[Decision | None] = []

    async def ask_twice(scope: Scope) -> None:
        told.append(decision(scope))
        told.append(await admit(scope, "acct_7"))
        told.append(decision(scope))

    asked(deferred(after(ask_twice, answers())))
    assert told[0] is None
    assert told[1] is told[2]
    assert told[1] is not None
    assert told[1].reasoning.show == "none"


def test_the_decision_is_known_where_the_account_was() -> None:
    told: list[Decision | None] = []

    async def look(scope: Scope) -> None:
        told.append(decision(scope))

    hardened = harden(after(look, answers()), HIDE, identify=lambda scope: "acct_7")
    asked(hardened)
    asked(hardened, path="/health")
    assert told == [hardened.receipts[0].decision, None]


# -- what the app reads


ASKS_MUCH = json.dumps({"model": "m", "messages": [], "logprobs": True, "top_logprobs": 20}).encode()


def test_an_app_that_admits_before_it_reads_asks_its_server_for_less() -> None:
    seen: Any = []
    length = [(b"content-length", b"%d" % len(ASKS_MUCH))]
    asked(deferred(after(admits, answers(seen=seen))), body=ASKS_MUCH, headers=length)
    scope, body = seen[0]
    assert json.loads(body)["top_logprobs"] == 2
    assert not [name for name, _ in scope["headers"] if name == b"content-length"]


def test_an_app_that_reads_first_asks_as_the_caller_did_and_is_cut() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bodies.append((await receive())["body"])
        await admit(scope, WHO)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON)]})
        await send({"type": "http.response.body", "body": whole()})

    bodies: list[bytes] = []
    answer = asked(deferred(app), body=ASKS_MUCH)
    assert bodies == [ASKS_MUCH]
    assert answer.status == 200
    assert find_leaks(answer.body, TRACE) == []


def test_a_body_that_cannot_be_read_is_refused_before_the_app() -> None:
    called: list[Scope] = []

    async def note(scope: Scope) -> None:
        called.append(scope)

    hardened = deferred(after(note, answers()), HIDE + "runtime: {max_body: 1k}\n")
    assert asked(hardened, body=b"{").status == 400
    assert asked(hardened, body=b"x" * 1001).status == 413
    assert called == []


# -- an app that admits nobody


@pytest.mark.parametrize("kind", [JSON, b"text/event-stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_success_without_admit_is_refused_in_the_apis_shape(
    kind: bytes, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Counting()
    hardened = deferred(after(nobody, answers(kind=kind)), state=store)
    answer = asked(hardened, path=path)
    assert (answer.status, answer.ended, error_of(answer)["type"]) == (403, True, "permission_error")
    assert find_leaks(answer.body, TRACE) == []
    (receipt,) = hardened.receipts
    assert (receipt.outcome, receipt.proven, receipt.status) == ("refused", False, 403)
    assert "not_admitted" in receipt.reasons
    assert (store.granted, counts(store)) == (0, (0, 0, 0))
    assert "the app answered without `await hardening.admit(...)`" in caplog.text
    assert receipt.door in caplog.text


@pytest.mark.parametrize("status", [307, 401, 422, 500])
@pytest.mark.parametrize("policy", [HIDE, SHOW, SHOW + "rules:\n  - {name: all, exempt: true}\n"])
def test_an_error_without_admit_leaves_without_a_trace_and_costs_nothing(status: int, policy: str) -> None:
    store = Counting()
    hardened = deferred(after(nobody, answers(status)), policy, state=store)
    answer = asked(hardened)
    assert answer.status == status
    assert find_leaks(answer.body, TRACE) == []
    (receipt,) = hardened.receipts
    assert (receipt.status, receipt.proven, receipt.limits) == (status, False, ())
    assert "not_admitted" not in receipt.reasons
    assert store.granted == 0


@pytest.mark.parametrize(
    "headers",
    [[(b"x-consumer-id", b"victim")], [(b"authorization", b"Bearer sk-of-victim")]],
    ids=["proxy", "key"],
)
def test_what_a_caller_says_of_himself_admits_nobody(headers: Any) -> None:
    """Law 10: not even a trusted proxy's word stands in for `admit`."""
    policy = SHOW.replace("accounts:\n", "accounts:\n  trusted_proxies: [203.0.113.0/24]\n")
    hardened = deferred(after(nobody, answers(403)), policy)
    answer = asked(hardened, headers=headers)
    assert find_leaks(answer.body, TRACE) == []
    assert (hardened.receipts[0].proven, hardened.receipts[0].limits) == (False, ())
    assert asked(deferred(after(nobody, answers()), policy), headers=headers).status == 403


def test_an_apps_own_error_leaves_as_it_wrote_it() -> None:
    body = b'{"detail": "who are you?"}'
    answer = asked(deferred(replies([body], kind=JSON, status=401)))
    assert (answer.status, answer.body) == (401, body)


def test_what_stands_before_a_head_does_not_leave() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [TRACE.encode()]})
        await send({"type": "http.response.body", "body": whole(), "more_body": False})
        await send({"type": "http.response.pathsend", "path": "/answer.json"})

    answer = asked(deferred(app))
    assert answer.messages == []


# -- a refusal, whatever the app makes of it


async def passes_on(scope: Scope, receive: Receive, send: Send) -> None:
    await admit(scope, WHO)


async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
    with suppress(Refused):
        await admit(scope, WHO)
    await answers()(scope, receive, send)


async def rewords(scope: Scope, receive: Receive, send: Send) -> None:
    with suppress(Refused):
        await admit(scope, WHO)
    await answers(status=500)(scope, receive, send)


async def keeps_to_itself(scope: Scope, receive: Receive, send: Send) -> None:
    with suppress(Refused):
        await admit(scope, WHO)


async def in_a_group(scope: Scope, receive: Receive, send: Send) -> None:
    async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
        inner.start_soon(passes_on, scope, receive, send)
        outer.start_soon(asyncio.sleep, 1.0)


async def asks_again(scope: Scope, receive: Receive, send: Send) -> None:
    with suppress(Refused):
        await admit(scope, WHO)
    await admit(scope, WHO)


async def fails_before_its_error_leaves(scope: Scope, receive: Receive, send: Send) -> None:
    """What a sub-application of Starlette does with an exception: a page, then the exception."""
    try:
        await admit(scope, WHO)
    except Refused:
        await answers(status=500)(scope, receive, send)
        raise


REACTIONS = [
    passes_on, swallows, rewords, keeps_to_itself, in_a_group, asks_again, fails_before_its_error_leaves,
]  # fmt: skip


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("app", REACTIONS, ids=lambda app: app.__name__)
def test_a_refusal_reaches_the_caller_whatever_the_app_makes_of_it(
    app: ASGIApp, path: str, store_class: Any
) -> None:
    store = store_class()
    hardened = deferred(app, CLOSED, state=store)
    answer = asked(hardened, path=path)
    assert answer.raised is None
    assert (answer.status, answer.ended, error_of(answer)["message"]) == (403, True, "closed")
    (receipt,) = hardened.receipts
    assert (receipt.outcome, receipt.account, receipt.proven) == ("refused", "acct_7", True)
    assert receipt.rule == "closed"
    assert counts(store) == (0, 0, 0)


def test_a_used_up_limit_says_when_to_come_back() -> None:
    hardened = deferred(after(admits, answers()), TIGHT)

    async def twice() -> list[Answer]:
        return [await ask(hardened, BODY) for _ in range(2)]

    first, second = run(twice())
    assert (first.status, second.status) == (200, 429)
    assert int(second.headers["retry-after"]) > 86_400
    assert "x-hardening" not in second.headers


def test_an_error_of_the_apps_own_goes_on_beside_the_refusal() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await admit(scope, WHO)
        finally:
            raise RuntimeError("out of memory")

    answer = asked(deferred(app, CLOSED))
    assert answer.status == 403
    assert isinstance(answer.raised, RuntimeError)


def test_a_word_that_is_not_ours_is_the_apps_own_error() -> None:
    from hardening import Refusal

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise Refused(Refusal(403, "forbidden", "made up"))

    answer = asked(deferred(app))
    assert isinstance(answer.raised, Refused)
    assert answer.messages == []


def test_an_app_that_goes_on_after_a_refusal_hears_that_nobody_listens() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with suppress(Refused):
            await admit(scope, WHO)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        heard.append((await receive())["type"])

    async def main() -> None:
        messages = [{"type": "http.request", "body": BODY}]

        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None: ...

        async with asyncio.timeout(60.0):
            await deferred(app, CLOSED)(scope_of("/v1/chat/completions"), receive, send)

    run(main())
    assert heard == ["http.disconnect"]


# -- calling it wrongly


def test_twice_is_once_and_another_account_is_an_error() -> None:
    told: list[Any] = []

    async def again(scope: Scope) -> None:
        told.append(await admit(scope, "acct_7"))
        told.append(await admit(scope, Account("acct_7")))
        with pytest.raises(AccountError, match="another account"):
            await admit(scope, "acct_8")

    store = Counting()
    hardened = deferred(after(again, answers()), state=store)
    assert asked(hardened).status == 200
    assert told[0] is told[1]
    assert store.granted == 1


@pytest.mark.parametrize("store_class", STORES)
def test_at_the_same_time_is_once(store_class: Any) -> None:
    async def together(scope: Scope) -> None:
        first, second = await asyncio.gather(admit(scope, WHO), admit(scope, WHO))
        assert first is second

    store = store_class()
    assert asked(deferred(after(together, answers()), state=store)).status == 200
    assert getattr(store, "inner", store).granted == 1


@pytest.mark.parametrize("named", ["", "two\nlines", 7, None])
def test_an_account_that_may_not_be_named_so_admits_nobody(named: Any) -> None:
    async def wrongly(scope: Scope) -> None:
        with pytest.raises(AccountError, match="account"):
            await admit(scope, named)

    assert asked(deferred(after(wrongly, answers()))).status == 403


def test_a_raw_key_as_a_name_is_hashed() -> None:
    async def by_key(scope: Scope) -> None:
        await admit(scope, "sk-very-secret")

    hardened = deferred(after(by_key, answers()))
    asked(hardened, headers=[(b"authorization", b"Bearer sk-very-secret")])
    assert hardened.receipts[0].account.startswith("key_")


@pytest.mark.parametrize("status", [200, 401])
def test_too_late_is_an_error(status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answers(status)(scope, receive, send)
        with pytest.raises(AccountError, match="has begun"):
            await admit(scope, WHO)
        reached.append(True)

    reached: list[bool] = []
    asked(deferred(app))
    assert reached


def test_without_a_middleware_that_waits_the_error_says_what_to_do() -> None:
    with pytest.raises(AccountError, match=r"identify=DEFERRED"):
        run(admit_alone())
    answer = asked(harden(after(admits, answers()), HIDE, identify=lambda scope: "acct_7"))
    assert isinstance(answer.raised, AccountError)
    assert "named the account before the app was called" in str(answer.raised)


async def admit_alone() -> None:
    await admit(scope_of("/v1/chat/completions"), WHO)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/health", "GET"), ("/items", "POST"), ("/v1/chat/completions", "OPTIONS"), ("/v1/messages", "HEAD")],
)
def test_where_nothing_is_decided_it_does_nothing(path: str, method: str) -> None:
    """Catches a dependency of the whole app that breaks its other routes; twice, for paths are remembered."""
    told: list[Any] = []

    async def note(scope: Scope) -> None:
        told.append(await admit(scope, WHO))
        told.append(decision(scope))

    hardened = deferred(after(note, replies([b"{}"], kind=JSON)))
    for _ in range(2):
        assert asked(hardened, body=b"", path=path, method=method).status == 200
    assert told == [None] * 4
    assert hardened.receipts == []


def test_where_the_policy_could_not_be_started_other_routes_still_work() -> None:
    hardened = deferred(after(admits, replies([b"{}"], kind=JSON)), "no-such-policy.yaml")
    assert asked(hardened, body=b"", path="/health", method="GET").status == 200
    assert asked(hardened).status == 503


def test_a_websocket_that_is_no_door_may_call_it_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await admit(scope, WHO) is None

    async def talk() -> None:
        scope = {"type": "websocket", "path": "/live", "headers": [], "client": None}
        await deferred(app)(scope, None, None)  # type: ignore[arg-type]

    run(talk())


# -- shadow


def test_in_shadow_nobody_is_refused_and_no_byte_changes() -> None:
    hardened = deferred(after(nobody, answers()), HIDE + "mode: shadow\n")
    assert asked(hardened).body == whole()
    receipt = hardened.receipts[0]
    assert "not_admitted" in receipt.reasons
    assert receipt.would is not None
    assert receipt.would.refusal is not None
    assert receipt.would.refusal.status == 403


def test_in_shadow_admit_raises_nothing() -> None:
    hardened = deferred(after(admits, answers()), CLOSED + "mode: shadow\n")
    assert asked(hardened).body == whole()
    receipt = hardened.receipts[0]
    assert (receipt.account, receipt.status, receipt.changed) == ("acct_7", 200, ())
    assert receipt.would is not None
    assert receipt.would.refusal is not None


# -- two in one stack


def test_two_policies_that_wait_are_both_admitted() -> None:
    inner = deferred(after(admits, answers()), SHOW)
    outer = deferred(inner, HIDE)
    answer = asked(outer)
    assert answer.status == 200
    assert find_leaks(answer.body, TRACE) == []
    assert [one.receipts[0].account for one in (inner, outer)] == ["acct_7"] * 2


def test_one_that_waits_inside_one_that_knows() -> None:
    inner = deferred(after(admits, answers()), SHOW)
    outer = harden(inner, HIDE, identify=lambda scope: "acct_8")
    answer = asked(outer)
    assert find_leaks(answer.body, TRACE) == []
    assert [one.receipts[0].account for one in (inner, outer)] == ["acct_7", "acct_8"]


# -- settled once


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("mode", ["enforce", "shadow"])
@pytest.mark.parametrize("policy", [HIDE, CLOSED], ids=["admitted", "refused"])
def test_a_cancel_at_any_await(policy: str, mode: str, store_class: Any) -> None:
    async def cancelled(hardened: Hardened, ticks: int) -> bool:
        task = asyncio.create_task(ask(hardened, BODY))
        for _ in range(ticks):
            await asyncio.sleep(0)
        over = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for _ in range(3):  # the settling of an awaited store outlives its request, by design
            await asyncio.sleep(0)
        return over

    app = after(admits, pausing(answers(kind=b"text/event-stream")))
    ticks, over = 0, False
    while not over:
        store = store_class()
        hardened = deferred(app, policy + f"mode: {mode}\n", state=store)
        over = run(cancelled(hardened, ticks))
        assert counts(store) == (0, 0, 0), ticks
        assert len(hardened.receipts) <= 1
        ticks += 1


def pausing(app: ASGIApp) -> ASGIApp:
    """Lets others run before each message."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(message: Message) -> None:
            await asyncio.sleep(0)
            await send(message)

        await app(scope, receive, slowly)

    return wrapped


@pytest.mark.parametrize("store_class", STORES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_app_that_raises_is_settled_once(when: str, store_class: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if when == "after":
            await admit(scope, WHO)
        raise RuntimeError("out of memory")

    store = store_class()
    hardened = deferred(app, state=store)
    answer = asked(hardened)
    assert isinstance(answer.raised, RuntimeError)
    assert answer.messages == []
    assert [receipt.outcome for receipt in hardened.receipts] == ["error"]
    assert counts(store) == (0, 0, 0)


@pytest.mark.parametrize("store_class", STORES)
def test_a_client_that_leaves_at_any_event_is_settled_once(store_class: Any) -> None:
    for left in range(1, 12):
        store = store_class()
        hardened = deferred(after(admits, answers(kind=b"text/event-stream")), state=store)
        asked(hardened, disconnect_after=left)
        assert counts(store) == (0, 0, 0)
        assert len(hardened.receipts) == 1


@pytest.mark.parametrize("fails_after", [0, 1])
def test_a_refusal_that_cannot_be_sent_is_settled_once(fails_after: int) -> None:
    async def failing(message: Message) -> None:
        sent.append(message)
        if len(sent) > fails_after:
            raise OSError("the client is gone")

    for app in REACTIONS:
        sent: list[Message] = []
        store = Counting()
        hardened = deferred(app, CLOSED, state=store)
        asked(hardened, on_send=failing)
        assert counts(store) == (0, 0, 0)
        assert [receipt.outcome for receipt in hardened.receipts] == ["refused"]


def test_an_admission_that_nobody_waited_for_keeps_nothing_reserved() -> None:
    store = Awaited()
    tasks: list[asyncio.Task[Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(asyncio.create_task(admit(scope, WHO)))
        await asyncio.sleep(0)

    async def main() -> None:
        await ask(hardened, BODY)
        with pytest.raises(Refused):
            await tasks[0]

    hardened = deferred(app, state=store)
    run(main())
    assert store.inner.granted == 1
    assert counts(store) == (0, 0, 0)


def test_an_app_that_gives_up_waiting_may_ask_again() -> None:
    class Slow(Awaited):
        async def admit(self, *arguments: Any) -> Any:
            await asyncio.sleep(9.0 if not self.inner.granted and not tried else 0.0)
            return await super().admit(*arguments)

    tried: list[bool] = []

    async def impatient(scope: Scope) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await admit(scope, WHO)
        tried.append(True)
        await admit(scope, WHO)

    store = Slow()
    assert asked(deferred(after(impatient, answers()), state=store)).status == 200
    assert counts(store) == (0, 0, 0)


@pytest.mark.parametrize("internal", ["block", "pass"])
@pytest.mark.parametrize("step", ["charges", "request"])
def test_a_fault_of_ours_follows_the_policy(
    step: str, internal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyError

    store = Counting()
    if step == "request":
        monkeypatch.setattr(Exchange, "request", broken)
    else:
        monkeypatch.setattr("hardening.asgi.case.charges", broken)
    hardened = deferred(
        after(admits, answers()), HIDE + f"on_failure: {{internal: {internal}}}\n", state=store
    )
    answer = asked(hardened)
    assert answer.raised is None
    assert (answer.status, answer.body == whole()) == ((500, False) if internal == "block" else (200, True))
    assert "internal_fault" in hardened.receipts[0].reasons
    assert counts(store) == (0, 0, 0)
