"""Answers that come whole: what they may use is held before, so that all of them together stay within a limit."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.facts import Account, Admission, Charge, Lease, Standing
from hardening.state import MemoryStore, SqliteStore
from hardening.state.redis import RedisStore
from hardening.testing import harden
from tests.asgi.driver import Answer, LoopClock, ask, run
from tests.state.proxy import Proxy

POLICY = """\
version: 1
limits: {hour: {tokens: %s, per: 1h, max_debt: 1k}, all: {completion: 1G, per: 1h}}
defaults: {limits: [hour, all], at_limit: %s}
risk: {bands: {harden: {enter: 0.8, leave: 0.7, charge: 25x}}}
"""
ASKED = {"model": "glass-1", "messages": [{"role": "user", "content": "Tell me all."}]}
PROMPT = 10
"""Fewer than are estimated, so that only answers could pass a limit."""
LONGEST = 20_000
"""Tokens that the model answers where nothing bounds it."""


class Model:
    """Answers with as many tokens as it is allowed, after a while; `used` are all that it made."""

    def __init__(self, takes_s: float = 5.0) -> None:
        self.takes_s = takes_s
        self.used = 0
        self.bounds: list[int | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = await receive()
        asked = json.loads(message["body"])
        bound = asked.get("max_tokens", asked.get("max_completion_tokens"))
        self.bounds.append(bound)
        await asyncio.sleep(self.takes_s)
        tokens = min(bound or LONGEST, LONGEST) * asked.get("n", 1)
        self.used += tokens + PROMPT
        usage = {"prompt_tokens": PROMPT, "completion_tokens": tokens, "total_tokens": tokens + PROMPT}
        choice = {"index": 0, "message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode(), "more_body": False})


def at_once(
    model: Model, tokens: str, count: int, store: Any, *, at_limit: str = "cut", **asked: object
) -> list[Answer]:
    """The answers to so many requests of one account that come at the same moment."""
    app = harden(
        model, POLICY % (tokens, at_limit), clock=LoopClock(), state=store, identify=lambda scope: "acct_7"
    )
    body = json.dumps(ASKED | asked).encode()

    async def asking() -> list[Answer]:
        return await asyncio.gather(*(ask(app, body) for _ in range(count)))

    return run(asking())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    "asked", [{}, {"max_tokens": 900}, {"max_tokens": 9000}, {"max_tokens": 3000, "n": 2}]
)
def test_answers_that_come_at_the_same_time_never_pass_the_limit(
    asked: dict[str, object], kind: str, tmp_path: Path
) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(str(tmp_path / "state.db"))
    model = Model()
    if isinstance(store, SqliteStore):
        store.open()
    answers = at_once(model, "10k", 30, store, **asked)
    assert {answer.status for answer in answers} == {200, 429}
    assert 8_900 <= model.used <= 10_000
    assert None not in model.bounds


def test_an_answer_far_from_the_limit_gets_no_bound_that_nobody_named() -> None:
    model = Model()
    at_once(model, "100k", 1, MemoryStore())
    assert model.bounds == [None]


def test_near_the_limit_a_whole_answer_gets_what_is_left_if_that_is_as_much_as_usual() -> None:
    model = Model()
    answers = at_once(model, "10k", 4, MemoryStore(), max_tokens=4000)
    assert sorted(bound or 0 for bound in model.bounds) == [pytest.approx(1_940, abs=40), 4000, 4000]
    assert [answer.status for answer in answers].count(429) == 1


class Hardened(MemoryStore):
    """A store to which everybody stands in the band `harden`."""

    def _standing(self, scope: Any) -> Standing:
        return super()._standing(scope)._replace(risk=0.9, band="harden")


def test_a_band_makes_answers_dear_and_not_impossible() -> None:
    """A whole limit has room for 400 tokens of this band: as usual 1,024 would be reserved, which never fit."""
    model = Model()
    answers = at_once(model, "10k", 3, Hardened())
    assert [answer.status for answer in answers].count(200) == 1
    assert model.bounds[0] is not None
    assert 25 * model.used <= 10_000


def test_what_a_finished_answer_may_owe_is_held_too() -> None:
    model = Model()
    at_once(model, "10k", 4, MemoryStore(), at_limit="finish", max_tokens=4000)
    assert sorted(bound or 0 for bound in model.bounds)[-3:] == [pytest.approx(2_940, abs=40), 4000, 4000]


class Shared(MemoryStore):
    """A store that others use: before each call they use so many tokens, and it comes a second later."""

    def __init__(self, *taken: float) -> None:
        super().__init__()
        self.acts: list[str] = []
        self._taken = list(taken)

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        self.acts.append("admit")
        if self._taken:
            others = super().admit(account, (charges[0]._replace(amount=self._taken.pop(0)),), now)
            assert others.lease is not None
            self.settle(others.lease, (), None, now)
        return super().admit(account, charges, now + len(self.acts))

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        self.acts.append("extend")
        return super().extend(lease, charges, now + len(self.acts))


@pytest.mark.parametrize(
    ("taken", "calls", "bound"),
    [((), 1, None), ((3_000.0,), 2, 6_970), ((3_000.0, 2_000.0), 3, 4_970), ((3_000.0, 5_500.0), 3, 1_470)],
    ids=["enough", "less", "less, and others were faster", "hardly as much as usual"],
)
def test_what_is_left_is_asked_for_as_often_as_others_are_faster(
    taken: tuple[float, ...], calls: int, bound: int | None
) -> None:
    """Catches a call for what came back since the last one, too."""
    model, store = Model(), Shared(*taken)
    at_once(model, "10k", 1, store, max_tokens=9_000)
    assert store.acts == ["admit"] * calls
    assert model.bounds == [pytest.approx(bound or 9_000, abs=40)]


class Unextending(MemoryStore):
    """A store that fails when more is asked for."""

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        raise ConnectionError


def test_where_the_store_fails_in_between_the_answer_has_what_is_reserved_and_nothing_stays_open() -> None:
    model, store = Model(), Unextending()
    at_once(model, "10k", 4, store, at_limit="finish", max_tokens=4000)
    assert sorted(bound or 0 for bound in model.bounds) == [pytest.approx(1_940, abs=40), 4000, 4000]
    assert store.open_leases == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the package of the server is not built there")
def test_a_whole_answer_costs_one_round_trip_before_the_app_and_near_a_limit_two() -> None:
    """Counted on the wire, up to the call of the app and after it."""
    from tests.state.servers import PATIENT_S, served

    trips: list[tuple[int, int, int]] = []

    async def asking(port: int) -> None:
        async with Proxy(port) as proxy:
            before: list[int] = []

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                before.append(proxy.trips)
                await Model(0.0)(scope, receive, send)

            url = f"redis://127.0.0.1:{proxy.port}?prefix=whole"
            store = RedisStore(url, deadline_s=PATIENT_S)
            hardened = harden(app, POLICY % ("10k", "cut"), state=store, identify=lambda scope: "acct_7")
            await store.admit(Account("acct_8"), (), 0.0)  # the script is there
            for bound in (900, 900, 9000):
                begun = proxy.trips
                answer = await ask(hardened, json.dumps(ASKED | {"max_tokens": bound}).encode())
                trips.append((answer.status, before[-1] - begun, proxy.trips - before[-1]))
            await store.close()

    with served() as server:
        asyncio.run(asking(server.port))
    assert trips == [(200, 1, 1), (200, 1, 1), (200, 2, 1)]
