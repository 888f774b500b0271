"""Records of accounts in every store: what requests have said adds up, gives a risk and a band, and is not washed away."""

from __future__ import annotations

import math
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardening.facts import NEW as AS_NEW
from hardening.facts import Account, Charge
from hardening.state import MemoryStore
from hardening.state.sqlite.keeper import Keeper
from hardening.state.standing import BORDER_WAIT, LONGEST_DELAY, SLOTS, Evidence, Scale, settled, slotted
from tests.state.on_a_clock import SetStore
from tests.state.test_flags import FACTORS
from tests.state.test_standing import BANDS, CALIBRATION, DAY, SCALE, said
from tests.state.test_store import ANNE, CALLS, MONTH

BOB = Account("bob")
KEPT = Scale(CALIBRATION, BANDS, keep_s=2 * DAY)


def ask(store, evidence: Evidence | None, now: float = 0.0, account: Account = ANNE):
    """One request from its beginning to its end; the standing that it was admitted with."""
    answer = store.admit(account, (Charge(CALLS, account.scope, 0.0),), now)
    store.settle(answer.lease, (), evidence, now)
    return answer.standing


def standing_of(store, now: float = 0.0, account: Account = ANNE):
    return store.look(account, (), now).standing


def convicted(store, account: Account = ANNE, scale: Scale = SCALE, now: float = 0.0):
    for _ in range(6):
        ask(store, said(phrasing=4.0, scale=scale), now, account)
    ask(store, said(entered=True, scale=scale), now, account)
    return standing_of(store, now, account)


def test_what_requests_say_adds_up_and_is_read_with_the_next_one(make_store, desk_of):
    store = make_store()
    for _ in range(4):
        assert ask(store, said(phrasing=1.5, grading=0.5)).risk in (0.0, pytest.approx(0.02))
    assert standing_of(store).risk == pytest.approx(0.02)
    record = desk_of(store).find("anne", 0.0).record
    assert dict(zip(SLOTS, record.sums, strict=True))["phrasing"] == pytest.approx(6.0)
    assert record.weight == pytest.approx(4.0)
    ask(store, said(8, phrasing=1.5))
    answer = store.admit(ANNE, (), 0.0)
    odds = CALIBRATION.prior + 7.5 + 0.5 * 2.0
    assert answer.standing.risk == pytest.approx(1 / (1 + math.exp(-odds)))
    assert answer.standing.band is None


def test_what_is_known_beside_requests_counts_in_the_risk_and_is_not_kept(make_store, desk_of):
    store = make_store()
    for _ in range(6):
        ask(store, Evidence(slotted({"phrasing": 0.25}), SCALE, prior=0.5))
    assert standing_of(store).risk == pytest.approx(1 / (1 + math.exp(-(CALIBRATION.prior + 1.5 + 0.5))))
    ask(store, Evidence(slotted({}), SCALE))
    assert standing_of(store).risk == pytest.approx(1 / (1 + math.exp(-(CALIBRATION.prior + 1.5))))
    assert sum(desk_of(store).find("anne", 0.0).record.sums) == pytest.approx(1.5)


def test_a_band_that_is_due_is_told_after_the_delay_and_entered_by_the_request_that_acts_by_it(make_store):
    store = make_store()
    for _ in range(4):
        ask(store, said(phrasing=4.0))
    ask(store, said(delay=2, phrasing=4.0))
    assert [ask(store, said(8)).due for _ in range(3)] == [None, None, "harden"]
    assert (standing_of(store).due, standing_of(store).band) == ("harden", None)
    ask(store, said(entered=True))
    assert (standing_of(store).due, standing_of(store).band) == (None, "harden")


def test_without_a_new_conversation_the_band_is_entered_in_an_old_one(make_store):
    store, count = make_store(), 0
    for _ in range(5):
        ask(store, said(delay=1, phrasing=4.0))
    while ask(store, said()).band is None:
        count += 1
    assert count == 1 + BORDER_WAIT


def test_what_is_reserved_in_a_band_that_was_entered_is_priced_by_it(make_store):
    store = make_store()
    assert convicted(store).band == "harden"
    charge = Charge(MONTH, ANNE.scope, 10.0, FACTORS)
    assert store.admit(ANNE, (charge,), 0.0).limits[0].remaining == pytest.approx(1000 - 250)


def test_a_band_is_left_when_the_evidence_has_faded(make_store):
    store = make_store()
    convicted(store)
    for _ in range(40):
        ask(store, said(), 0.0)
    assert [ask(store, said(), day * DAY).band for day in (20, 28, 30, 36, 37)] == [
        *["harden"] * 3,
        *["watch", None],
    ]


def test_who_is_not_proven_leaves_no_record(make_store, desk_of):
    store = make_store()
    stranger = Account("anne", proven=False, network="net_1")
    for _ in range(9):
        ask(store, said(phrasing=4.0), account=stranger)
    assert standing_of(store).risk == 0.0
    assert desk_of(store).find("anne", 0.0) is None
    assert convicted(store, BOB).band == "harden"
    assert standing_of(store).band is None


def test_a_settlement_without_evidence_or_of_a_lease_that_is_over_says_nothing(make_store, desk_of):
    store = make_store(lease_s=10.0)
    ask(store, None)
    assert desk_of(store).find("anne", 0.0).record is None
    lease = store.admit(ANNE, (), 0.0).lease
    store.settle(lease, (), said(phrasing=1.0), 1.0)
    store.settle(lease, (), said(phrasing=1.0), 1.0)
    late = store.admit(ANNE, (), 1.0).lease
    store.settle(late, (), said(phrasing=1.0), 20.0)
    assert sum(desk_of(store).find("anne", 20.0).record.sums) == pytest.approx(1.0, abs=1e-4)


def test_limits_of_others_do_not_carry_the_record_away(make_store, desk_of):
    """A lease whose limits all lie with an organisation still speaks of its account."""
    store = make_store()
    shared = Charge(CALLS, "org:acme", 1.0)
    lease = store.admit(ANNE, (shared,), 0.0).lease
    store.settle(lease, (shared,), said(phrasing=1.0), 0.0)
    assert desk_of(store).find("anne", 0.0).record.weight == 1.0


def test_a_flag_stands_above_the_record_which_goes_on_below_it(make_store, desk_of):
    store, desk = make_store(), None
    convicted(store)
    desk = desk_of(store)
    flag = desk.flag("anne", "", 0.0, 100.0, 0.0, "all", "a customer of ours").flag
    assert flag == ("", 0.0, 100.0, "a customer of ours")
    assert standing_of(store)[:2] == (0.0, None)
    assert standing_of(store).due is None
    assert desk.find("anne", 0.0).record.band == "harden"
    assert standing_of(store, 100.0).band == "harden"


def test_a_record_is_kept_no_longer_than_the_policy_says(make_store, desk_of):
    store = make_store()
    assert convicted(store, scale=KEPT).band == "harden"
    assert standing_of(store, 2 * DAY - 1).band == "harden"
    assert standing_of(store, 2 * DAY)[:2] == (0.0, None)
    assert desk_of(store).find("anne", 2 * DAY).record is None


def test_who_is_forgotten_is_as_new_as_can_be_and_what_operators_said_stays(make_store, desk_of):
    store = make_store()
    convicted(store)
    lease = store.admit(ANNE, (Charge(MONTH, ANNE.scope, 500.0),), 0.0).lease
    desk = desk_of(store)
    desk.flag("anne", "watch", 0.5, math.inf, 0.0, "all", "seen before")
    found = desk.forget("anne", 10.0)
    assert (found.requests, found.record, found.flag.reason) == (0, None, "seen before")
    store.settle(lease, (Charge(MONTH, ANNE.scope, 100.0),), None, 10.0)
    assert desk.unflag("anne", 10.0).requests == 0
    assert standing_of(store, 10.0)[:3] == (0.0, None, 0)
    assert store.admit(ANNE, (Charge(MONTH, ANNE.scope, 0.0),), 10.0).limits[0].remaining == pytest.approx(
        900.0
    )
    assert desk.forget("nobody", 10.0) is None


def test_a_flood_of_accounts_does_not_wash_somebody(make_store):
    store = make_store() if make_store is not MemoryStore else MemoryStore(max_accounts=16)
    convicted(store)
    for number in range(40):
        ask(store, None, account=Account(f"flood_{number}"))
    assert standing_of(store).band == "harden"


def test_a_keeper_of_a_full_file_forgets_nobody_who_is_suspected_and_drops_old_records(tmp_path):
    store = SetStore(tmp_path / "state.db", max_accounts=10)
    convicted(store, scale=KEPT)
    for number in range(9):
        ask(store, said(phrasing=-0.1), account=Account(f"flood_{number}"))

    def kept(at: float) -> set[str]:
        keeper = Keeper(store.inner._file, lambda: at, max_accounts=10)
        connection = store.inner._file.connect()
        keeper.look(connection)
        found = connection.execute("select key from scopes where record is not null").fetchall()
        connection.close()
        return {key.removeprefix("account:") for (key,) in found}

    assert kept(1000.0) == {"anne"}
    assert kept(2 * DAY) == set()
    store.inner.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.floats(-1, 5),
            st.floats(0, 20 * DAY),
            st.booleans(),
            st.integers(0, LONGEST_DELAY),
            st.sampled_from(["phrasing", "grading", "app"]),
            st.sampled_from(["", "", AS_NEW, "watch", "harden", "gone"]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_every_store_judges_as_the_arithmetic_does(make_store, desk_of, requests, random):
    store, record, now = make_store(), None, 0.0
    account = Account(f"anne{random.random()}")
    for nats, seconds, entered, delay, name, under in requests:
        now += seconds
        evidence = Evidence(slotted({name: nats}), KEPT, delay, entered, under=under)
        ask(store, evidence, now, account)
        record = settled(record, evidence, now)
    found = desk_of(store).find(account.id, now).record
    assert found == record._replace(
        sums=pytest.approx(record.sums, rel=1e-12),
        weight=pytest.approx(record.weight, rel=1e-12),
        risk=pytest.approx(record.risk, rel=1e-9),
    )


def test_the_highest_band_is_told_until_it_is_long_ago_and_nobody_in_it_is_forgotten(make_store, desk_of):
    """A store in memory tells of none, for it does not know what was before it began."""
    store = make_store()
    knows = not isinstance(store, MemoryStore)

    def peak(now: float = 0.0) -> str | None:
        return standing_of(store, now).peak

    assert peak() is None
    ask(store, said(scale=KEPT))
    assert peak() == ("" if knows else None)
    ask(store, Evidence(slotted({}), KEPT, under=AS_NEW), DAY)
    assert peak(DAY) == (AS_NEW if knows else None)
    ask(store, Evidence(slotted({}), KEPT, under="harden"), DAY)
    ask(store, Evidence(slotted({}), KEPT, under="watch"), 2 * DAY)
    ask(store, said(scale=KEPT), 3 * DAY)
    assert (peak(3 * DAY), standing_of(store, 3 * DAY).band) == ("harden" if knows else None, None)
    assert desk_of(store).find("anne", 3 * DAY).record.peak == "harden"
    ask(store, said(scale=KEPT), 4.5 * DAY)
    assert peak(4.5 * DAY) == ("" if knows else None)
    assert convicted(store, BOB, KEPT, 5 * DAY).peak == ("harden" if knows else None)


def test_a_peak_lies_in_the_file_and_a_record_without_one_is_as_it_was(tmp_path):
    store = SetStore(tmp_path / "state.db")
    ask(store, Evidence(slotted({}), KEPT, under="watch"))
    ask(store, said(), account=BOB)
    store.inner.close()
    again = SetStore(tmp_path / "state.db")
    assert (standing_of(again).peak, standing_of(again, account=BOB).peak) == ("watch", "")
    rows = sqlite3.connect(tmp_path / "state.db").execute("select json_array_length(record) from scopes")
    assert sorted(rows) == [(8,), (10,)]
    again.inner.close()
