"""Answers whose limit runs out on the way, and answers that have a greatest speed; time jumps, nothing sleeps."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.facts import Account, Charge
from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.chat import ANSWER, ASKED, BODY, TRACE, chunk, stream
from tests.asgi.driver import Answer, LoopClock, ask, replies, run, scope_of
from tests.asgi.test_failures import STORES, BrokenStore, CountingStore, settled_once, waits_for_disconnect

POLICY = """\
version: 1
limits:
  minute: {tokens: %s}
  calls: {requests: 1M, per: 3660d}
  total: {tokens: 1M, per: 3660d}
defaults: {limits: [minute, calls, total], %s}
"""
WORDS = [f"word{number:03d} " for number in range(200)]  # 8 bytes each, counted as 2 tokens: 400 in all


def pieces() -> list[bytes]:
    return stream(trace="", answer="".join(WORDS).strip(), usage=False)


def content(body: bytes) -> str:
    frames = [json.loads(part[6:]) for part in body.decode().split("\n\n") if part.startswith("data: {")]
    return "".join(c["delta"].get("content") or "" for f in frames for c in f["choices"])


def finishes(body: bytes) -> list[str]:
    frames = [json.loads(part[6:]) for part in body.decode().split("\n\n") if part.startswith("data: {")]
    return [c["finish_reason"] for f in frames for c in f["choices"] if c["finish_reason"]]


class Timed:
    """An answer, and when each piece of it left."""

    def __init__(self, app: ASGIApp, tokens: str, settings: str, store: Any = None) -> None:
        self.store = store or CountingStore()
        self.hardened: Hardened = harden(
            app,
            POLICY % (tokens, settings),
            clock=LoopClock(),
            state=self.store,
            identify=lambda scope: "acct_7",
        )
        self.left: list[tuple[float, int]] = []

    async def note(self, message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            self.left.append((asyncio.get_running_loop().time(), len(content(message["body"]).strip()) // 4))

    def ask(self, body: bytes = BODY, **more: Any) -> Answer:
        return run(self.asked(body, **more))

    async def asked(self, body: bytes = BODY, **more: Any) -> Answer:
        return await ask(self.hardened, body, on_send=self.note, **more)

    def most_in(self, seconds: float) -> int:
        """The most tokens that left within any stretch of so many seconds."""
        return max(
            sum(tokens for at, tokens in self.left if began <= at < began + seconds) for began, _ in self.left
        )

    @property
    def took_s(self) -> float:
        return self.left[-1][0] - self.left[0][0]


# at_limit


@pytest.mark.parametrize("store_class", STORES)
def test_slowly_all_of_an_answer_leaves_as_its_limit_refills(store_class: Any) -> None:
    # 120 tokens a minute, 200 at once: of 400 the second half comes in about a hundred seconds.
    timed = Timed(replies(pieces()), "120, per: 1m, burst: 200", "at_limit: slow", store_class())
    answer = timed.ask()
    assert content(answer.body).split() == "".join(WORDS).split()
    assert finishes(answer.body) == ["stop"]
    assert 80 < timed.took_s < 140
    assert timed.most_in(30.0) <= 200 + 60 + 40
    inner = getattr(timed.store, "inner", timed.store)
    assert (inner.open_leases, inner.late_settlements, inner.expired_leases) == (0, 0, 0)
    (receipt,) = timed.hardened.receipts
    assert (receipt.outcome, receipt.tokens.completion) == ("complete", 401)


@pytest.mark.parametrize("store_class", STORES)
def test_what_a_slow_answer_used_is_spent_once_and_to_the_token(store_class: Any) -> None:
    timed = Timed(replies(pieces()), "120, per: 1m, burst: 200", "at_limit: slow", store_class())

    async def spent() -> dict[str, float]:
        await timed.asked()
        inner = getattr(timed.store, "inner", timed.store)
        buckets = inner._scopes["account:acct_7"].buckets
        assert [bucket.held for bucket in buckets.values()] == [0, 0, 0]
        now = timed.hardened.service.now()
        # Of a million in ten years nothing to speak of comes back meanwhile.
        return {
            key.split("/")[0]: (b.spent.until - now) * 1e6 / (3660 * 86_400) for key, b in buckets.items()
        }

    used = run(spent())
    (receipt,) = timed.hardened.receipts
    assert used["total"] == pytest.approx(receipt.tokens.prompt + receipt.tokens.completion, abs=0.5)
    assert used["calls"] == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("terms", ["local", "allow"])
def test_a_slow_answer_whose_store_goes_away_goes_on_and_is_charged_afterwards(terms: str) -> None:
    """Catches a part of an answer that is settled nowhere, or twice, because its leases follow one another."""
    store = BrokenStore()
    settings = f"at_limit: slow}}\non_failure: {{store: {terms}"
    timed = Timed(replies(pieces()), "120, per: 1m, burst: 200", settings, store)

    async def act() -> Answer:
        asking = asyncio.ensure_future(timed.asked())
        await asyncio.sleep(20)
        store.broken = ("admit", "extend", "settle")
        answer = await asking
        store.broken = ()
        await asyncio.sleep(60)
        return answer

    assert content(run(act()).body).strip() == "".join(WORDS).strip()
    (receipt,) = timed.hardened.receipts
    assert timed.hardened.service is not None
    limit = timed.hardened.service.in_force.policy.limits["total"]
    charge = Charge(limit, "account:acct_7", 0.0)
    state = store.inner.admit(Account("acct_7"), (charge,), 0.0).limits[0]
    spent = limit.burst - state.remaining
    if terms == "local":
        assert spent == pytest.approx(receipt.tokens.settled, abs=1)
        assert timed.took_s > 60.0
    else:
        assert spent <= receipt.tokens.settled
    assert store.inner.open_leases == 1  # the one of this look


def test_slowly_a_limit_that_gives_nothing_for_long_cuts_the_answer() -> None:
    timed = Timed(replies(pieces()), "100, per: 1d", "at_limit: slow")
    answer = timed.ask()
    assert answer.ended
    assert finishes(answer.body) == ["length"]
    assert [receipt.outcome for receipt in timed.hardened.receipts] == ["cut"]
    assert timed.store.open_leases == 0


def test_a_slow_answer_shows_that_it_lives() -> None:
    timed = Timed(replies(pieces()), "30, per: 1m, burst: 100", "at_limit: slow")
    answer = timed.ask()
    times = [at for at, _ in timed.left]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) <= 10.0 + 1e-6
    assert len(times) > len(pieces())  # beats
    assert content(answer.body).split() == "".join(WORDS).split()


@pytest.mark.parametrize("store_class", STORES)
def test_who_leaves_while_his_answer_waits_leaves_nothing_behind(store_class: Any) -> None:
    store = store_class()
    timed = Timed(waits_for_disconnect(pieces()), "60, per: 1m, burst: 100", "at_limit: slow", store)
    timed.ask(disconnect_after=70)
    inner = getattr(store, "inner", store)
    assert (inner.open_leases, inner.late_settlements) == (0, 0)
    assert [receipt.outcome for receipt in timed.hardened.receipts] == ["disconnected"]


def test_an_answer_is_finished_in_debt_and_the_debt_is_paid_by_waiting() -> None:
    timed = Timed(replies(pieces()), "60, per: 1m, burst: 120, max_debt: 1k", "at_limit: finish")

    async def twice() -> tuple[Answer, Answer]:
        return await timed.asked(), await timed.asked()

    first, second = run(twice())
    assert content(first.body).split() == "".join(WORDS).split()
    assert second.status == 429
    assert int(second.headers["retry-after"]) > 200
    assert settled_once(timed.store)


def test_an_answer_that_would_owe_more_than_it_may_is_cut() -> None:
    timed = Timed(replies(pieces()), "60, per: 1m, burst: 120, max_debt: 60", "at_limit: finish")
    answer = timed.ask()
    assert finishes(answer.body) == ["length"]
    assert len(content(answer.body)) // 4 <= 120 + 60 + 40
    assert [receipt.outcome for receipt in timed.hardened.receipts] == ["cut"]


# The request's own bound


def bounds(asked: dict[str, object], tokens: str, settings: str = "at_limit: cut") -> object:
    seen: list[tuple[Scope, bytes]] = []
    app = replies([b'{"choices":[]}'], kind=b"application/json", seen=seen)
    Timed(app, tokens, settings).ask(json.dumps(ASKED | asked).encode())
    asks = json.loads(seen[0][1])
    return asks.get("max_tokens", asks.get("max_completion_tokens"))


@pytest.mark.parametrize(
    ("asked", "tokens", "settings", "bound"),
    [
        ({"max_tokens": 9000}, "2k, per: 1m", "at_limit: cut", 1950),
        ({"max_tokens": 9000}, "2k, per: 1m, max_debt: 1k", "at_limit: finish", 2950),
        ({"max_tokens": 9000}, "2k, per: 1m", "at_limit: slow", 9000),
        ({"max_tokens": 9000, "stream": False}, "2k, per: 1m", "at_limit: slow", 1950),
        ({"max_tokens": 9000, "n": 2}, "2k, per: 1m", "at_limit: cut", 975),
        ({"max_tokens": 100}, "2k, per: 1m", "at_limit: cut", 100),
        ({"max_tokens": 9000}, "2k, per: 1m", "max_tokens: 50", 50),
        ({"stream": False}, "2k, per: 1m", "at_limit: cut", 1950),
        ({"stream": False}, "20k, per: 1m", "at_limit: cut", 4096),
        ({"stream": False}, "60k, per: 1m", "at_limit: cut", None),
        ({"stream": False, "max_tokens": 9000}, "60k, per: 1m", "at_limit: cut", 9000),
        ({"stream": False, "max_tokens": 9000}, "2k, per: 1m, max_debt: 1k", "at_limit: finish", 2950),
        ({}, "2k, per: 1m", "at_limit: cut", None),
    ],
)
def test_the_request_asks_for_no_more_than_can_be_had(
    asked: dict[str, object], tokens: str, settings: str, bound: int | None
) -> None:
    found = bounds(asked, tokens, settings)
    assert found == (bound if bound is None else pytest.approx(bound, abs=40))


def test_a_signed_body_is_left_as_it_is() -> None:
    seen: list[tuple[Scope, bytes]] = []
    body = json.dumps(ASKED | {"max_tokens": 9000}).encode()
    timed = Timed(
        replies([b'{"choices":[]}'], kind=b"application/json", seen=seen), "2k, per: 1m", "at_limit: cut"
    )
    timed.ask(body, headers=[(b"content-digest", b"sha-256=:x:")])
    assert seen[0][1] == body


# pace


def test_a_paced_stream_begins_at_once_and_is_never_faster() -> None:
    timed = Timed(replies(pieces()), "100k, per: 1m", "pace: 20/s")
    answer = timed.ask()
    assert content(answer.body).split() == "".join(WORDS).split()
    assert answer.headers["x-hardening"] == "pace=20.0"
    assert timed.left[0][0] == timed.left[1][0]
    assert timed.most_in(1.0) <= 20 + 20 + 2
    assert timed.most_in(5.0) <= 100 + 20 + 2
    assert timed.took_s == pytest.approx(400 / 20, abs=1.5)
    assert settled_once(timed.store)


def test_what_an_app_sends_at_once_leaves_at_the_pace_too() -> None:
    timed = Timed(replies([b"".join(pieces())]), "100k, per: 1m", "pace: 20/s")
    assert content(timed.ask().body).split() == "".join(WORDS).split()
    assert timed.most_in(1.0) <= 20 + 20 + 8
    assert timed.took_s == pytest.approx(400 / 20, abs=1.5)


def test_the_app_is_kept_waiting_so_that_nothing_piles_up() -> None:
    sent: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        start = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent.append(asyncio.get_running_loop().time())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    timed = Timed(app, "100k, per: 1m", "pace: 20/s")
    timed.ask()
    assert [sum(at <= when for at in sent) for when, _ in timed.left[100:102]] == [100, 101]


@pytest.mark.parametrize("inline", [False, True])
def test_a_hidden_trace_does_not_slow_the_answer_and_stays_hidden(inline: bool) -> None:
    settings = "pace: 5/s, reasoning: {show: none}"
    between = stream(trace="", answer=f"<think>{TRACE * 3}</think>{ANSWER}", usage=False)
    timed = Timed(replies(between if inline else stream(trace=TRACE * 3)), "100k, per: 1m", settings)
    answer = timed.ask()
    assert find_leaks(answer.chunks, TRACE) == []
    assert timed.took_s < 5
    shown = Timed(replies(stream(trace=TRACE * 3)), "100k, per: 1m", "pace: 5/s")
    shown.ask()
    assert shown.took_s > 20


def test_an_answer_that_comes_whole_is_kept_as_long_as_its_stream_would_take() -> None:
    message = {"role": "assistant", "content": "".join(WORDS)}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    timed = Timed(replies([body], kind=b"application/json"), "100k, per: 1m", "pace: 20/s")
    began: list[float] = []

    async def asked() -> float:
        began.append(asyncio.get_running_loop().time())
        answer = await timed.asked(json.dumps(ASKED | {"stream": False}).encode())
        assert answer.body == body
        return asyncio.get_running_loop().time() - began[0]

    assert run(asked()) == pytest.approx(400 / 20 - 1, abs=0.5)
    assert settled_once(timed.store)


def test_a_paced_answer_shows_that_it_lives_while_one_long_piece_is_paid() -> None:
    long = [chunk({"role": "assistant", "content": "x" * 4000}), chunk({"content": "end"}), chunk({}, "stop")]
    timed = Timed(replies(long), "100k, per: 1m", "pace: 20/s")
    answer = timed.ask()
    times = [at for at, _ in timed.left]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 10.0 + 1e-6
    assert content(answer.body) == "x" * 4000 + "end"
    assert timed.took_s == pytest.approx(1000 / 20 - 1, abs=1)


def test_a_paced_stream_that_is_cancelled_leaves_nothing_behind() -> None:
    timed = Timed(replies(pieces()), "100k, per: 1m", "pace: 20/s")

    async def cancelled() -> None:
        task = asyncio.ensure_future(timed.asked())
        await asyncio.sleep(5.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert settled_once(timed.store)
    assert len(timed.hardened.receipts) == 1


@pytest.mark.parametrize("settings", ["pace: 20/s", "at_limit: slow"])
def test_who_says_that_he_left_hears_nothing_more_instead_of_all_at_once(settings: str) -> None:
    """Catches a client that closes its half of a connection, so that nobody waits for it, and reads on."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        start = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        hearing = asyncio.ensure_future(receive())
        for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await hearing

    timed = Timed(app, "60, per: 1m, burst: 100" if "slow" in settings else "100k, per: 1m", settings)
    left: list[bytes] = []

    async def half_closed() -> None:
        begun = asyncio.Event()
        inbound = [{"type": "http.request", "body": BODY, "more_body": False}]

        async def receive() -> Message:
            if inbound:
                return inbound.pop()
            await begun.wait()
            await asyncio.sleep(3.0)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            begun.set()
            left.append(message.get("body", b""))

        await timed.hardened(scope_of("/v1/chat/completions"), receive, send)

    run(half_closed())
    assert 10 < len(content(b"".join(left)).split()) < 100
    assert [receipt.outcome for receipt in timed.hardened.receipts] == [
        "cut" if "slow" in settings else "complete"
    ]
    assert timed.store.open_leases == 0


def test_in_shadow_no_stream_is_slowed() -> None:
    timed = Timed(replies(pieces()), "100k, per: 1m", "pace: 20/s")
    timed.hardened = harden(
        replies(pieces()),
        POLICY % ("100, per: 1d", "pace: 20/s, at_limit: slow") + "mode: shadow\n",
        clock=LoopClock(),
        identify=lambda scope: "acct_7",
    )
    assert timed.ask().body == b"".join(pieces())
    assert timed.took_s == 0.0


def test_a_stream_in_large_pieces_is_cut_as_well() -> None:
    """Catches the look at every eighth piece alone, where an upstream puts hundreds of frames into one."""
    frames = pieces()
    joined = [b"".join(frames[at : at + 60]) for at in range(0, len(frames), 60)]
    timed = Timed(replies(joined), "100, per: 1d", "at_limit: cut")
    answer = run(ask(timed.hardened, BODY))
    assert finishes(answer.body) == ["length"]
    assert len(content(answer.body)) // 4 < 100 + 2 * 60


@pytest.mark.parametrize("behind", [0, 2, 30], ids=["whole-frames", "cut-at-the-border", "cut-in-the-frame"])
@pytest.mark.parametrize("limit", range(1000, 1100, 9))
def test_a_stream_passes_its_limit_by_one_piece_and_no_more(limit: int, behind: int) -> None:
    """Catches pieces that leave without a question between two that are asked."""
    words = " ".join("x" * 1199 for _ in range(20))  # of 300 tokens each, six times what stands around one
    frames = stream(trace="", answer=words, usage=False)
    parts = [part for frame in frames for part in (frame[:-behind], frame[-behind:]) if part]
    timed = Timed(replies(parts), f"{limit}, per: 3660d", "at_limit: cut")
    answer = timed.ask()
    assert finishes(answer.body) == ["length"]
    (receipt,) = timed.hardened.receipts
    assert receipt.tokens.settled <= limit + 300 + 1  # a token is counted up


def test_nobody_makes_his_answers_cheaper_by_padding_his_requests() -> None:
    """Catches a ratio of bytes to tokens that was learned from whole bodies and counts answers."""
    body = {**ASKED, "user": "x" * 4000}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "glass-1", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9}}  # fmt: skip
    answers = [[json.dumps(whole).encode()]] * 14 + [pieces()]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told = answers.pop(0)
        kind = b"text/event-stream" if len(told) > 1 else b"application/json"
        await replies(told, kind=kind)(scope, receive, send)

    hardened = harden(
        app, POLICY % ("100k, per: 1d", "at_limit: cut"), clock=LoopClock(), identify=lambda scope: "a"
    )

    async def all_of_them() -> None:
        for _ in range(14):
            await ask(hardened, json.dumps({**body, "stream": False}).encode())
        await ask(hardened, BODY)

    run(all_of_them())
    assert hardened.receipts[-1].tokens.completion >= 400
