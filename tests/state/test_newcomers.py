"""Who is new, in every store: what he pays, which limits are his alone, and from when on they are not."""

from __future__ import annotations

import pytest

from hardening.facts import Account, Charge, Limit, NewPrice, Prior
from tests.state.test_store import ANNE

PRIOR = Prior(requests=3, age_s=100.0)
DAY = Limit("day", "tokens", amount=1e4, per_s=864_000_000.0, burst=1e4)
FIRST = Limit("first", "tokens", amount=100.0, per_s=864_000_000.0, burst=100.0)
BANDS = {"watch": 2.0, "harden": 25.0}
DEARER = NewPrice(PRIOR, {"": 4.0, "watch": 6.0, "harden": 25.0}, alone=False)
ALONE = NewPrice(PRIOR, {"": 1.0, "watch": 2.0, "harden": 25.0}, alone=True)


def claim(amount: float, account: Account = ANNE) -> tuple[Charge, ...]:
    return (
        Charge(DAY, account.scope, amount, BANDS, DEARER),
        Charge(FIRST, account.scope, amount, BANDS, ALONE),
    )


def left(answer) -> list[float]:
    return [pytest.approx(state.remaining, abs=0.01) for state in answer.limits]


def seen(store, times: int, now: float) -> None:
    for _ in range(times):
        store.settle(store.admit(ANNE, (), now).lease, (), None, now)


def test_who_is_new_pays_his_price_on_every_act_and_has_his_own_limit(make_store):
    store = make_store()
    answer = store.admit(ANNE, claim(10.0), 0.0)
    assert left(answer) == [10_000 - 40, 90]
    longer = store.extend(answer.lease, claim(10.0), 0.0)
    assert left(longer) == [10_000 - 80, 80]
    store.settle(longer.lease, claim(5.0), None, 0.0)
    assert left(store.admit(ANNE, claim(0.0), 0.0)) == [10_000 - 20, 95]
    refused = store.admit(ANNE, claim(96.0), 0.0)
    assert (refused.granted, refused.refused_by) == (False, "first")


@pytest.mark.parametrize(
    ("requests", "age_s", "is_new"), [(2, 500.0, True), (3, 99.0, True), (3, 100.0, False)]
)
def test_an_account_is_new_until_both_are_passed(make_store, requests, age_s, is_new):
    store = make_store()
    seen(store, requests, 0.0)
    answer = store.admit(ANNE, claim(10.0), age_s)
    assert left(answer) == ([10_000 - 40, 90] if is_new else [10_000 - 10, 100])
    store.settle(answer.lease, claim(20.0), None, age_s)
    after = store.admit(ANNE, (Charge(DAY, ANNE.scope, 0.0),), age_s)
    assert left(after) == [10_000 - (80 if is_new else 20)]


def test_nobody_grows_older_by_what_he_was_refused(make_store):
    store = make_store()
    assert not store.admit(ANNE, claim(1000.0), 0.0).granted
    assert store.admit(ANNE, (), 500.0).standing[2:4] == (0, 0.0)
    assert store.admit(ANNE, (), 510.0).standing[2:4] == (1, 10.0)


def test_a_limit_of_newcomers_holds_nobody_up_who_has_left_it_full(make_store):
    store = make_store()
    spent = store.admit(ANNE, claim(90.0), 0.0)
    store.settle(spent.lease, claim(300.0), None, 0.0)
    seen(store, 2, 0.0)
    assert store.admit(ANNE, claim(10.0), 99.0).refused_by == "first"
    answer = store.admit(ANNE, claim(10.0), 100.0)
    assert answer.granted
    assert left(answer)[0] == 10_000 - 1200 - 10
    assert store.extend(answer.lease, claim(500.0), 100.0).granted


def test_a_band_counts_for_who_is_new_and_for_who_is_not(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "watch", 0.5, 1000.0, 0.0, "all")
    assert left(store.admit(ANNE, claim(10.0), 0.0)) == [10_000 - 60, 80]
    seen(store, 2, 0.0)
    assert left(store.admit(ANNE, claim(10.0), 100.0))[0] == 10_000 - 60 - 20


def test_a_band_of_another_policy_costs_nothing_more_and_nothing_less(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "gone", 0.5, 1000.0, 0.0, "all")
    first = store.admit(ANNE, claim(10.0), 0.0)
    assert left(first) == [10_000 - 40, 90]
    store.settle(first.lease, claim(0.0), None, 0.0)
    seen(store, 2, 0.0)
    assert left(store.admit(ANNE, claim(10.0), 100.0)) == [10_000 - 10, 100]


def test_who_is_not_proven_is_new_each_time(make_store):
    store = make_store()
    stranger = Account("anne", proven=False, network="net_1")
    for _ in range(4):
        answer = store.admit(stranger, claim(10.0, stranger), 200.0)
        assert answer.limits[1].remaining < 100
        store.settle(answer.lease, claim(0.0, stranger), None, 200.0)
