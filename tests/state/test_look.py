"""What is left of limits, looked at in every store: nothing is counted by it, and nothing is told of who is blocked."""

from __future__ import annotations

import pytest

from hardening.facts import Account, Charge, Limit, Standing
from tests.state.test_store import ANNE, CALLS, MINUTE, STREAMS

TEAM = Limit("team", "tokens", amount=600.0, per_s=60.0, burst=600.0, by="org")
ASKED = (
    Charge(MINUTE, ANNE.scope, 0.0),
    Charge(CALLS, ANNE.scope, 0.0),
    Charge(STREAMS, ANNE.scope, 0.0),
    Charge(TEAM, "org:all", 0.0),
)


def left(answer) -> list[float]:
    return [pytest.approx(state.remaining, abs=0.01) for state in answer.limits]


def test_a_look_tells_what_admit_would_see_and_is_no_request(make_store):
    store = make_store()
    before = store.look(ANNE, ASKED, 0.0)
    assert (before.granted, before.lease, before.standing) == (True, None, Standing())
    whole = [MINUTE.burst, CALLS.burst, STREAMS.burst, TEAM.burst]
    assert left(before) == whole
    claim = (
        Charge(MINUTE, ANNE.scope, 40.0),
        Charge(STREAMS, ANNE.scope, 1.0),
        Charge(TEAM, "org:all", 100.0),
    )
    lease = store.admit(ANNE, claim, 0.0).lease
    assert left(store.look(ANNE, ASKED, 0.0)) == [MINUTE.burst - 40, CALLS.burst, STREAMS.burst - 1, 500]
    store.settle(lease, (Charge(MINUTE, ANNE.scope, 30.0), Charge(TEAM, "org:all", 60.0)), None, 0.0)
    for _ in range(3):
        after = store.look(ANNE, ASKED, 0.0)
    assert left(after)[0] == MINUTE.burst - 30
    assert left(after)[3] == 540
    assert after.limits[0].reset_s == pytest.approx(30 * MINUTE.per_s / MINUTE.amount)
    assert (after.standing.requests, after.standing.band) == (1, None)
    assert left(store.look(ANNE, ASKED, 3000.0)) == whole


def test_a_look_leaves_no_account_behind(make_store, desk_of):
    store = make_store()
    store.look(Account("nobody"), (Charge(MINUTE, "account:nobody", 0.0),), 0.0)
    assert desk_of(store).find("nobody", 0.0) is None


def test_who_is_blocked_is_told_nothing_of_his_limits(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "watch", 0.5, 100.0, 0.0, "all")
    assert store.look(ANNE, ASKED, 0.0).standing.band == "watch"
    desk_of(store).block("anne", "scraping", 100.0, 0.0, "all")
    answer = store.look(ANNE, ASKED, 10.0)
    assert (answer.granted, answer.limits, answer.blocked_s) == (False, (), pytest.approx(90.0))
    spoofed = Account("anne", proven=False, network="net_1")
    assert store.look(spoofed, (Charge(MINUTE, spoofed.scope, 0.0),), 10.0).granted
