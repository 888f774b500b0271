"""An account that an operator has blocked: refused at once, with no reason told, whatever a rule gives it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hardening import Account, Receipt, StateError
from hardening.facts import Admission, Charge
from hardening.state import MemoryStore
from hardening.testing import harden
from tests.asgi.chat import BODY, stream
from tests.asgi.driver import LoopClock, ask, replies, run

REASON = "scraping since Tuesday"
LIMITED = "version: 1\nlimits: {minute: {tokens: 60k, per: 1m}}\ndefaults: {limits: [minute]}\n"
EXEMPT = "version: 1\nrules: [{name: own, match: {account: acct_7}, exempt: true}]\n"
NO_LIMITS = "version: 1\n"


def blocked() -> MemoryStore:
    store = MemoryStore()
    store.block("acct_7", REASON, 60.0, 1_000.0)
    return store


def answered(policy: str, store: Any, account: Account | str = "acct_7", *waits: float) -> Any:
    """The answers to one request, and to one after each of these waits; the app's calls; the receipts."""
    seen: list[Any] = []
    receipts: list[Receipt] = []

    async def main() -> Any:
        app = harden(
            replies(stream(), seen=seen),
            policy,
            identify=lambda scope: account,
            state=store,
            clock=LoopClock(),
        )
        answers = [await ask(app, BODY)]
        for wait in waits:
            await asyncio.sleep(wait)
            answers.append(await ask(app, BODY))
        receipts.extend(app.receipts)
        return answers

    return run(main()), seen, receipts


@pytest.mark.parametrize("policy", [LIMITED, EXEMPT, NO_LIMITS], ids=["limited", "exempt", "no limits"])
def test_a_blocked_account_gets_a_403_and_the_app_hears_nothing(policy: str) -> None:
    (answer,), seen, (receipt,) = answered(policy, blocked())
    assert (answer.status, seen) == (403, [])
    assert b"this account is blocked" in answer.body
    assert REASON not in repr(answer.messages)
    assert "retry-after" not in answer.headers
    assert (receipt.status, receipt.outcome, receipt.reasons) == (403, "refused", ("blocked",))
    assert receipt.decision.refusal is not None
    assert receipt.tokens.settled == 0
    assert REASON not in repr(receipt)


def test_the_block_ends_by_itself() -> None:
    (first, second), seen, _ = answered(LIMITED, blocked(), "acct_7", 61.0)
    assert (first.status, second.status, len(seen)) == (403, 200, 1)


def test_in_shadow_a_block_is_only_reported() -> None:
    (answer,), seen, (receipt,) = answered("mode: shadow\n" + LIMITED, blocked())
    assert (answer.status, len(seen)) == (200, 1)
    assert receipt.reasons == ("blocked",)
    assert receipt.would is not None
    assert receipt.would.refusal is not None
    assert receipt.would.refusal.status == 403


def test_a_stranger_who_names_a_blocked_account_is_charged_to_his_network() -> None:
    stranger = Account("acct_7", proven=False)
    (answer,), _, (receipt,) = answered(LIMITED, blocked(), stranger)
    assert (answer.status, receipt.reasons) == (200, ())


class AwayLater:
    """A store that answers once, and is gone from then on."""

    def __init__(self) -> None:
        self.inner = blocked()
        self.asked = 0

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        self.asked += 1
        if self.asked > 1:
            raise StateError("gone")
        return self.inner.admit(account, charges, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_who_was_seen_blocked_stays_so_while_the_store_is_away() -> None:
    """Catches an outage that lets everybody in who was kept out; the block still ends when it was to."""
    (first, second, third), seen, _ = answered(LIMITED, AwayLater(), "acct_7", 30.0, 31.0)
    assert [first.status, second.status, third.status] == [403, 403, 200]
    assert len(seen) == 1
