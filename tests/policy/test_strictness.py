"""Bands only tighten, for random policies; and an unproven caller's facts never loosen anything."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Account, Decision, RequestFacts, Standing
from hardening.policy import charges, decide
from hardening.policy.terms import NOTHING, UNSAID, Terms, overlay, stricter
from tests.policy.loading import loaded

LIMITS = ("one", "two", "three")
SHOW = ("full", "summary", "none")
INLINE = ("never", "tagged", "starts_open")
RESENT = ("any", "sealed")
SAMPLING = ("any", "plain")
DETAIL = ("outline", "brief")
OVERLAP = ("ignore", "report", "stop")
USAGE = ("keep", "round", "drop")
AT_LIMIT = ("finish", "slow", "cut")
PINS = ("allow", "force", "refuse")


def _maybe(**values: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries({}, optional=values)


SAID = {
    "reasoning": _maybe(
        show=st.sampled_from(SHOW),
        max_tokens=st.integers(1, 900),
        detail=st.sampled_from(DETAIL),
        overlap=st.sampled_from(OVERLAP),
        seal=st.booleans(),
        resent=st.sampled_from(RESENT),
        inline=st.sampled_from(INLINE),
    ),
    "logprobs": _maybe(
        top=st.integers(0, 20) | st.just("all"),
        step=st.floats(0, 4),
        noise=st.sampled_from([0, 0, 0.5]),
        sampling=st.sampled_from(SAMPLING),
    ),
    "embeddings": _maybe(
        step=st.floats(0, 1),
        noise=st.floats(0, 1),
        adaptive=st.floats(0, 1),
        benign=st.integers(1, 100).map("{}%".format),
        keep=st.integers(1, 100).map("{}%".format),
    ),
    "scores": _maybe(step=st.floats(0, 1)),
    "pins": st.sampled_from(PINS),
    "usage": st.sampled_from(USAGE),
    "at_limit": st.sampled_from(AT_LIMIT),
    "pace": st.integers(1, 90).map("{}/s".format),
    "max_tokens": st.integers(1, 5000),
}
CHARGE = {
    "charge": st.integers(1, 30).map("{}x".format),
    "scale": st.integers(1, 100).map("{}%".format),
}
SHADOW = {"mode": st.sampled_from(["enforce", "shadow"]), "enforce": st.integers(0, 100).map("{}%".format)}
PICKED = {"limits": st.lists(st.sampled_from(LIMITS), unique=True)}
MATCH = _maybe(
    model=st.sampled_from(["m*", "n"]),
    group=st.sampled_from(["g", "h"]),
    header=st.just({"x": "1"}),
    door=st.sampled_from(["openai_chat", "anthropic_messages"]),
    account=st.sampled_from(["a", "b*"]),
)
EXCEPT = MATCH.filter(bool)


@st.composite
def rules(draw: st.DrawFn) -> list[dict]:
    found = []
    for index in range(draw(st.integers(0, 4))):
        rule = draw(_maybe(match=MATCH, until=st.just("2027-01-01"), **{"except": EXCEPT}, **SHADOW))
        if draw(st.integers(0, 4)) == 0:
            rule |= draw(st.sampled_from([{"exempt": True}, {"refuse": {}}]))
        else:
            rule |= draw(_maybe(**SAID, **CHARGE, **PICKED))
        found.append({**rule, "name": f"r{index}"})
    return found


POLICIES = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "accounts": st.just({"groups": {"g": ["a"], "h": ["b1"]}}),
        "limits": st.just({name: {"requests": 5, "per": "1m"} for name in LIMITS}),
        "defaults": _maybe(**SAID, **CHARGE, **PICKED),
        "rules": rules(),
        "risk": st.fixed_dictionaries(
            {
                "new": _maybe(**SAID, **CHARGE, **PICKED).map(lambda new: {**new, "until": {"requests": 5}}),
                "bands": st.lists(_maybe(**SAID, **CHARGE, **SHADOW), max_size=3).map(
                    lambda bands: {
                        f"b{i}": {**band, "enter": 0.2 + i / 5, "leave": 0.1} for i, band in enumerate(bands)
                    }
                ),
            }
        ),
    }
)
FACTS = st.builds(
    RequestFacts,
    door=st.just("/d"),
    format=st.sampled_from(["openai_chat", "anthropic_messages"]),
    model=st.sampled_from(["m1", "n", "o"]),
    headers=st.sampled_from([(), ((b"x", b"1"),)]),
)


def strictness(decision: Decision) -> list[float]:
    """One number for each field of a Decision; greater is stricter."""
    if decision.exempt:
        return [float("-inf")] * 24
    if decision.refusal is not None:
        return [float("inf")] * 24

    def most(value: float | None) -> float:
        return -float("inf") if value is None else -value

    return [
        SHOW.index(decision.reasoning.show),
        -decision.reasoning.max_tokens,
        DETAIL.index(decision.reasoning.detail),
        OVERLAP.index(decision.reasoning.overlap),
        -decision.reasoning.seal,
        RESENT.index(decision.reasoning.resent),
        INLINE.index(decision.reasoning.inline),
        most(decision.logprobs.top),
        decision.logprobs.step,
        decision.logprobs.noise,
        SAMPLING.index(decision.logprobs.sampling),
        decision.embeddings.step,
        decision.embeddings.noise,
        decision.embeddings.adaptive,
        -decision.embeddings.benign,
        -decision.embeddings.keep,
        decision.scores.step,
        PINS.index(decision.pins),
        USAGE.index(decision.usage),
        AT_LIMIT.index(decision.at_limit),
        most(decision.max_tokens),
        most(decision.pace_per_s),
        decision.charge,
        -decision.scale,
    ]


def at_least_as_strict(left: Decision, right: Decision) -> bool:
    wider = set(left.limits) >= set(right.limits) or left.refusal is not None or right.exempt
    return wider and all(a >= b for a, b in zip(strictness(left), strictness(right), strict=True))


@settings(max_examples=150, deadline=None)
@given(POLICIES, FACTS, st.sampled_from(["a", "b1", "c"]), st.booleans())
def test_bands_and_the_prior_only_tighten(data: dict, facts: RequestFacts, who: str, proven: bool) -> None:
    policy = loaded(orjson.dumps(data))
    account = Account(who, proven=proven, network="n")
    known = {"requests": 9, "age_s": 9.0}
    last = decide(policy, facts, account, Standing(**known), 0)
    for name in data["risk"]["bands"]:
        decision = decide(policy, facts, account, Standing(band=name, **known), 0)
        assert at_least_as_strict(decision, last)
        new = decide(policy, facts, account, Standing(band=name), 0)
        assert at_least_as_strict(new, decision)
        last = decision
    for charge in charges(policy, facts, account, 10, 0).charges:
        bands = [None, *data["risk"]["bands"]]
        factors = [charge.factor(Standing(band=name, **known)) for name in bands]
        as_new = [charge.factor(Standing(band=name)) for name in bands]
        assert factors == sorted(factors)
        assert as_new == sorted(as_new)
        assert all(more >= less for more, less in zip(as_new, factors, strict=True))


@settings(max_examples=150, deadline=None)
@given(POLICIES, FACTS, st.lists(st.floats(0, 1), min_size=2, max_size=4).map(sorted))
def test_more_risk_never_loosens_where_the_band_is_one_of_another_policy(
    data: dict, facts: RequestFacts, risks: list[float]
) -> None:
    policy = loaded(orjson.dumps(data))
    decisions = [
        decide(policy, facts, Account("a"), Standing(risk, "gone", requests=9), 0) for risk in (0, *risks, 1)
    ]
    for less, more in pairwise(decisions):
        assert at_least_as_strict(more, less)


@settings(max_examples=150, deadline=None)
@given(POLICIES, FACTS, st.sampled_from(["a", "b1", "c"]), st.sampled_from([None, "b0", "b1", "b2"]))
def test_whoever_is_new_gets_nothing_looser(
    data: dict, facts: RequestFacts, who: str, band: str | None
) -> None:
    policy = loaded(orjson.dumps(data))
    known = decide(policy, facts, Account(who), Standing(0.5, band, requests=9, age_s=9), 0)
    new = decide(policy, facts, Account(who), Standing(0.5, band), 0)
    assert at_least_as_strict(new, known)


@settings(max_examples=150, deadline=None)
@given(POLICIES, FACTS, st.sampled_from(["a", "b1", "c"]))
def test_facts_that_a_stranger_chooses_never_leave_less_than_who_sends_none(
    data: dict, facts: RequestFacts, who: str
) -> None:
    policy = loaded(orjson.dumps(data))
    plain = RequestFacts(door=facts.door, format=facts.format, model=facts.model)
    for standing in (Standing(), Standing(requests=9)):
        claiming = decide(
            policy, facts, Account(who, groups=("g", "h"), proven=False, network="n"), standing, 0
        )
        silent = decide(policy, plain, Account("nobody", proven=False, network="n"), standing, 0)
        assert at_least_as_strict(claiming, silent)


WHOLE = st.builds(
    Terms,
    limits=st.none() | st.lists(st.sampled_from(LIMITS), unique=True).map(tuple),
    show=st.none() | st.sampled_from(SHOW),
    summary_tokens=st.none() | st.integers(1, 9),
    detail=st.none() | st.sampled_from(DETAIL),
    overlap=st.none() | st.sampled_from(OVERLAP),
    seal=st.none() | st.booleans(),
    resent=st.none() | st.sampled_from(RESENT),
    inline=st.none() | st.sampled_from(INLINE),
    top=st.none() | st.integers(0, 9) | st.just("all"),
    logprob_step=st.none() | st.floats(0, 4),
    logprob_noise=st.none() | st.floats(0, 4),
    sampling=st.none() | st.sampled_from(SAMPLING),
    embedding_step=st.none() | st.floats(0, 4),
    embedding_noise=st.none() | st.floats(0, 4),
    embedding_rotate=st.none() | st.booleans(),
    embedding_adaptive=st.none() | st.floats(0, 4),
    embedding_benign=st.none() | st.floats(0.1, 1),
    embedding_keep=st.none() | st.floats(0.1, 1),
    score_step=st.none() | st.floats(0, 4),
    pins=st.none() | st.sampled_from(PINS),
    usage=st.none() | st.sampled_from(USAGE),
    at_limit=st.none() | st.sampled_from(AT_LIMIT),
    max_tokens=st.none() | st.integers(1, 9),
    pace_per_s=st.none() | st.floats(1, 9),
    charge=st.none() | st.floats(1, 9),
    scale=st.none() | st.floats(0.1, 1),
)


def _same(left: Terms, right: Terms) -> bool:
    return all(
        set(a or ()) == set(b or ()) if item.name == "limits" else a == b
        for item in fields(Terms)
        for a, b in [(getattr(left, item.name), getattr(right, item.name))]
    )


@given(WHOLE, WHOLE, WHOLE)
def test_both_merges_are_associative_and_the_stricter_one_has_no_order(a: Terms, b: Terms, c: Terms) -> None:
    assert _same(stricter(a, stricter(b, c)), stricter(stricter(a, b), c))
    assert _same(stricter(a, b), stricter(b, a))
    assert _same(stricter(a, a), a)
    assert overlay(a, overlay(b, c)) == overlay(overlay(a, b), c)
    assert overlay(a, NOTHING) == a == stricter(a, NOTHING)


def test_every_field_declares_its_order_and_has_a_value_where_nothing_is_said() -> None:
    assert all("pick" in item.metadata for item in fields(Terms))
    unsaid = {item.name for item in fields(Terms) if getattr(UNSAID, item.name) is None}
    assert unsaid == {"max_tokens", "pace_per_s"}


ORDERS = {
    "limits": (("one",), ("one", "two")),
    "show": ("full", "summary"),
    "summary_tokens": (160, 40),
    "detail": ("outline", "brief"),
    "overlap": ("report", "stop"),
    "seal": (True, False),
    "resent": ("any", "sealed"),
    "inline": ("tagged", "starts_open"),
    "top": ("all", 20),
    "logprob_step": (0.25, 0.5),
    "logprob_noise": (0.0, 0.5),
    "sampling": ("any", "plain"),
    "embedding_step": (0.0, 0.1),
    "embedding_noise": (0.0, 0.1),
    "embedding_rotate": (False, True),
    "embedding_adaptive": (0.0, 0.5),
    "embedding_benign": (0.5, 0.1),
    "embedding_keep": (1.0, 0.75),
    "score_step": (0.0, 0.1),
    "pins": ("allow", "force"),
    "usage": ("round", "drop"),
    "at_limit": ("slow", "cut"),
    "max_tokens": (100, 10),
    "pace_per_s": (20.0, 2.0),
    "charge": (1.0, 4.0),
    "scale": (1.0, 0.5),
}


def test_each_order_is_the_one_that_operators_are_told() -> None:
    assert set(ORDERS) == {item.name for item in fields(Terms)}
    loose = Terms(**{name: pair[0] for name, pair in ORDERS.items()})
    strict = Terms(**{name: pair[1] for name, pair in ORDERS.items()})
    assert stricter(loose, strict) == stricter(strict, loose) == strict
