"""What operators ask of every store: who is known, what he has spent, to give it back, and to keep him out."""

from __future__ import annotations

import math

import pytest

from hardening.facts import EVERYBODY, Account, Charge, Limit
from hardening.state.buckets import state_of
from tests.state.test_store import ANNE, CALLS, MINUTE, STREAMS

WINDOW = Limit("window", "tokens", amount=100.0, per_s=60.0, burst=100.0, window="sliding")
PER_KEY = Limit("per_key", "tokens", amount=60.0, per_s=60.0, burst=100.0, by="key")
KEY_SCOPE = "key:anne\nkey_1"


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, KEY_SCOPE if limit.by == "key" else account.scope, amount)


def use(store, *charges: Charge, now: float = 0.0, account: Account = ANNE) -> None:
    store.settle(store.admit(account, charges, now).lease, charges, None, now)


def left(store, limit: Limit, now: float, account: Account = ANNE) -> float:
    answer = store.admit(account, (of(limit, 0.0, account),), now)
    store.settle(answer.lease, (), None, now)
    return answer.limits[0].remaining


def test_a_blocked_account_is_refused_whatever_it_asks_until_the_block_ends(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    use(store, of(CALLS, 1.0))
    state = desk.block("anne", "scraping", 100.0, 10.0, "all")
    assert state.block == ("scraping", pytest.approx(100.0))
    for charges in ((of(CALLS, 1.0),), ()):
        answer = store.admit(ANNE, charges, 20.0)
        assert (answer.granted, answer.lease, answer.refused_by) == (False, None, None)
        assert answer.blocked_s == pytest.approx(90.0)
    assert answer.standing.requests == 1
    assert store.admit(ANNE, (of(CALLS, 1.0),), 110.0).granted
    assert desk.find("anne", 110.0).block is None


def test_limits_of_all_callers_are_those_of_nobody(make_store, desk_of):
    store = make_store()
    everybody = Charge(MINUTE, EVERYBODY.scope, 30.0)
    assert desk_of(store).shared(0.0).limits == ()
    use(store, of(CALLS, 1.0), everybody)
    store.admit(ANNE, (everybody,), 0.0)
    (kept,) = desk_of(store).shared(10.0).limits
    assert (kept.scope, kept.key, kept.held, kept.leases) == (EVERYBODY.scope, MINUTE.key, 30.0, 1)
    assert state_of(MINUTE, kept.spent, kept.held, 10.0).remaining == pytest.approx(MINUTE.burst - 50)
    assert EVERYBODY.scope not in {one.scope for one in desk_of(store).find("anne", 10.0).limits}


def test_a_block_of_one_who_never_asked_acts_on_his_first_request_and_is_lifted(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    desk.block("anne", "known elsewhere", math.inf, 0.0, "all")
    assert store.admit(ANNE, (of(CALLS, 1.0),), 1e9).blocked_s == math.inf
    assert desk.find("anne", 1e9).block == ("known elsewhere", math.inf)
    assert desk.unblock("anne", 1e9).block is None
    assert store.admit(ANNE, (of(CALLS, 1.0),), 1e9).granted


def test_a_second_block_stands_in_the_place_of_the_first(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    desk.block("anne", "once", 1000.0, 0.0, "all")
    assert desk.block("anne", "twice", 5.0, 0.0, "all").block == ("twice", pytest.approx(5.0))
    assert store.admit(ANNE, (), 6.0).granted


def test_nobody_else_is_blocked_with_an_account(make_store, desk_of):
    """A made-up id of a blocked account is charged to its network, as ever."""
    store = make_store()
    desk_of(store).block("anne", "scraping", 100.0, 0.0, "all")
    spoofed = Account("anne", proven=False, network="net_1")
    assert store.admit(spoofed, (of(CALLS, 1.0, spoofed),), 1.0).granted
    assert store.admit(Account("anne2"), (of(CALLS, 1.0, Account("anne2")),), 1.0).granted


def test_a_running_answer_of_a_blocked_account_is_settled_as_ever(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    lease = store.admit(ANNE, (of(MINUTE, 50.0),), 0.0).lease
    desk.block("anne", "scraping", 100.0, 0.0, "all")
    assert store.extend(lease, (of(MINUTE, 10.0),), 1.0).granted
    store.settle(lease, (of(MINUTE, 60.0),), None, 1.0)
    desk.unblock("anne", 1.0)
    assert left(store, MINUTE, 1.0) == pytest.approx(40.0)


def test_an_account_is_shown_with_what_it_has_spent_and_holds(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    use(store, of(MINUTE, 30.0), of(PER_KEY, 20.0))
    store.admit(ANNE, (of(MINUTE, 15.0), of(STREAMS, 1.0)), 10.0)
    state = desk.find("anne", 12.0)
    assert (state.id, state.requests, state.age_s) == ("anne", 2, pytest.approx(12.0))
    kept = {(one.scope, one.key): one for one in state.limits}
    minute = kept[ANNE.scope, MINUTE.key]
    assert (minute.held, minute.leases) == (15.0, 1)
    assert state_of(MINUTE, minute.spent, minute.held, state.now).remaining == pytest.approx(67.0)
    assert kept[KEY_SCOPE, PER_KEY.key].leases == 0
    assert kept[ANNE.scope, STREAMS.key].held == 1.0
    assert len(kept) == 3


def test_one_who_is_unknown_is_not_made_up(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    use(store, of(MINUTE, 30.0))
    for act in (desk.find, desk.reset, desk.unblock):
        assert act("ann", 0.0) is None
    assert desk.grant("ann", [MINUTE], 5.0, 0.0) is None
    assert [state.id for state in desk.page("", 10, 0.0)] == ["anne"]


def test_a_reset_gives_back_what_was_spent_and_keeps_what_is_reserved(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    use(store, of(MINUTE, 40.0), of(WINDOW, 100.0), of(PER_KEY, 100.0))
    lease = store.admit(ANNE, (of(MINUTE, 25.0),), 0.0).lease
    assert [(one.key, one.held) for one in desk.reset("anne", 0.0).limits] == [(MINUTE.key, 25.0)]
    assert left(store, MINUTE, 0.0) == 75.0
    assert left(store, WINDOW, 0.0) == 100.0
    assert left(store, PER_KEY, 0.0) == 100.0
    store.settle(lease, (of(MINUTE, 10.0),), None, 0.0)
    assert left(store, MINUTE, 0.0) == 90.0


def test_what_one_is_given_back_is_not_given_to_one_whose_id_begins_alike(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    other = Account("anne2")
    theirs = Charge(PER_KEY, "key:anne2\nkey_1", 50.0)
    use(store, of(MINUTE, 40.0), of(PER_KEY, 40.0))
    use(store, of(MINUTE, 50.0, other), theirs, account=other)
    desk.reset("anne", 0.0)
    assert [one.scope for one in desk.find("anne2", 0.0).limits] == [other.scope, theirs.scope_key]
    assert desk.find("anne", 0.0).limits == ()


@pytest.mark.parametrize("limit", [MINUTE, WINDOW, PER_KEY], ids=lambda limit: limit.name)
@pytest.mark.parametrize("now", [0.0, 30.0, 75.0])
def test_a_grant_gives_back_its_units_and_never_more_than_was_spent(make_store, desk_of, limit, now):
    store = make_store()
    desk = desk_of(store)
    use(store, of(limit, 100.0))
    use(store, of(CALLS, 3.0))
    before = left(store, limit, now)
    desk.grant("anne", [limit], 10.0, now)
    assert left(store, limit, now) == pytest.approx(min(100.0, before + 10.0))
    desk.grant("anne", [limit], 1e6, now)
    assert left(store, limit, now) == 100.0
    assert left(store, CALLS, 0.0) == pytest.approx(min(3.0, now / 20.0))


def test_a_grant_of_a_sliding_window_lasts_into_the_next_one(make_store, desk_of):
    store = make_store()
    use(store, of(WINDOW, 60.0), now=50.0)
    use(store, of(WINDOW, 30.0), now=70.0)
    desk_of(store).grant(
        "anne", [WINDOW], 40.0, 70.0
    )  # 30 of this window, 10 of the 50 that are left of the last
    assert left(store, WINDOW, 70.0) == pytest.approx(60.0)
    assert left(store, WINDOW, 100.0) == pytest.approx(100.0 - 48.0 * 20.0 / 60.0)
    assert left(store, WINDOW, 120.0) == 100.0


def test_accounts_are_listed_in_pages_with_those_that_are_only_blocked(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    for number in range(7):
        account = Account(f"acct_{number}")
        use(store, of(CALLS, 1.0, account), account=account)
    store.admit(Account("stranger", proven=False, network="net"), (), 0.0)
    desk.block("acct_31", "known elsewhere", 100.0, 0.0, "all")
    found, after = [], ""
    while page := desk.page(after, 3, 0.0):
        assert len(page) <= 3
        found += page
        after = page[-1].id
    assert [state.id for state in found] == [
        *(f"acct_{number}" for number in (0, 1, 2, 3, 31, 4, 5, 6)),
    ]
    assert [state.id for state in found if state.block] == ["acct_31"]
    assert {state.requests for state in found} == {0, 1}


def test_characters_of_a_pattern_in_an_id_are_only_characters(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    for id in ("a*", "ab", "a[b]", "a?", "a\\b", "a:b", "a}:b{", "\u00e9"):
        use(store, of(CALLS, 1.0, Account(id)), account=Account(id))
    for id in ("a*", "a[b]", "a?", "a\\b", "a:b", "a}:b{", "\u00e9"):
        assert desk.find(id, 0.0).requests == 1, id
        desk.block(id, "odd", 10.0, 0.0, "all")
        assert store.admit(Account(id), (), 1.0).blocked_s is not None, id
    assert store.admit(Account("ab"), (), 1.0).granted
    assert len(desk.page("", 100, 1.0)) == 8
