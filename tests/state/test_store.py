"""What every store keeps: all or none, settled once, nobody pays for another, nothing lost or doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hardening.facts import Account, Charge, Lease, Limit
from hardening.state import MemoryStore

MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=100.0)
MONTH = Limit("month", "tokens", amount=1000.0, per_s=2_592_000.0, burst=1000.0)
CALLS = Limit("calls", "requests", amount=3.0, per_s=60.0, burst=3.0)
STREAMS = Limit("open", "streams", amount=1.0, per_s=1.0, burst=1.0)
TRIAL = Limit("trial", "requests", amount=2.0, per_s=60.0, burst=2.0)

ANNE = Account("anne")


def of(limit: Limit, amount: float, scope: str = "anne") -> Charge:
    return Charge(limit, scope, amount)


def left(store: MemoryStore, limit: Limit, now: float, scope: str = "anne") -> float:
    return store.admit(Account("looker", proven=False), (of(limit, 0.0, scope),), now).limits[0].remaining


def test_a_reservation_is_granted_and_shown(make_store):
    answer = make_store().admit(ANNE, (of(MINUTE, 30.0), of(CALLS, 1.0)), 0.0)
    assert answer.granted
    assert [(state.limit.name, state.remaining) for state in answer.limits] == [
        ("minute", 70.0),
        ("calls", 2.0),
    ]
    assert answer.lease is not None
    assert answer.lease.charges == (of(MINUTE, 30.0), of(CALLS, 1.0))


def test_all_charges_are_reserved_or_none(make_store):
    store = make_store()
    answer = store.admit(ANNE, (of(MINUTE, 60.0), of(CALLS, 4.0)), 0.0)
    assert (answer.granted, answer.lease, answer.refused_by) == (False, None, "calls")
    assert left(store, MINUTE, 0.0) == 100.0
    assert left(store, CALLS, 0.0) == 3.0


def test_two_charges_on_one_limit_count_together(make_store):
    store = make_store()
    assert not store.admit(ANNE, (of(MINUTE, 60.0), of(MINUTE, 60.0)), 0.0).granted
    assert store.admit(ANNE, (of(MINUTE, 60.0), of(MINUTE, 40.0)), 0.0).granted


def test_concurrent_requests_cannot_overdraw(make_store):
    store = make_store()
    granted = [store.admit(ANNE, (of(MINUTE, 30.0),), 0.0).granted for _ in range(10)]
    assert granted == [True] * 3 + [False] * 7


def test_settling_gives_back_what_was_not_used(make_store):
    store = make_store()
    lease = store.admit(ANNE, (of(MINUTE, 90.0),), 0.0).lease
    store.settle(lease, (of(MINUTE, 10.0),), None, 0.0)
    assert left(store, MINUTE, 0.0) == 90.0


def test_settling_twice_or_late_changes_nothing(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MINUTE, 90.0),), 0.0).lease
    store.settle(lease, (of(MINUTE, 10.0),), None, 0.0)
    store.settle(lease, (of(MINUTE, 10.0),), None, 0.0)
    store.settle(lease, (of(MINUTE, 0.0),), None, 0.0)
    assert left(store, MINUTE, 0.0) == 90.0
    assert store.late_settlements == 2


def test_use_beyond_the_reservation_is_spent_and_blocks_what_comes(make_store):
    store = make_store()
    lease = store.admit(ANNE, (of(MINUTE, 10.0),), 0.0).lease
    store.settle(lease, (of(MINUTE, 130.0),), None, 0.0)
    answer = store.admit(ANNE, (of(MINUTE, 1.0),), 0.0)
    assert not answer.granted
    assert answer.retry_after_s == pytest.approx(31.0)


def test_what_a_settlement_does_not_name_is_spent_as_reserved(make_store):
    store = make_store()
    lease = store.admit(ANNE, (of(MINUTE, 40.0), of(CALLS, 1.0)), 0.0).lease
    store.settle(lease, (of(MINUTE, 5.0),), None, 0.0)
    assert left(store, CALLS, 0.0) == 2.0
    assert left(store, MINUTE, 0.0) == 95.0


def test_a_settlement_may_name_a_limit_that_was_not_reserved(make_store):
    store = make_store()
    lease = store.admit(ANNE, (of(CALLS, 1.0),), 0.0).lease
    store.settle(lease, (of(MINUTE, 7.0),), None, 0.0)
    assert left(store, MINUTE, 0.0) == 93.0


def test_a_request_settled_as_nothing_costs_nothing(make_store):
    store = make_store()
    lease = store.admit(ANNE, (of(MINUTE, 40.0), of(CALLS, 1.0)), 0.0).lease
    store.settle(lease, (of(MINUTE, 0.0), of(CALLS, 0.0)), None, 0.0)
    assert (left(store, MINUTE, 0.0), left(store, CALLS, 0.0)) == (100.0, 3.0)


def test_a_lease_that_runs_out_is_spent_as_reserved_once(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MONTH, 90.0), of(STREAMS, 1.0)), 0.0).lease
    assert lease.expires_at == 10.0
    assert not store.admit(ANNE, (of(STREAMS, 1.0),), 9.9).granted
    assert store.admit(ANNE, (of(STREAMS, 0.0),), 10.0).limits[0].remaining == 1.0
    store.settle(lease, (of(MONTH, 0.0),), None, 10.0)
    assert left(store, MONTH, 10.0) == pytest.approx(910.0, abs=0.01)


def test_an_old_reservation_cannot_be_cashed_in_twice(make_store):
    """Waiting refills what is spent, never what is held: else a full burst could be drawn per old lease."""
    store = make_store()
    old = store.admit(ANNE, (of(MINUTE, 100.0),), 0.0).lease
    assert not store.admit(ANNE, (of(MINUTE, 100.0),), 120.0).granted
    store.settle(old, (of(MINUTE, 0.0),), None, 120.0)
    store.settle(store.admit(ANNE, (of(MINUTE, 100.0),), 120.0).lease, (of(MINUTE, 100.0),), None, 120.0)
    assert not store.admit(ANNE, (of(MINUTE, 1.0),), 120.0).granted


def test_what_is_used_is_spent_when_it_is_settled_not_when_it_was_reserved(make_store):
    """Catches a full burst that is drawn at the end of a long stream, and at once again."""
    store = make_store()
    lease = store.admit(ANNE, (of(MINUTE, 100.0),), 0.0).lease
    store.settle(lease, (of(MINUTE, 100.0),), None, 120.0)
    assert not store.admit(ANNE, (of(MINUTE, 1.0),), 120.0).granted


def test_a_lease_that_ran_out_unnoticed_is_spent_at_the_moment_it_did(make_store):
    store = make_store(lease_s=10.0)
    store.admit(ANNE, (of(MINUTE, 100.0),), 0.0)
    assert left(store, MINUTE, 40.0) == pytest.approx(30.0)


def test_an_extension_reserves_more_and_lives_longer(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MINUTE, 40.0),), 0.0).lease
    longer = store.extend(lease, (of(MINUTE, 40.0),), 8.0)
    assert longer.granted
    assert longer.lease.expires_at == 18.0
    assert left(store, MINUTE, 12.0) == 20.0
    store.settle(longer.lease, (of(MINUTE, 50.0),), None, 12.0)
    assert left(store, MINUTE, 12.0) == 50.0


def test_an_extension_beyond_the_limit_is_refused_and_changes_nothing(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MINUTE, 40.0),), 0.0).lease
    refused = store.extend(lease, (of(CALLS, 1.0), of(MINUTE, 61.0)), 5.0)
    assert (refused.granted, refused.refused_by) == (False, "minute")
    assert left(store, CALLS, 5.0) == 3.0
    store.settle(lease, (of(MINUTE, 0.0),), None, 5.0)
    assert left(store, MINUTE, 5.0) == 100.0


def test_an_extension_without_charges_keeps_a_stream_alive(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MINUTE, 40.0),), 0.0).lease
    assert store.extend(lease, (), 9.0).granted
    assert store.extend(lease, (), 18.0).granted
    store.settle(lease, (of(MINUTE, 0.0),), None, 18.0)
    assert left(store, MINUTE, 18.0) == 100.0


def test_a_lease_runs_out_in_its_own_time_beside_one_that_was_extended(make_store):
    store = make_store(lease_s=10.0)
    long = store.admit(ANNE, (of(MINUTE, 10.0),), 0.0).lease
    store.admit(ANNE, (of(STREAMS, 1.0),), 1.0)
    store.extend(long, (), 5.0)
    assert store.admit(ANNE, (of(STREAMS, 1.0),), 12.0).granted


def test_a_lease_that_is_over_is_not_extended(make_store):
    store = make_store(lease_s=10.0)
    lease = store.admit(ANNE, (of(MINUTE, 40.0),), 0.0).lease
    refused = store.extend(lease, (of(MINUTE, 1.0),), 10.0)
    assert (refused.granted, refused.lease, refused.refused_by) == (False, None, None)
    unknown = Lease(token=10**9, charges=(), expires_at=1e9)
    assert not store.extend(unknown, (), 0.0).granted
    store.settle(unknown, (of(MINUTE, 9.0),), None, 0.0)
    assert left(store, MINUTE, 200.0) == 100.0


def test_the_longest_wait_is_the_one_told(make_store):
    store = make_store()
    for _ in range(3):
        store.settle(store.admit(ANNE, (of(MINUTE, 30.0), of(CALLS, 1.0)), 0.0).lease, (), None, 0.0)
    answer = store.admit(ANNE, (of(MINUTE, 30.0), of(CALLS, 1.0)), 0.0)
    assert (answer.refused_by, answer.retry_after_s) == ("minute", pytest.approx(20.0))
    assert store.admit(ANNE, (of(MINUTE, 30.0), of(CALLS, 1.0)), 20.0).granted


def test_what_can_never_fit_has_no_wait(make_store):
    store = make_store()
    store.admit(ANNE, (of(MINUTE, 100.0),), 0.0)
    answer = store.admit(ANNE, (of(MINUTE, 10.0), of(CALLS, 4.0)), 0.0)
    assert (answer.refused_by, answer.retry_after_s) == ("calls", None)


def test_amounts_that_are_no_amounts_give_nothing_back(make_store):
    store = make_store()
    store.admit(ANNE, (of(MINUTE, 60.0),), 0.0)
    lease = store.admit(ANNE, (of(MINUTE, -50.0), of(CALLS, float("nan"))), 0.0).lease
    store.settle(lease, (of(MINUTE, -50.0), of(CALLS, float("nan"))), None, 0.0)
    assert left(store, MINUTE, 0.0) == 40.0
    assert not store.admit(ANNE, (of(MINUTE, float("inf")),), 0.0).granted


def test_a_clock_that_goes_back_refills_nothing_and_locks_nobody(make_store):
    store = make_store()
    store.settle(store.admit(ANNE, (of(MINUTE, 100.0),), 1000.0).lease, (), None, 1000.0)
    assert left(store, MINUTE, 10.0) == 0.0
    assert store.admit(ANNE, (of(MINUTE, 1.0),), 10.0).retry_after_s == pytest.approx(1.0)
    assert left(store, MINUTE, 1060.0) == 60.0


def test_standing_counts_granted_requests_and_age(make_store):
    store = make_store()
    assert store.admit(ANNE, (of(CALLS, 1.0),), 50.0).standing.requests == 0
    store.admit(ANNE, (of(CALLS, 9.0),), 55.0)
    standing = store.admit(ANNE, (of(CALLS, 1.0),), 60.0).standing
    assert (standing.requests, standing.age_s, standing.risk, standing.band) == (1, 10.0, 0.0, None)


def test_unproven_callers_touch_only_their_networks_pool(make_store):
    """A spoofed id, however often, costs its owner nothing and gives him no standing."""
    store = make_store()
    spoofed = replace(ANNE, proven=False, network="net_1")
    answers = [store.admit(spoofed, (of(TRIAL, 1.0, "net_1"),), 0.0) for _ in range(5)]
    assert [answer.granted for answer in answers] == [True, True, False, False, False]
    assert all(answer.standing.requests == 0 for answer in answers)
    real = store.admit(ANNE, (of(CALLS, 1.0), of(TRIAL, 1.0)), 7.0)
    assert real.granted
    assert (real.standing.requests, real.standing.age_s) == (0, 0.0)
    assert store.admit(spoofed, (of(TRIAL, 1.0, "net_2"),), 7.0).granted


def test_accounts_do_not_share_limits(make_store):
    store = make_store()
    store.admit(ANNE, (of(MINUTE, 100.0),), 0.0)
    assert store.admit(Account("bob"), (of(MINUTE, 100.0, "bob"),), 0.0).granted
    assert not store.admit(Account("carl"), (of(MINUTE, 1.0),), 0.0).granted  # anne's own scope
