"""New accounts through the middleware: what they pay and are told, and that nobody else hears of their limits."""

from __future__ import annotations

from typing import Any

import pytest

from hardening.facts import Account
from hardening.testing import Hardened, harden
from tests.asgi.chat import BODY, PLAIN_JSON
from tests.asgi.driver import Answer, LoopClock, ask, replies, run
from tests.asgi.test_failures import STORES

POLICY = """\
version: 1
limits:
  calls: {requests: 100, per: 1h}
  first: {requests: 10, per: 1h}
  pool: {requests: 8, per: 1h}
accounts: {unproven: {limits: [pool]}}
defaults: {limits: [calls]}
risk: {new: {until: {requests: 3}, limits: [first], charge: 4x}}
"""


def asked(times: int, who: Any, store_class: Any = STORES[0]) -> tuple[Hardened, list[Answer]]:
    app = replies([PLAIN_JSON], kind=b"application/json")
    hardened = harden(app, POLICY, clock=LoopClock(), state=store_class(), identify=lambda scope: who)

    async def asking() -> list[Answer]:
        return [await ask(hardened, BODY) for _ in range(times)]

    return hardened, run(asking())


def left(answers: list[Answer]) -> list[str | None]:
    return [answer.headers.get("x-ratelimit-remaining-requests") for answer in answers]


@pytest.mark.parametrize("store_class", STORES)
def test_who_is_new_has_less_and_afterwards_hears_of_his_own_limits_only(store_class: Any) -> None:
    hardened, answers = asked(4, "acct_7", store_class)
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert left(answers) == ["6", "2", "2", "2"]
    assert [state.limit.name for state in hardened.receipts[0].limits] == ["calls", "first"]


def test_who_is_known_pays_once_and_is_told_nothing_of_the_limits_of_others() -> None:
    app = replies([PLAIN_JSON], kind=b"application/json")
    store = STORES[0]()
    hardened = harden(app, POLICY, clock=LoopClock(), state=store, identify=lambda scope: "acct_7")

    async def asking() -> list[Answer]:
        for _ in range(3):
            store.settle(store.admit(Account("acct_7"), (), 0.0).lease, (), None, 0.0)
        return [await ask(hardened, BODY) for _ in range(12)]

    answers = run(asking())
    assert {answer.status for answer in answers} == {200}
    assert left(answers) == [str(count) for count in range(99, 87, -1)]
    assert {tuple(state.limit.name for state in one.limits) for one in hardened.receipts} == {("calls",)}


def test_strangers_pay_as_newcomers_out_of_their_pool() -> None:
    _, answers = asked(3, Account("acct_7", proven=False))
    assert [answer.status for answer in answers] == [200, 200, 429]
