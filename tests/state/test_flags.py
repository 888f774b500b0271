"""Bands that operators put accounts into, in every store: what is reserved then is priced by the band, and only that."""

from __future__ import annotations

import math

import pytest

from hardening.facts import Account, Charge, Limit, Standing
from tests.state.test_store import ANNE, CALLS, MINUTE

FACTORS = {"watch": 2.0, "harden": 25.0}
BOB = Account("bob")
DAY = Limit("day", "tokens", amount=1e4, per_s=864_000_000.0, burst=1e4)


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, account.scope, amount, FACTORS)


def left(store, limit: Limit = DAY, now: float = 0.0, account: Account = ANNE) -> float:
    answer = store.admit(account, (of(limit, 0.0, account),), now)
    store.settle(answer.lease, (), None, now)
    return pytest.approx(answer.limits[0].remaining, abs=0.01)


def test_a_flagged_account_pays_the_price_of_its_band_on_every_act_and_others_do_not(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "harden", 0.9, 1000.0, 0.0, "all")
    answer = store.admit(ANNE, (of(DAY, 10.0),), 0.0)
    assert answer.limits[0].remaining == pytest.approx(10_000 - 250, abs=0.01)
    longer = store.extend(answer.lease, (of(DAY, 20.0),), 0.0)
    assert longer.limits[0].remaining == pytest.approx(10_000 - 750, abs=0.01)
    store.settle(longer.lease, (of(DAY, 4.0),), None, 0.0)
    assert left(store) == 10_000 - 100
    store.settle(store.admit(BOB, (of(DAY, 10.0, BOB),), 0.0).lease, (), None, 0.0)
    assert left(store, account=BOB) == 10_000 - 10


def test_what_a_band_multiplies_can_be_refused_and_the_wait_is_that_of_its_price(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "watch", 0.5, 1000.0, 0.0, "all")
    assert store.admit(ANNE, (of(MINUTE, 50.0), of(CALLS, 1.0)), 0.0).granted
    answer = store.admit(ANNE, (of(MINUTE, 20.0),), 0.0)
    assert (answer.granted, answer.refused_by) == (False, "minute")
    assert answer.retry_after_s == pytest.approx(40.0)


def test_charges_on_one_limit_are_priced_each_by_its_own_factor(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "harden", 0.9, 1000.0, 0.0, "all")
    plain = of(DAY, 100.0)._replace(by_band={"watch": 9.0})
    lease = store.admit(ANNE, (of(DAY, 2.0), plain, of(CALLS, 0.0)), 0.0).lease
    assert left(store) == 10_000 - 150
    store.settle(lease, (), None, 0.0)
    assert left(store) == 10_000 - 150


def test_a_lease_is_settled_by_the_band_that_it_was_priced_by(make_store, desk_of):
    store, later = make_store(), 5.0
    desk = desk_of(store)
    clean = store.admit(ANNE, (of(DAY, 10.0),), 0.0).lease
    desk.flag("anne", "harden", 0.9, 1000.0, 0.0, "all")
    flagged = store.admit(ANNE, (of(DAY, 10.0),), 0.0).lease
    store.settle(clean, (of(DAY, 10.0),), None, 0.0)
    desk.unflag("anne", later)
    store.settle(flagged, (of(DAY, 10.0),), None, later)
    assert left(store, now=later) == 10_000 - 10 - 250


def test_a_flag_is_told_ends_by_itself_and_a_second_stands_in_its_place(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    desk.flag("anne", "harden", 0.9, math.inf, 0.0, "all")
    desk.flag("anne", "watch", 0.5, 100.0, 0.0, "all", "mass sign-up")
    assert store.admit(ANNE, (of(DAY, 10.0),), 50.0).standing == Standing(0.5, "watch", 0, 0.0)
    assert desk.find("anne", 50.0).flag == ("watch", 0.5, 50.0, "mass sign-up")
    assert store.admit(ANNE, (), 100.0).standing == Standing(0.0, None, 1, 50.0)
    assert desk.find("anne", 100.0).flag is None
    desk.flag("anne", "harden", 0.9, math.inf, 100.0, "all")
    assert desk.unflag("anne", 110.0).flag is None
    assert store.admit(ANNE, (), 110.0).standing.band is None


def test_a_flag_needs_no_request_before_it_and_is_no_request(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    assert desk.unflag("anne", 0.0) is None
    desk.flag("anne", "harden", 0.9, math.inf, 0.0, "all")
    desk.flag("bob", "watch", 0.5, math.inf, 0.0, "all")
    assert [(one.id, one.flag.band, one.requests) for one in desk.page("", 10, 0.0)] == [
        ("anne", "harden", 0),
        ("bob", "watch", 0),
    ]
    assert store.admit(ANNE, (of(DAY, 1.0),), 0.0).standing == Standing(0.9, "harden", 0, 0.0)


def test_a_block_and_a_flag_are_apart(make_store, desk_of):
    store = make_store()
    desk = desk_of(store)
    desk.flag("anne", "harden", 0.9, 1000.0, 0.0, "all")
    desk.block("anne", "scraping", 100.0, 0.0, "all")
    refused = store.admit(ANNE, (of(DAY, 1.0),), 10.0)
    assert (refused.granted, refused.blocked_s) == (False, pytest.approx(90.0))
    found = desk.unblock("anne", 10.0)
    assert (found.block, found.flag.band) == (None, "harden")
    desk.block("anne", "again", 100.0, 10.0, "all")
    assert desk.unflag("anne", 10.0).block.reason == "again"
    assert store.admit(ANNE, (of(DAY, 1.0),), 10.0).blocked_s == pytest.approx(100.0)


def test_nobody_is_flagged_by_the_name_that_he_gives_himself(make_store, desk_of):
    """Who is not proven has no standing; nor has another one whose id begins alike."""
    store = make_store()
    desk_of(store).flag("anne", "harden", 0.9, math.inf, 0.0, "all")
    spoofed = Account("anne", proven=False, network="net_1")
    for account in (spoofed, Account("ann"), Account("anne2")):
        answer = store.admit(account, (of(DAY, 10.0, account),), 0.0)
        assert answer.standing.band is None
        assert answer.limits[0].remaining == pytest.approx(10_000 - 10, abs=0.01)


def test_what_no_store_can_write_is_bounded_in_a_band_too(make_store, desk_of):
    store = make_store()
    desk_of(store).flag("anne", "harden", 0.9, math.inf, 0.0, "all")
    odd = of(DAY, 1e300)._replace(by_band={"harden": 1e300})
    assert store.admit(ANNE, (odd,), 0.0).refused_by == "day"
    assert store.admit(ANNE, (of(DAY, 5.0)._replace(by_band={"harden": float("nan")}),), 0.0).granted
