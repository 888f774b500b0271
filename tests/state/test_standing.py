"""The arithmetic of standing: evidence adds and fades, nobody washes himself, bands are entered late and left at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.state.standing import (
    BORDER_WAIT,
    LEAST_NATS,
    LONGEST_DELAY,
    MOST_NATS,
    SLOTS,
    BandAt,
    Calibration,
    Evidence,
    Record,
    Scale,
    clean_at,
    merged,
    record_of,
    risk,
    settled,
    slotted,
)

DAY = 86_400.0
PRIOR = math.log(0.02 / 0.98)
CALIBRATION = Calibration(PRIOR, {"phrasing": 1.0, "grading": 0.5}, least=5.0, floor=-2.0, cap=20.0)
BANDS = (BandAt("watch", 0.5, 0.4), BandAt("harden", 0.8, 0.7))
SCALE = Scale(CALIBRATION, BANDS)
NEW = Record(0.0, 0.0)


def said(delay: int = 0, *, entered: bool = False, scale: Scale = SCALE, **nats: float) -> Evidence:
    return Evidence(slotted(nats), scale, delay, entered)


def of(record: Record, signal: str) -> float:
    return record.sums[SLOTS.index(signal)]


def sums(phrasing: float) -> tuple[float, ...]:
    return tuple([phrasing if name == "phrasing" else 0.0 for name in SLOTS])


def after(count: int, record: Record | None = None, now: float = 0.0, **nats: float) -> Record:
    for _ in range(count):
        record = settled(record, said(LONGEST_DELAY, **nats), now)
    assert record is not None
    return record


def test_evidence_adds_up_under_its_own_signal():
    record = after(3, phrasing=1.0, grading=0.5)
    assert dict(zip(SLOTS, record.sums, strict=True)) == {
        **dict.fromkeys(SLOTS, 0.0),
        "phrasing": 3.0,
        "grading": 1.5,
    }
    assert record.weight == 3.0


def test_sums_fade_by_half_in_a_half_life():
    record = merged(after(4, phrasing=1.0), slotted({}), 14 * DAY, CALIBRATION)
    assert of(record, "phrasing") == pytest.approx(2.0)
    assert record.weight == pytest.approx(3.0)


def test_the_risk_is_the_weighted_sum_as_log_odds():
    record = after(6, phrasing=1.0, grading=0.5)
    assert risk(record, CALIBRATION) == pytest.approx(1 / (1 + math.exp(-(PRIOR + 6.0 + 0.5 * 3.0))))
    assert record.risk == risk(record, CALIBRATION)


def test_below_the_least_number_of_requests_the_risk_is_the_prior():
    assert after(4, phrasing=4.0).risk == pytest.approx(0.02)
    assert after(5, phrasing=4.0).risk > 0.99


def test_good_behaviour_buys_no_more_than_the_floor():
    washed = after(10_000, phrasing=LEAST_NATS)
    assert of(washed, "phrasing") == CALIBRATION.floor
    assert after(9, washed, phrasing=1.0).risk > 0.8


@given(st.floats() | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_one_request_says_a_bounded_thing(nats):
    (said_nats,) = slotted({"app": nats})[-1:]
    assert LEAST_NATS <= said_nats <= MOST_NATS


def test_a_record_of_fewer_signals_is_read_with_what_it_has():
    record = after(3, phrasing=1.0)
    assert record_of(*record[:7], record.sums[:4]) == record._replace(sums=(*record.sums[:4], *[0.0] * 8))
    assert record_of(*record) == record


def test_what_no_slot_is_for_says_nothing():
    assert slotted({"unheard": 4.0}) == (0.0,) * len(SLOTS)


@given(
    st.lists(
        st.tuples(st.floats(-1, 5), st.floats(0, 40 * DAY), st.booleans(), st.integers(0, 8)), max_size=60
    )
)
def test_sums_and_risk_stay_within_their_bounds_and_bands_within_their_order(requests):
    record, now = None, 0.0
    for nats, seconds, entered, delay in requests:
        now += seconds
        record = settled(record, said(delay, entered=entered, phrasing=nats), now)
        assert CALIBRATION.floor <= min(record.sums)
        assert max(record.sums) <= CALIBRATION.cap
        assert 0.0 <= record.risk <= 1.0
        assert (record.band, record.due) != ("harden", "watch")
        if record.risk < BANDS[0].leave:
            assert (record.band, record.due) == ("", "")


# -- what is known beside requests


PRIORS = st.floats(-10.0, 10.0)
SCALES = st.builds(
    lambda prior, edges: Scale(
        Calibration(prior, {"phrasing": 1.0, "grading": 0.5}, least=5.0, floor=-2.0, cap=20.0),
        (BandAt("watch", max(edges), min(edges)), BandAt("harden", 1.0, max(edges))),
    ),
    st.floats(-6.0, -0.5),
    st.tuples(st.floats(0.4, 1.0), st.floats(0.4, 1.0)),
)


@given(SCALES, PRIORS, st.integers(1, 60))
def test_a_prior_alone_brings_nobody_into_a_band_and_keeps_nobody_in_one(scale, prior, count):
    held = Record(0.0, DAY, weight=50.0, band="harden")
    for record in (None, held):
        for _ in range(count):
            record = settled(record, Evidence(slotted({}), scale, prior=prior), 0.0)
        assert record.risk < min(band.leave for band in scale.bands)
        assert (record.band, record.due) == ("", "")


@given(SCALES, PRIORS, PRIORS, st.floats(-2.0, 20.0))
def test_a_larger_prior_is_no_smaller_risk_and_half_of_the_way_is_left_to_requests(scale, one, other, nats):
    record = Record(0.0, DAY, weight=50.0, sums=sums(nats))
    low, high = (
        settled(record, Evidence(slotted({}), scale, prior=prior), 0.0).risk for prior in sorted((one, other))
    )
    assert low <= high
    leave = min(band.leave for band in scale.bands)
    missing = math.log(leave / max(1.0 - leave, 1e-300)) - scale.calibration.prior
    if nats < missing / 2 - 1e-9:
        assert high < leave


def test_a_prior_counts_as_the_nats_that_it_is_worth():
    record = Record(0.0, DAY, weight=50.0, sums=sums(3.0))
    told = settled(record, Evidence(slotted({}), SCALE, prior=-0.7), 0.0).risk
    assert told == pytest.approx(1 / (1 + math.exp(-(PRIOR + 3.0 - 0.7))))
    half = (math.log(0.4 / 0.6) - PRIOR) / 2
    assert Evidence((), SCALE, prior=1.0).start == pytest.approx(PRIOR + 1.0)
    assert Evidence((), SCALE, prior=9.0).start == pytest.approx(PRIOR + half)
    assert Evidence((), Scale(CALIBRATION), prior=9.0).start == PRIOR
    for edge, most in ((0.0, PRIOR), (1.0, PRIOR + 9.0)):
        bands = (BandAt("all", 1.0, edge),)
        assert Evidence((), Scale(CALIBRATION, bands), prior=9.0).start == pytest.approx(most)


# -- entering and leaving


def at_risk(band: str = "", due: str = "", wait: int = 0, odds: float = 5.0) -> Record:
    return Record(0.0, DAY, weight=50.0, band=band, due=due, wait=wait, sums=sums(odds - PRIOR))


def test_a_band_that_is_reached_is_entered_after_the_delay_with_a_new_conversation():
    record = settled(at_risk(), said(delay=2), 0.0)
    assert (record.band, record.due, record.is_ready) == ("", "harden", False)
    record = settled(record, said(), 0.0)
    assert not record.is_ready
    record = settled(record, said(), 0.0)
    assert record.is_ready
    record = settled(record, said(entered=True), 0.0)
    assert (record.band, record.due) == ("harden", "")


def test_without_a_new_conversation_it_is_entered_in_an_old_one_within_the_stated_requests():
    record, count = settled(at_risk(), said(delay=LONGEST_DELAY), 0.0), 0
    while not record.band:
        record, count = settled(record, said(), 0.0), count + 1
    assert count == LONGEST_DELAY + BORDER_WAIT


def test_a_request_that_was_admitted_before_the_band_was_due_does_not_enter_it():
    assert settled(at_risk(), said(delay=0, entered=True), 0.0).band == ""


def test_a_band_is_held_above_its_leave_and_left_at_once_below():
    held = settled(at_risk("harden", odds=math.log(0.75 / 0.25)), said(), 0.0)
    assert held.band == "harden"
    lower = settled(at_risk("harden", odds=math.log(0.6 / 0.4)), said(), 0.0)
    assert (lower.band, lower.due) == ("watch", "")
    assert settled(at_risk("harden", odds=math.log(0.3 / 0.7)), said(), 0.0).band == ""


def test_between_leave_and_enter_nobody_enters():
    assert settled(at_risk(odds=math.log(0.45 / 0.55)), said(), 0.0).due == ""


def test_a_band_that_the_policy_has_no_more_is_no_band():
    record = settled(at_risk("gone", odds=math.log(0.6 / 0.4)), said(), 0.0)
    assert record.due == "watch"


def test_a_record_is_forgotten_when_it_was_kept_long_enough():
    record = after(50, phrasing=1.0)
    assert settled(record, said(), record.until).weight == 1.0
    assert settled(record, said(), record.until - 1.0).weight > 10.0


def test_what_speaks_against_somebody_may_not_be_forgotten_before_it_has_faded():
    assert clean_at(after(50, phrasing=LEAST_NATS), SCALE) == 0.0
    slight = Record(0.0, 30 * DAY, weight=3.0, sums=sums(4.0))
    assert clean_at(slight, SCALE) == pytest.approx(28 * DAY)
    assert clean_at(slight._replace(band="watch"), SCALE) == 30 * DAY
    once = slight._replace(until=60 * DAY, peak="watch", peak_until=29 * DAY)
    assert clean_at(once, SCALE) == clean_at(once._replace(sums=sums(0.0)), SCALE) == 29 * DAY
    assert clean_at(once._replace(peak="+", sums=sums(0.0)), SCALE) == 0.0


@pytest.mark.parametrize(
    ("peak", "under", "then"),
    [
        ("", "", ""),
        ("", "+", "+"),
        ("+", "", "+"),
        ("+", "watch", "watch"),
        ("watch", "harden", "harden"),
        ("harden", "watch", "harden"),
        ("harden", "+", "harden"),
        ("gone", "harden", "gone"),
        ("", "gone", "gone"),
    ],
)
def test_a_peak_is_the_highest_band_and_one_that_nobody_can_rank_stays(peak, under, then):
    held = Record(0.0, DAY, peak=peak, peak_until=DAY if peak else 0.0)
    after_one = settled(held, Evidence(slotted({}), SCALE, under=under), 1.0)
    assert after_one.peak == then
    assert after_one.peak_until == (after_one.until if under else held.peak_until)
    assert settled(held, Evidence(slotted({}), SCALE, under=under), 2 * DAY).peak == under


@pytest.mark.parametrize(
    "wrong",
    [{"half_life_s": 0.0}, {"floor": 1.0}, {"cap": -1.0}, {"prior": math.nan}, {"weights": {"mood": 1.0}}],
)
def test_a_calibration_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueError, match=r"calibration|half-life|weights"):
        Calibration(**{"prior": PRIOR, "weights": {}, **wrong})
