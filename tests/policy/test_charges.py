"""What a request reserves, what it settles with, and whose pool it spends."""

from __future__ import annotations

import pytest

from hardening.facts import EVERYBODY, Account, Admission, LimitState, RequestFacts, Standing, Usage
from hardening.policy import Charges, available, charges, counting, extended, lowered, settled
from tests.policy.loading import loaded

UNITS = ("tokens", "requests", "prompt", "completion", "reasoning", "logprob_values", "embeddings")
TEXT = (
    "version: 1\nlimits:\n"
    + "".join(f"  {unit}: {{{unit}: 1M, per: 1m, burst: 2M}}\n" for unit in UNITS)
    + "  streams: {streams: 4}\n  net: {requests: 9, per: 1m}\n  tiny: {tokens: 200, per: 1m}\n"
    + "defaults: {limits: [%s]}\naccounts: {unproven: {limits: [net]}}\n"
)
ALL = TEXT % ", ".join((*UNITS, "streams"))
STRANGER = Account("victim", proven=False, network="n1")


def charged(text: str, account: Account = Account("a"), prompt: int = 100, **facts: object) -> Charges:
    given = RequestFacts(**{"door": "/d", "format": "openai_chat", **facts})
    return charges(loaded(text), given, account, prompt, now=0)


def amounts(result: Charges) -> dict[str, float]:
    return {charge.limit.name: charge.amount for charge in result.charges}


def test_tokens_are_prompt_and_completion_and_only_touched_units_are_charged() -> None:
    result = charged(ALL, max_tokens=50)
    assert amounts(result) == {"tokens": 150, "requests": 1, "prompt": 100, "completion": 50, "reasoning": 50}
    assert result.completion_reserve == 50


def test_streams_log_probabilities_and_embeddings_are_charged_where_asked() -> None:
    assert amounts(charged(ALL, stream=True))["streams"] == 1
    assert amounts(charged(ALL, max_tokens=10, top_logprobs=20))["logprob_values"] == 200
    assert amounts(charged(ALL, max_tokens=10, top_logprobs=0))["logprob_values"] == 10
    assert amounts(charged(ALL, max_tokens=10, top_logprobs=1 << 20))["logprob_values"] == 10_000
    cut = ALL.replace("defaults: {", "defaults: {logprobs: {top: 5}, ")
    assert amounts(charged(cut, max_tokens=10, top_logprobs=20))["logprob_values"] == 50
    assert amounts(charged(cut, max_tokens=10, top_logprobs=-1))["logprob_values"] == 50
    # Who asks for the drawn token's alone gets as many as may leave.
    assert amounts(charged(cut, max_tokens=10, top_logprobs=0))["logprob_values"] == 50
    assert (
        amounts(charged(cut.replace("top: 5", "top: 30"), max_tokens=10, top_logprobs=0))["logprob_values"]
        == 200
    )
    assert amounts(charged(ALL, format="openai_embeddings", choices=7))["embeddings"] == 7


@pytest.mark.parametrize(
    ("facts", "reserve"),
    [
        ({}, 4096),
        ({"stream": True}, 1024),
        ({"max_tokens": 10**9}, 2_000_000 - 100),
        ({"max_tokens": 10**9, "stream": True}, 1024),
        ({"max_tokens": 9, "choices": 3}, 27),
        ({"max_tokens": -5}, 1),
    ],
)
def test_the_first_reservation_is_bounded(facts: dict[str, object], reserve: int) -> None:
    assert charged(ALL, **facts).completion_reserve == reserve


@pytest.mark.parametrize(("stream", "usual", "asked", "reserve"), [
    (True, 60, None, 60),
    (True, 60, 20, 20),
    (True, 9000, None, 9000),
    (False, 60, None, 4096),
    (False, 60, 20, 20),
    (False, 60, 7000, 7000),
    (False, 9000, None, 9000),
    (False, 9000, 500, 500),
])  # fmt: skip
def test_what_is_reserved_is_what_answers_of_the_account_are_like_and_of_a_whole_one_all_that_it_may_use(
    stream: bool, usual: int, asked: int | None, reserve: int
) -> None:
    facts = RequestFacts("/d", "openai_chat", stream=stream, max_tokens=asked)
    result = charges(loaded(ALL), facts, Account("a"), 100, now=0, usual_tokens=usual)
    assert result.completion_reserve == reserve


def test_a_limit_of_log_probabilities_is_reserved_by_what_leaves_with_each_token() -> None:
    few = (TEXT % "logprob_values").replace(
        "logprob_values: 1M, per: 1m, burst: 2M", "logprob_values: 600, per: 1m"
    )
    assert charged(few, top_logprobs=20).completion_reserve == 30
    assert amounts(charged(few, top_logprobs=20)) == {"logprob_values": 600}
    assert charged(few).completion_reserve == 1024
    assert amounts(charged(few)) == {}
    claim = charged(few, top_logprobs=20)
    state = LimitState(claim.charges[0].limit, 100.0, 0.0)
    assert available(claim, Admission(True, None, Standing(), (state,))) == 30 + 5


def test_a_small_limit_reserves_no_more_than_it_could_ever_grant() -> None:
    assert charged(TEXT % "tiny").completion_reserve == 100
    assert charged(TEXT % "tiny", prompt=500).completion_reserve == 1


def test_the_policy_bounds_the_reservation_too() -> None:
    assert charged(ALL.replace("defaults: {", "defaults: {max_tokens: 7, ")).completion_reserve == 7


def test_who_is_not_vouched_for_never_spends_the_named_accounts_limits() -> None:
    for text in (ALL, ALL + "rules: [{name: r, limits: [tokens]}]\n"):
        result = charged(text, STRANGER)
        assert [(charge.limit.name, charge.scope_key) for charge in result.charges] == [("net", "network:n1")]
    assert {charge.scope_key for charge in charged(ALL, Account("victim")).charges} == {"account:victim"}


def test_without_a_pool_of_their_own_strangers_spend_the_defaults_per_network() -> None:
    result = charged(ALL.replace("accounts: {unproven: {limits: [net]}}\n", ""), STRANGER)
    assert {charge.scope_key for charge in result.charges} == {"network:n1"}
    assert "tokens" in amounts(result)


def test_a_refusal_is_never_charged_and_in_shadow_not_even_given() -> None:
    refusing = ALL + "rules: [{name: r, refuse: {status: 429}}]\n"
    result = charged(refusing)
    assert result.refusal is not None
    assert (result.refusal.status, result.refusal.kind, result.charges) == (429, "rate_limit", ())
    shadow = charged(refusing + "mode: shadow\n")
    assert (shadow.refusal, shadow.charges, shadow.enforced) == (None, (), False)


def test_who_is_exempt_is_charged_nothing() -> None:
    assert charged(ALL + "rules: [{name: r, exempt: true}]\n") == Charges(None, (), 0)


BANDS = (
    "risk: {bands: {watch: {enter: .5, leave: .4, charge: 4x}, low: {enter: .2, leave: .1},"
    " harden: {enter: .8, leave: .7, charge: 2x}}}\n"
)


def test_a_band_pays_at_least_what_the_bands_below_it_pay() -> None:
    result = charged(TEXT % "requests, streams" + BANDS, stream=True)
    by_limit = {charge.limit.name: dict(charge.by_band) for charge in result.charges}
    assert by_limit == {"requests": {"low": 1.0, "watch": 4.0, "harden": 4.0}, "streams": {}}


def test_the_walks_own_factor_is_in_the_amount_and_not_paid_twice() -> None:
    text = (TEXT % "requests, tokens").replace("defaults: {", "defaults: {charge: 2x, ") + BANDS
    result = charged(text, max_tokens=50)
    assert amounts(result) == {"requests": 2, "tokens": 300}
    assert result.charges[0].by_band["watch"] == 2.0
    assert [charge.amount for charge in settled(result, Usage(10, 20, 5))] == [2, 60]
    assert [charge.amount for charge in extended(result, 100)] == [200]


NEWCOMERS = BANDS.replace(
    "risk: {bands",
    "risk: {new: {until: {requests: 50}, limits: [net, requests], charge: 3x, scale: 50%}, bands",
)
NEW, KNOWN = Standing(requests=49), Standing(requests=50)


def test_whoever_is_new_pays_more_and_has_limits_of_his_own() -> None:
    result = charged(TEXT % "requests, streams" + NEWCOMERS, stream=True)
    factors = {charge.limit.name: (charge.factor(NEW), charge.factor(KNOWN)) for charge in result.charges}
    assert factors == {"requests": (6.0, 1.0), "streams": (2.0, 1.0), "net": (6.0, 0.0)}
    watched = [
        charge.factor(standing._replace(band="watch"))
        for standing in (NEW, KNOWN)
        for charge in result.charges
    ]
    assert watched == [8.0, 2.0, 8.0, 4.0, 1.0, 0.0]


def test_only_the_limits_of_who_asks_are_bounds_and_are_told() -> None:
    text = (TEXT % "tokens").replace("net: {requests: 9", "net: {tokens: 90")
    text += NEWCOMERS.replace("[net, requests]", "[net]")
    claim = charged(text, prompt=10, stream=True)
    assert claim.completion_reserve == 1024
    states = tuple(LimitState(charge.limit, 60.0, 0.0) for charge in claim.charges)
    assert [len(states), claim.alone] == [2, True]
    known = counting(claim, Admission(True, None, KNOWN, states))
    assert [charge.limit.name for charge in known[0].charges] == ["tokens"]
    assert [state.limit.name for state in known[1].limits] == ["tokens"]
    assert available(*known) == 1024 + 60
    new = Admission(True, None, NEW, states)
    assert counting(claim, new) == (claim, new)
    less = lowered(claim, Admission(False, None, NEW))
    assert less is not None
    assert less.completion_reserve == 90 / 6 - 10
    assert lowered(claim, Admission(False, None, KNOWN)) is None


def test_a_request_that_another_limit_refused_is_not_asked_for_smaller() -> None:
    claim = charged(TEXT % "requests, tokens", prompt=10, max_tokens=4000)

    def refused(**left: float) -> Admission:
        states = tuple(LimitState(charge.limit, left[charge.limit.name], 0.0) for charge in claim.charges)
        return Admission(False, None, Standing(), states)

    less = lowered(claim, refused(requests=9.0, tokens=2500.0))
    assert less is not None
    assert less.completion_reserve == 2490
    assert amounts(less) == {"requests": 1.0, "tokens": 2500.0}
    usual = lowered(claim, refused(requests=9.0, tokens=500.0))
    assert usual is not None
    assert usual.completion_reserve == 1024
    assert lowered(claim, refused(requests=0.0, tokens=9000.0)) is None


def test_strangers_are_new_and_keep_to_their_pool() -> None:
    text = (TEXT % "requests").replace(
        "unproven: {limits: [net]}", "unproven: {limits: [requests]}"
    ) + NEWCOMERS
    result = charged(text, STRANGER)
    assert [(charge.limit.name, charge.amount, charge.new) for charge in result.charges] == [
        ("requests", 6.0, None)
    ]


def test_settling_takes_the_true_usage_and_gives_streams_back() -> None:
    result = charged(ALL, stream=True, max_tokens=50, top_logprobs=2)
    true = {charge.limit.name: charge.amount for charge in settled(result, Usage(7, 30, 20))}
    assert true == {
        "tokens": 37, "requests": 1, "prompt": 7, "completion": 30, "reasoning": 20, "logprob_values": 60, "streams": 0
    }  # fmt: skip
    assert {charge.limit.name for charge in extended(result, 5)} == {
        "tokens",
        "completion",
        "reasoning",
        "logprob_values",
    }
    assert amounts(result)["logprob_values"] == 100
    assert [charge.amount for charge in extended(result, 5) if charge.limit.name == "logprob_values"] == [10]


BY = """version: 1
limits:
  team: {tokens: 10k, per: 1m, by: org}
  person: {tokens: 9k, per: 1m}
  badge: {tokens: 8k, per: 1m, by: key}
  glass: {tokens: 7k, per: 1m, by: model, window: sliding}
defaults: {limits: [team, person, badge, glass]}
"""


def scopes(account: Account, model: str = "Glass-2") -> dict[str, str]:
    return {charge.limit.name: charge.scope_key for charge in charged(BY, account, model=model).charges}


def test_each_limit_is_counted_by_whom_it_says_all_in_one_claim() -> None:
    assert scopes(Account("a", org="acme", key="key_1")) == {
        "team": "org:acme",
        "person": "account:a",
        "badge": "key:a\nkey_1",
        "glass": "model:a\nglass-2",
    }


def test_where_there_is_no_organisation_and_no_key_the_account_counts() -> None:
    assert scopes(Account("a")) == {
        "team": "account:a",
        "person": "account:a",
        "badge": "account:a",
        "glass": "model:a\nglass-2",
    }


def test_who_is_not_vouched_for_reaches_no_pool_by_what_he_names() -> None:
    claimed = Account("a", org="acme", key="key_1", proven=False, network="n1")
    assert set(scopes(claimed).values()) == {"network:n1"}


def test_what_all_share_is_one_pool_for_strangers_too_and_no_band_pays_more_of_it() -> None:
    text = (
        "version: 1\nlimits: {all: {tokens: 9k, per: 1m, by: all}}\ndefaults: {limits: [all], charge: 2x}\n"
    )
    text += "accounts: {unproven: {limits: [all]}}\n" + BANDS
    known, stranger = charged(text), charged(text, Account("x", proven=False, network="n1"))
    for claim in (known, stranger):
        (charge,) = claim.charges
        assert (charge.scope_key, dict(charge.by_band)) == (EVERYBODY.scope, {})
    assert [charge.amount for charge in settled(known, Usage(10, 20, 5))] == [60]


@pytest.mark.parametrize("model", ["GLASS-2", "x" * 100_000, "\ud800", "b\nglass-2", ""])
def test_no_model_that_a_caller_makes_up_names_anothers_pool(model: str) -> None:
    name = scopes(Account("a"), model)["glass"]
    name.encode()
    assert name.startswith("model:a\n")
    assert len(name) < 200


def test_an_account_cannot_be_named_like_a_pool_of_another() -> None:
    assert scopes(Account("a/b"), "c")["glass"] != scopes(Account("a"), "b/c")["glass"]


@pytest.mark.parametrize(("in_debt", "most"), [(False, 1024 + 3000), (True, 1024 + 3000 + 9000)])
def test_what_can_be_had_is_what_is_reserved_and_what_is_left_of_the_tightest_limit(
    in_debt: bool, most: int
) -> None:
    claim = charged(BY, stream=True)
    left = {"team": 4000.0, "person": 3000.0, "badge": 5000.0, "glass": 7000.0}
    states = tuple(LimitState(charge.limit, left[charge.limit.name], 0.0) for charge in claim.charges)
    assert available(claim, Admission(True, None, Standing(), states), in_debt=in_debt) == most
    assert available(claim, Admission(True, None, Standing())) is None  # a store that does not tell


def test_what_is_left_is_less_for_whom_each_token_counts_more_often() -> None:
    claim = charged(TEXT % "tokens" + BANDS, stream=True)
    states = tuple(LimitState(charge.limit, 4000.0, 0.0) for charge in claim.charges)
    assert available(claim, Admission(True, None, Standing(0.9, "harden"), states)) == 1024 + 1000
    assert available(charged(TEXT % "requests"), Admission(True, None, Standing(), states)) is None


def test_an_answer_that_is_finished_in_debt_may_pass_each_limit_by_what_it_says() -> None:
    text = (TEXT % "tokens").replace("tokens: 1M, per: 1m, burst: 2M", "tokens: 1k, per: 1m, max_debt: 300")
    claim = charged(text)
    assert [charge.limit.burst for charge in extended(claim, 10)] == [1000]
    owing = extended(claim, 10, in_debt=True)
    assert [(charge.limit.burst, charge.limit.key) for charge in owing] == [
        (1300, claim.charges[0].limit.key)
    ]
    unsaid = charged(text.replace(", max_debt: 300", ""))
    assert [charge.limit.burst for charge in extended(unsaid, 10, in_debt=True)] == [2000]


def test_a_model_with_line_ends_is_no_name_of_anything_beside_a_scope() -> None:
    """Catches a caller who makes a store read one of its leases as a limit, and so seem to fail."""
    text = "version: 1\nlimits: {m: {tokens: 100, per: 1m, by: model}}\ndefaults: {limits: [m]}\n"
    (charge,) = charged(text, model="Foo\nleases").charges
    assert charge.scope_key == "model:a\nfoo leases"


def test_each_model_that_may_answer_is_charged() -> None:
    """Catches an expensive model that answers on the allowance of a cheap one."""
    text = "version: 1\nlimits: {m: {tokens: 100, per: 1m, by: model}}\ndefaults: {limits: [m]}\n"
    claim = charged(text, model="cheap", others=("Dear", "dear", "cheap"))
    assert [charge.scope_key for charge in claim.charges] == ["model:a\ncheap", "model:a\ndear"]
    assert {charge.amount for charge in claim.charges} == {claim.charges[0].amount}
