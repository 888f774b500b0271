"""The walk over defaults and rules, standing over it, and what an unproven caller cannot reach."""

from __future__ import annotations

import pytest

from hardening.facts import Account, Decision, RequestFacts, Standing
from hardening.policy import Policy, decide, would
from hardening.policy.quantities import start_of
from tests.policy.loading import loaded

NOW = start_of("2027-01-01")
HEAD = """version: 1
accounts: {groups: {partner: [org_acme, "acct_9*"], internal: ["svc-*"], beta: []}}
limits: {small: {requests: 5, per: 1m}, big: {requests: 50, per: 1m}, net: {requests: 9, per: 1m}}
"""
BASE = HEAD + "defaults: {reasoning: {show: summary}, logprobs: {top: 5}, limits: [small]}\n"


def asked(**changes: object) -> RequestFacts:
    return RequestFacts(**{"door": "/v1/chat/completions", "format": "openai_chat", "model": "m", **changes})


def decided(
    policy: Policy,
    account: Account | str = "a",
    now: float = NOW,
    standing: Standing = Standing(),
    **facts: object,
) -> Decision:
    account = Account(account) if isinstance(account, str) else account
    return decide(policy, asked(**facts), account, standing, now)


def with_rules(*rules: str, base: str = BASE) -> Policy:
    return loaded(base + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules))


def test_nothing_falls_through_the_defaults() -> None:
    decision = decided(loaded(BASE))
    assert (decision.reasoning.show, decision.logprobs.top, decision.limits) == ("summary", 5, ("small",))
    assert decision.rule is None
    assert decision.acts


def test_rules_lie_over_each_other_in_order_and_only_where_they_speak() -> None:
    policy = with_rules(
        "{name: one, reasoning: {show: none}, limits: [big]}", "{name: two, reasoning: {max_tokens: 9}}"
    )
    decision = decided(policy)
    assert (decision.rule, decision.limits) == ("two", ("big",))
    assert (decision.reasoning.show, decision.reasoning.max_tokens, decision.logprobs.top) == ("none", 9, 5)


SECRET = (
    "{name: secret, match: {model: 'glass-*'}, reasoning: {show: none}, logprobs: {top: 0}, limits: [big]}"
)
OPEN = "{name: open, match: {model: 'clear-*'}, reasoning: {show: full}}"
GONE = "{name: gone, match: {model: glass-9}, refuse: {status: 403, message: no}}"
OURS = "{name: ours, match: {account: svc-*}, except: {model: glass-1}, exempt: true}"


@pytest.mark.parametrize(
    ("model", "others", "show", "top"),
    [
        ("m", (), "summary", 5),
        ("clear-1", (), "full", 5),
        ("m", ("x", "y"), "summary", 5),
        ("m", ("GLASS-1",), "none", 0),
        ("glass-1", ("m",), "none", 0),
        ("clear-1", ("m",), "summary", 5),
        ("clear-1", ("clear-2",), "full", 5),
        ("clear-1", ("glass-2",), "none", 0),
        ("", ("",), "none", 0),
        ("m", ("",), "none", 0),
    ],
)
@pytest.mark.parametrize("rules", [(SECRET, OPEN), (OPEN, SECRET)])
def test_of_several_models_that_may_answer_the_strictest_terms_hold(
    rules: tuple[str, str], model: str, others: tuple[str, ...], show: str, top: int
) -> None:
    """Catches a list of fallbacks, or a request without a model, as a way around a model's rule."""
    decision = decided(with_rules(*rules), model=model, others=others)
    assert (decision.reasoning.show, decision.logprobs.top) == (show, top)
    assert decision.limits == (
        ("small", "big") if show == "none" and (model, others) != ("glass-1", ()) else ("small",)
    )


def test_a_refusal_of_one_of_several_models_refuses_and_what_was_kept_is_given() -> None:
    policy = with_rules(GONE, SECRET)
    for facts in ({"others": ("glass-9",)}, {"model": "", "others": ("",)}):
        assert decided(policy, **facts).refusal is not None
    kept = decided(policy, model="", others=("",), kept=True)
    assert (kept.refusal, kept.reasoning.show) == (None, "none")


def test_what_was_kept_may_have_been_made_under_any_band() -> None:
    """Catches answers that are fetched when the band in which they were made is left."""
    bands = "risk: {bands: {high: {enter: 0.8, leave: 0.7, reasoning: {show: none}, logprobs: {top: 0}, pace: 5/s}}}\n"
    base = BASE + bands + "doors: {kept: %s}\n"
    for kept, show, top in (("now", "summary", 5), ("strictest", "none", 0)):
        policy = with_rules("{name: one, limits: [big]}", base=base % kept)
        decision = decided(policy, model="", others=("",), kept=True)
        assert (decision.reasoning.show, decision.logprobs.top, decision.pace_per_s) == (show, top, None)
        assert decided(policy).reasoning.show == "summary"
    shadow = with_rules("{name: one, limits: [big]}", base=base % "strictest" + "mode: shadow\n")
    told = would(shadow, asked(kept=True), Account("a"), Standing(), NOW)
    assert told is not None
    assert (told.reasoning.show, told.enforced) == ("none", True)


@pytest.mark.parametrize(
    ("peak", "show", "top"),
    [
        ("", "summary", 5),
        ("+", "summary", 1),
        ("low", "none", 1),
        ("high", "none", 0),
        ("gone", "none", 0),
        (None, "none", 0),
    ],
)
def test_what_was_kept_is_given_as_the_highest_band_of_its_account_lately(
    peak: str | None, show: str, top: int
) -> None:
    """Catches answers that are fetched when the band in which they were made is left."""
    bands = (
        "risk: {new: {until: {requests: 9}, logprobs: {top: 1}}, bands: {low: {enter: 0.5, leave: 0.4, reasoning: {show: none}},"
        " high: {enter: 0.8, leave: 0.7, logprobs: {top: 0}, charge: 2x}}}\n"
    )
    rule = "{name: one, limits: [big]}"
    policy = with_rules(rule, base=BASE + bands + "doors: {kept: then}\n")
    standing = Standing(requests=9, age_s=1e6, peak=peak)
    decision = decided(policy, standing=standing, kept=True)
    assert (decision.reasoning.show, decision.logprobs.top, decision.charge) == (show, top, 1.0)
    assert decided(policy, standing=standing).reasoning.show == "summary"
    now = standing._replace(band="high", peak="+")
    assert decided(policy, standing=now, kept=True).logprobs.top == 0
    before = with_rules(rule, base=BASE + bands)
    assert decided(before, standing=standing, kept=True).reasoning.show == "summary"
    shadow = with_rules(rule, base=BASE + bands + "doors: {kept: then}\nmode: shadow\n")
    told = would(shadow, asked(kept=True), Account("a"), standing, NOW)
    assert told is not None
    assert told.logprobs.top == top


def test_nobody_is_exempt_for_one_of_several_models() -> None:
    policy = with_rules(OURS)
    assert decided(policy, "svc-1", others=("m2",)).exempt
    assert not decided(policy, "svc-1", others=("glass-1",)).exempt
    assert not decided(policy, "svc-1", model="", others=("",)).exempt
    assert would(policy, asked(others=("glass-1",)), Account("svc-1"), Standing(), NOW) is None


@pytest.mark.parametrize(
    ("match", "facts", "account", "hit"),
    [
        ("model: 'glass-*'", {"model": "glass-1"}, "a", True),
        ("model: 'glass-*'", {"model": "GLASS-1"}, "a", True),
        ("model: 'glass-*'", {"model": " glass-1"}, "a", True),
        ("model: 'glass-*'", {"model": "other"}, "a", False),
        ("model: [x, 'a*b*c']", {"model": "a-b-b-c"}, "a", True),
        ("model: 'a*b*bc'", {"model": "abc"}, "a", False),
        ("model: 'ab*ba'", {"model": "aba"}, "a", False),
        ("account: a", {}, "a", True),
        ("account: A", {}, "a", False),
        ("account: org_x", {}, Account("z", org="org_x"), True),
        ("group: partner", {}, Account("z", org="org_acme"), True),
        ("group: partner", {}, "acct_91", True),
        ("group: partner", {}, "acct_81", False),
        ("group: beta", {}, Account("z", groups=("beta",)), True),
        ("group: [beta, internal]", {}, "svc-1", True),
        ("door: openai_chat", {}, "a", True),
        ("door: /v1/chat/*", {}, "a", True),
        ("door: anthropic_messages", {}, "a", False),
        ("header: {X-Tenant: 'r*'}", {"headers": ((b"x-tenant", b"red"),)}, "a", True),
        ("header: {X-Tenant: 'r*'}", {"headers": ((b"x-tenant", b"blue"),)}, "a", False),
        ("header: {X-Tenant: 'r*'}", {}, "a", False),
        ("header: {a: x, b: y}", {"headers": ((b"a", b"x"),)}, "a", False),
        ("header: {a: x, b: y}", {"headers": ((b"b", b"y"), (b"a", b"x"))}, "a", True),
        ("client: 10.0.0.0/8", {"client": "10.1.2.3"}, "a", True),
        ("client: 10.0.0.0/8", {"client": "11.1.2.3"}, "a", False),
        ("client: 10.0.0.0/8", {"client": "::ffff:10.1.2.3"}, "a", True),
        ("client: '2001:db8::/32'", {"client": "2001:db8::1"}, "a", True),
        ("client: 10.0.0.0/8", {"client": "testclient"}, "a", False),
        ("model: m, door: openai_chat", {}, "a", True),
        ("model: m, door: ollama_chat", {}, "a", False),
    ],
)
def test_a_rule_holds_where_all_its_keys_do(
    match: str, facts: dict[str, object], account: Account | str, hit: bool
) -> None:
    policy = with_rules(f"{{name: r, match: {{{match}}}, usage: drop}}")
    for _ in range(2):  # the second time from the remembered answers
        assert (decided(policy, account, **facts).rule == "r") is hit


def test_an_exception_takes_its_requests_out() -> None:
    policy = with_rules(
        "{name: r, match: {model: 'glass-*'}, except: {group: [partner, internal]}, refuse: {}}"
    )
    assert decided(policy, "acct_1", model="glass-1").refusal is not None
    assert decided(policy, "acct_91", model="glass-1").refusal is None
    assert decided(policy, "acct_1", model="other").refusal is None


def test_exempt_and_refuse_end_the_walk() -> None:
    exempt = with_rules("{name: a, match: {account: a}, exempt: true}", "{name: b, refuse: {status: 451}}")
    assert decided(exempt, "a").exempt
    assert not decided(exempt, "a").acts
    refusal = decided(exempt, "b").refusal
    assert refusal is not None
    assert (refusal.status, refusal.kind) == (451, "forbidden")


def test_until_acts_through_the_day_before_in_utc() -> None:
    policy = with_rules(
        "{name: r, until: 2027-03-31, usage: drop}", "{name: s, until: 2027-02-01, pace: 1/s}"
    )
    end = start_of("2027-03-31")
    assert decided(policy, now=end - 1).usage == "drop"
    assert decided(policy, now=end).usage == "keep"
    assert decided(policy, now=end - 1).pace_per_s is None
    assert decided(policy, now=NOW).pace_per_s == 1.0
    assert decided(policy, now=end).pace_per_s is None  # whoever ended stays away when others end


def test_the_shadow_of_a_policy_changes_nothing_and_says_what_would_be() -> None:
    policy = loaded(BASE + "mode: shadow\n")
    assert not decided(policy).acts
    whole = would(policy, asked(), Account("a"), Standing(), NOW)
    assert whole is not None
    assert (whole.enforced, whole.reasoning.show) == (True, "summary")


def test_the_shadow_of_a_rule_is_only_in_what_would_be() -> None:
    policy = with_rules("{name: r, mode: shadow, refuse: {}}")
    assert decided(policy).refusal is None
    whole = would(policy, asked(), Account("a"), Standing(), NOW)
    assert whole is not None
    assert whole.refusal is not None
    assert would(loaded(BASE), asked(), Account("a"), Standing(), NOW) is None


def test_a_share_of_the_accounts_is_drawn_once_and_for_all() -> None:
    policy = with_rules("{name: r, enforce: 30%, usage: drop}")
    drawn = [decided(policy, f"acct_{index}").usage == "drop" for index in range(2000)]
    # Binomial(2000, .3): sd 20.5, so 5 sd on either side.
    assert 497 < sum(drawn) < 703
    again = with_rules("{name: r, enforce: 30%, usage: drop}")
    assert drawn == [decided(again, f"acct_{index}").usage == "drop" for index in range(2000)]


def test_an_unproven_caller_cannot_draw_ids_until_a_share_leaves_him_out() -> None:
    policy = with_rules("{name: r, enforce: 50%, usage: drop}")
    seen = {decided(policy, Account(f"id{i}", proven=False, network="n")).usage for i in range(50)}
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ("{name: r, match: {header: {x: '*'}}, exempt: true}", {"headers": ((b"x", b"1"),)}),
        ("{name: r, match: {header: {x: '*'}}, reasoning: {show: full}}", {"headers": ((b"x", b"1"),)}),
        ("{name: r, match: {group: partner}, exempt: true}", {}),
        ("{name: r, match: {account: 'acct_9*'}, exempt: true}", {}),
        ("{name: r, match: {account: org_acme}, logprobs: {top: all}}", {}),
        ("{name: r, match: {model: m}, logprobs: {top: 20}}", {}),
        ("{name: r, match: {door: openai_chat}, exempt: true}", {}),
        ("{name: r, except: {group: internal}, exempt: true}", {}),
        ("{name: r, except: {header: {y: '*'}}, logprobs: {top: 20}}", {}),
    ],
)
def test_no_header_body_field_or_path_loosens_for_who_is_not_vouched_for(
    rule: str, facts: dict[str, object]
) -> None:
    policy = with_rules(rule)
    stranger = Account("acct_91", org="org_acme", groups=("partner",), proven=False, network="n")
    decision = decided(policy, stranger, **facts)
    assert decision.acts
    assert (decision.reasoning.show, decision.logprobs.top) == ("summary", 5)
    proven = decided(policy, Account("acct_91", org="org_acme"), **facts)
    assert proven.exempt or proven.reasoning.show == "full" or proven.logprobs.top != 5


def test_a_claim_still_tightens_and_refuses_for_who_is_not_vouched_for() -> None:
    policy = with_rules("{name: r, match: {header: {x: '*'}}, logprobs: {top: 0}}")
    stranger = Account("a", proven=False, network="n")
    assert decided(policy, stranger, headers=((b"x", b"1"),)).logprobs.top == 0
    refusing = with_rules("{name: r, except: {header: {x: '*'}}, refuse: {}}")
    assert decided(refusing, stranger, headers=((b"x", b"1"),)).refusal is not None


def test_a_rule_for_everybody_or_by_network_address_may_loosen_for_all() -> None:
    stranger = Account("a", proven=False, network="n")
    assert decided(with_rules("{name: r, exempt: true}"), stranger).exempt
    assert decided(
        with_rules("{name: r, match: {client: 10.0.0.0/8}, exempt: true}"), stranger, client="10.0.0.1"
    ).exempt


BANDS = (
    BASE
    + """risk:
  new: {until: {requests: 50, age: 1d}, logprobs: {top: 1}}
  bands:
    harden: {enter: 0.8, leave: 0.7, reasoning: {show: none}, charge: 25x}
    watch: {enter: 0.5, leave: 0.4, logprobs: {top: 3}, charge: 4x, reasoning: {show: full}}
"""
)
KNOWN = {"requests": 50, "age_s": 86400.0}


def test_a_band_includes_those_below_it_and_never_loosens() -> None:
    policy = loaded(BANDS)
    watch = decided(policy, standing=Standing(0.6, "watch", **KNOWN))
    assert (watch.band, watch.reasoning.show, watch.logprobs.top, watch.charge) == (
        "watch",
        "summary",
        3,
        4.0,
    )
    harden = decided(policy, standing=Standing(0.9, "harden", **KNOWN))
    assert (harden.band, harden.reasoning.show, harden.logprobs.top, harden.charge) == (
        "harden",
        "none",
        3,
        25.0,
    )


def test_a_band_of_another_policy_is_read_as_its_risk_says() -> None:
    policy = loaded(BANDS)
    assert decided(policy, standing=Standing(0.75, "gone", **KNOWN)).band == "harden"
    assert decided(policy, standing=Standing(0.45, "gone", **KNOWN)).band == "watch"
    assert decided(policy, standing=Standing(0.1, "gone", **KNOWN)).band is None


def test_an_account_is_new_until_both_are_passed() -> None:
    policy = loaded(BANDS)
    assert decided(policy, standing=Standing(requests=49, age_s=1e9)).logprobs.top == 1
    assert decided(policy, standing=Standing(requests=50, age_s=86399)).logprobs.top == 1
    assert decided(policy, standing=Standing(**KNOWN)).logprobs.top == 5


def test_a_band_in_shadow_does_not_act() -> None:
    policy = loaded(BANDS.replace("harden: {", "harden: {mode: shadow, "))
    standing = Standing(0.9, "harden", **KNOWN)
    assert decided(policy, standing=standing).reasoning.show == "summary"
    whole = would(policy, asked(), Account("a"), standing, NOW)
    assert whole is not None
    assert whole.reasoning.show == "none"


def test_what_is_not_built_yet_fails_closed_and_is_named() -> None:
    policy = loaded(
        BASE + "rules: [{name: r, reasoning: {seal: true}}]\ndoors: {/e: bedrock_converse, /c: openai_chat}\n"
    )
    decision = decided(policy)
    assert decision.reasoning.seal
    assert "bedrock_converse" in " ".join(policy.unenforced())
    assert loaded(BASE).unenforced() == ()


def test_many_names_leave_the_tables_bounded_and_the_answers_right() -> None:
    policy = with_rules("{name: r, match: {model: 'm1*'}, usage: drop}")
    for index in range(10_000):
        name = f"m{index}"
        assert (decided(policy, model=name).usage == "drop") is name.startswith("m1")
    assert decided(policy, model="m1" + "x" * 1_000_000).usage == "drop"
    held = [len(column._remembered) for _, column in policy.rulebook._match]
    assert max(held) <= 4096


def test_the_group_for_keys_is_the_first_declared_one() -> None:
    policy = loaded(BASE)
    assert policy.key_group(Account("svc-1", org="org_acme")) == "partner"
    assert policy.key_group(Account("svc-1", groups=("beta",))) == "internal"
    assert policy.key_group(Account("x", groups=("undeclared",))) == "default"
    assert policy.key_group(Account("svc-1", proven=False)) == "default"
