"""What attributes of an account are worth: by value, bounded, and never by where somebody is from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.policy.priors import Priors
from tests.policy.loading import faults, loaded

PRIORS = "version: 1\nrisk: {{bands: {{watch: {{enter: 0.5, leave: 0.4}}}}, priors: {0}}}\n"
ODDS = st.floats(0.25, 4.0)


def test_an_attribute_is_worth_what_its_value_says() -> None:
    priors = loaded(
        PRIORS.format("{plan: {trial: 2x, enterprise: 0.5x}, block: {'203.0.*': 1.5x}}")
    ).risk.priors
    assert priors is not None
    for _ in range(2):  # worked out, and remembered
        assert priors.nats({"plan": "trial"}) == pytest.approx(math.log(2))
        assert priors.nats({"plan": "enterprise"}) == pytest.approx(-math.log(2))
        assert priors.nats({"plan": "trial", "block": "203.0.113.0/24"}) == pytest.approx(math.log(3))
        assert priors.nats({"plan": "Trial", "tier": "trial"}) == priors.nats({}) == 0.0


def test_of_several_patterns_the_largest_counts_in_any_order() -> None:
    for values in ("{'card_*': 0.5x, 'card_9*': 4x}", "{'card_9*': 4x, 'card_*': 0.5x}"):
        priors = loaded(PRIORS.format(f"{{payment: {values}}}")).risk.priors
        assert priors is not None
        assert priors.nats({"payment": "card_91"}) == pytest.approx(math.log(4))
        assert priors.nats({"payment": "card_1"}) == pytest.approx(-math.log(2))


@given(st.dictionaries(st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("xyz"), ODDS, min_size=1)))
def test_all_attributes_together_are_worth_no_more_than_one_may_be(
    specs: dict[str, dict[str, float]],
) -> None:
    nats = Priors(specs).nats(dict.fromkeys("abcdef", "x"))
    assert abs(nats) <= math.log(4) + 1e-12


def test_an_attribute_that_the_policy_does_not_name_is_worth_nothing() -> None:
    assert loaded("version: 1\n").risk.priors is None
    priors = Priors({"plan": {"*": 2.0}})
    assert priors.nats({"payment": "x"}) == 0.0


@pytest.mark.parametrize(
    "name", ["country", "ip_country", "countryCode", "Nationality", "user.locale", "language", "citizenship", "ETHNICITY", "religion"]
)  # fmt: skip
def test_where_somebody_is_from_is_no_attribute(name: str) -> None:
    (fault,) = faults(PRIORS.format(f"{{{name}: {{de: 2x}}}}"))
    assert "never where somebody is from" in str(fault)
    assert (fault.line, fault.column) == (2, 59)


@pytest.mark.parametrize("odds", ["0x", "0.2x", "4.1x", "100x", "2", "inf", "-1x", "true"])
def test_odds_are_bounded(odds: str) -> None:
    (fault,) = faults(PRIORS.format(f"{{plan: {{trial: {odds}}}}}"))
    assert "odds from 0.25x to 4x" in str(fault)


def test_a_child_adds_to_the_values_of_its_parent_and_replaces_them() -> None:
    parent = PRIORS.format("{plan: {trial: 2x, free: 2x}}")
    child = "version: 1\nextends: up\nrisk: {priors: {plan: {trial: 1x}, payment: {cash: 3x}}}\n"
    priors = loaded(child, up=parent).risk.priors
    assert priors is not None
    assert priors.nats({"plan": "trial"}) == 0.0
    assert priors.nats({"plan": "free"}) == pytest.approx(math.log(2))
    assert priors.nats({"payment": "cash"}) == pytest.approx(math.log(3))


def test_priors_without_values_are_refused() -> None:
    assert faults(PRIORS.format("{plan: {}}"))
