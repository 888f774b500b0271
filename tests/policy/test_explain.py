"""`explain` names the line that set each value: edit that line, and the value changes."""

from __future__ import annotations

import json
from itertools import product
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Account, RequestFacts, Standing
from hardening.policy import decide, load_policy, preset_names, would
from hardening.policy.explain import KNOWN, SETTINGS, Asked, Explanation, Setting, explain, untold
from hardening.policy.load import UNNAMED, Reading, Source, open_policy, open_text
from hardening.policy.nodes import Mark
from hardening.policy.provenance import KEYS, trace
from hardening.policy.quantities import start_of
from hardening.policy.terms import Terms

NOW = start_of("2027-01-01")
DOOR = "/v1/chat/completions"


def read(text: str, **parents: str) -> Reading:
    def parent(name: str, source: Source) -> Source:
        return Source(f"{name}.yaml", name, parents[name].encode())

    return open_text(Source("p.yaml", "p", text.encode()), environment={}, parents=parent, origin=UNNAMED)


def asked(
    account: Account | str = "a", standing: Standing = KNOWN, now: float = NOW, **facts: object
) -> Asked:
    who = Account(account) if isinstance(account, str) else account
    return Asked(RequestFacts(DOOR, "openai_chat", **{"model": "m", **facts}), who, standing, now)


def explained(text: str, question: Asked | None = None, **parents: str) -> Explanation:
    return explain(read(text, **parents), question or asked())


def setting(explanation: Explanation, key: str) -> Setting:
    return next(setting for setting in explanation.decided.settings if setting.key == key)


def place(explanation: Explanation, key: str) -> tuple[str, Mark | None]:
    source = setting(explanation, key).source
    return str(source), source.mark


def after(text: str, anchor: str, file: str = "p.yaml") -> Mark:
    """The place right after the only `anchor` of a text."""
    before, _ = text.split(anchor)
    before += anchor
    return Mark(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


# Random policies, one value a line

VALUES: dict[str, list[object]] = {
    "limits": [[], ["one"], ["two"], ["three", "one"]],
    "reasoning.show": ["full", "summary", "none"],
    "reasoning.max_tokens": [1, 50, 900],
    "reasoning.detail": ["brief", "outline"],
    "reasoning.overlap": ["ignore", "report", "stop"],
    "reasoning.seal": [True, False],
    "reasoning.resent": ["any", "sealed"],
    "reasoning.inline": ["never", "tagged", "starts_open"],
    "logprobs.top": [0, 1, 7, "all"],
    "logprobs.step": [0, 0.5, 9],
    "logprobs.noise": [0, 0.25, 0.5],
    "logprobs.sampling": ["any", "plain"],
    "embeddings.step": [0, 0.5, 9],
    "embeddings.noise": [0, 0.5, 9],
    "scores.step": [0, 0.5, 9],
    "pins": ["allow", "force", "refuse"],
    "usage": ["keep", "round", "drop"],
    "at_limit": ["finish", "slow", "cut"],
    "max_tokens": [1, 50, 900],
    "pace": ["1/s", "5/s", "90/s"],
    "charge": ["0.5x", "1x", "2x", "30x"],
    "scale": ["100%", "50%", "1%"],
}
MATCHES = (
    {},
    {"model": "m*"},
    {"model": "n"},
    {"group": "g"},
    {"header": {"x": "1"}},
    {"account": ["a", "b*"]},
    {"client": "10.0.0.0/8"},
)


def _nested(flat: dict[str, object]) -> dict:
    """The keys of a flat mapping, dots as levels."""
    whole: dict = {}
    for key, value in flat.items():
        first, _, second = key.partition(".")
        whole.setdefault(first, {}).update({second: value}) if second else whole.update({first: value})
    return whole


def _said(*without: str) -> st.SearchStrategy[dict]:
    keys = {key: st.sampled_from(values) for key, values in VALUES.items() if key not in without}
    return st.fixed_dictionaries({}, optional=keys).map(_nested)


@st.composite
def _rules(draw: st.DrawFn) -> list[dict]:
    rules = []
    for index in range(draw(st.integers(0, 4))):
        end = draw(st.sampled_from([None, None, None, None, {"exempt": True}, {"refuse": {"status": 403}}]))
        rule = {"name": f"r{index}", **(end or draw(_said()))}
        rule["match"] = draw(st.sampled_from(MATCHES))
        if unless := draw(st.sampled_from(MATCHES)):
            rule["except"] = unless
        rule |= draw(
            st.sampled_from([{}, {}, {}, {"mode": "shadow"}, {"enforce": "50%"}, {"until": "2026-01-01"}])
        )
        rules.append(rule)
    return rules


@st.composite
def _policies(draw: st.DrawFn) -> dict:
    bands = {
        f"b{index}": {"enter": 0.2 + index / 5, "leave": 0.1, **band}
        for index, band in enumerate(draw(st.lists(_said("limits"), max_size=3)))
    }
    new = {"until": {"requests": 5}, **draw(_said())}
    pool = draw(st.sampled_from([{}, {"unproven": {"limits": ["two"]}}]))
    return {
        "version": 1,
        "mode": draw(st.sampled_from(["enforce", "enforce", "shadow"])),
        "accounts": {"groups": {"g": ["a"]}, **pool},
        "limits": {name: {"requests": 5, "per": "1m"} for name in ("one", "two", "three")},
        "defaults": draw(_said()),
        "rules": draw(_rules()),
        "risk": {"new": new, "bands": bands} if draw(st.booleans()) else {"bands": bands},
    }


ASKED = st.builds(
    lambda model, header, client, who, proven, standing: Asked(
        RequestFacts(DOOR, "openai_chat", model, headers=header, client=client),
        Account(who, proven=proven, network="n"),
        standing,
        NOW,
    ),
    st.sampled_from(["m1", "n", "o"]),
    st.sampled_from([(), ((b"x", b"1"),)]),
    st.sampled_from(["10.1.1.1", "192.0.2.1"]),
    st.sampled_from(["a", "b1", "c"]),
    st.booleans(),
    st.sampled_from([KNOWN, KNOWN._replace(band="b0"), KNOWN._replace(band="b2"), Standing(band="b1")]),
)


def block(value: object, indent: int = 0) -> str:
    """The value as YAML with one leaf a line."""
    pad = " " * indent
    if isinstance(value, dict) and value:
        return "".join(
            f"{pad}{key}:\n{block(inner, indent + 2)}"
            if (isinstance(inner, dict) and inner) or (isinstance(inner, list) and key == "rules" and inner)
            else f"{pad}{key}: {json.dumps(inner)}\n"
            for key, inner in value.items()
        )
    assert isinstance(value, list)
    return "".join(f"{pad}-\n{block(item, indent + 2)}" for item in value)


def edited(text: str, values: dict[Mark, object]) -> str:
    """The text with another value at each of the places."""
    lines = text.splitlines(keepends=True)
    for mark, value in values.items():
        lines[mark.line - 1] = lines[mark.line - 1][: mark.column - 1] + json.dumps(value) + "\n"
    return "".join(lines)


@settings(max_examples=150, deadline=None)
@given(_policies(), ASKED, st.data())
def test_editing_the_line_that_is_named_changes_the_value(
    data: dict, question: Asked, draw: st.DataObject
) -> None:
    text = block(data)
    explanation = explained(text, question)
    editable = [found for found in explanation.decided.settings if _is_written(found)]
    if not editable:
        return
    found = draw.draw(st.sampled_from(editable))
    path = next(SETTINGS[name] for name in KEYS if ".".join(KEYS[name]) == found.key)
    sources = (found.source, *found.also)
    keys = sorted({source.key for source in sources if source.key})

    def becomes(values: dict[str, object]) -> object:
        marks = {source.mark: values[source.key] for source in sources if source.mark and source.key}
        return attrgetter(path)(explained(edited(text, marks), question).decided.decision)

    ways = (dict(zip(keys, way, strict=True)) for way in product(*(VALUES[key] for key in keys)))
    assert any(becomes(values) != found.value for values in ways)


def _is_written(found: Setting) -> bool:
    """Whether the value was set by keys of the file alone."""
    sources = (found.source, *found.also)
    return all(source.key in VALUES and source.mark for source in sources)


@settings(max_examples=120, deadline=None)
@given(_policies(), ASKED)
def test_what_is_explained_is_what_is_decided(data: dict, question: Asked) -> None:
    reading = read(block(data))
    policy = reading.policy
    explanation = explain(reading, question)
    arguments = (policy, question.facts, question.account, question.standing, question.now)
    assert explanation.decided.decision == decide(*arguments)
    assert (explanation.would and explanation.would.decision) == would(*arguments)
    if explanation.decided.decision.exempt:
        return
    rules, layers = policy.enforced_for(question.account)
    hits = policy.hits(question.facts, question.account, question.now)
    traced = trace(
        reading, hits & rules, policy.layers_of(question.standing) & layers, proven=question.account.proven
    )
    for name, path in SETTINGS.items():
        value = attrgetter(path)(explanation.decided.decision)
        said = getattr(traced.terms, name)
        if name != "limits":
            assert value == (None if said == "all" else said)
            assert traced.sources(name)


@settings(max_examples=120, deadline=None)
@given(_policies(), ASKED)
def test_every_rule_is_told_to_hold_or_the_key_against_it(data: dict, question: Asked) -> None:
    policy = read(block(data)).policy
    groups = policy.groups.of(question.account)
    against = list(policy.rulebook.against(question.facts, question.account, groups, question.now))
    hits = policy.hits(question.facts, question.account, question.now)
    assert [not keys for keys in against] == [bool(hits >> index & 1) for index in range(len(against))]
    parts = explain(read(block(data)), question).parts
    assert [part.source.name for part in parts if part.source.kind == "rule"] == [
        rule["name"] for rule in data["rules"]
    ]


def test_the_tables_of_this_room_name_every_field() -> None:
    assert list(KEYS) == list(Terms.__slots__)


# Places

HEAD = """version: 1
accounts: {groups: {partner: [org_acme], beta: []}}
limits:
  small: {requests: 5, per: 1m}
  pool: {requests: 5, per: 1m}
"""
POLICY = (
    HEAD
    + """defaults:
  limits: [small]
  reasoning: {show: summary}
  logprobs:
    top: 5
rules:
  - name: partners
    match: {group: partner}
    reasoning:
      show: full
  - name: closed
    match: {model: "glass-*"}
    except: {group: partner}
    refuse: {status: 451}
  - name: later
    until: 2026-12-31
    usage: drop
  - name: trial
    mode: shadow
    logprobs: {top: 1}
risk:
  new: {until: {requests: 9}, max_tokens: 99}
  bands:
    watch: {enter: 0.5, leave: 0.4, logprobs: {noise: 0.5}, charge: 4x}
    harden: {enter: 0.8, leave: 0.7, reasoning: {show: none}, logprobs: {top: 0}}
"""
)


def test_a_value_has_the_place_of_the_part_that_set_it() -> None:
    found = explained(POLICY, asked(Account("x", org="org_acme")))
    assert place(found, "reasoning.show") == ("rule partners", after(POLICY, "      show: "))
    assert place(found, "logprobs.top") == ("defaults", after(POLICY, "    top: "))
    assert place(found, "limits") == ("defaults", after(POLICY, "  limits: "))
    assert place(found, "rule") == ("rule partners", after(POLICY, "rules:\n  - name: "))
    assert place(found, "pace") == ("built-in default", None)
    assert str(setting(found, "usage").source) == "built-in default"
    assert found.groups == ("partner",)


def test_a_value_of_a_parent_has_the_place_in_the_parents_file() -> None:
    child = "version: 1\nextends: base\ndefaults: {reasoning: {max_tokens: 9}}\n"
    found = explained(child, base=POLICY)
    assert place(found, "reasoning.show") == ("defaults", after(POLICY, "  reasoning: {show: ", "base.yaml"))
    assert place(found, "reasoning.max_tokens") == ("defaults", after(child, "max_tokens: "))


def test_a_band_that_tightens_is_the_place_and_one_that_agrees_is_named_beside_it() -> None:
    found = explained(POLICY, asked(standing=KNOWN._replace(band="harden")))
    assert place(found, "reasoning.show") == ("band harden", after(POLICY, "leave: 0.7, reasoning: {show: "))
    assert place(found, "charge") == ("band watch", after(POLICY, "charge: "))
    assert place(found, "logprobs.noise") == ("band watch", after(POLICY, "noise: "))
    assert place(found, "band") == ("band harden", after(POLICY, "4x}\n    "))


def test_of_those_that_ask_for_the_same_the_first_has_set_it() -> None:
    bands = "risk: {bands: {w: {enter: 0.5, leave: 0.4, reasoning: {show: none}, at_limit: slow}}}\n"
    text = HEAD + "defaults: {reasoning: {show: none}, at_limit: slow}\n" + bands
    found = explained(text, asked(standing=KNOWN._replace(band="w")))
    for key in ("reasoning.show", "at_limit"):
        source, *also = (setting(found, key).source, *setting(found, key).also)
        assert (str(source), [str(other) for other in also]) == ("defaults", ["band w"])
    cut = explained(
        text.replace("at_limit: slow}}", "at_limit: cut}}"), asked(standing=KNOWN._replace(band="w"))
    )
    assert str(setting(cut, "at_limit").source) == "band w"


def test_a_new_account_is_held_by_the_prior() -> None:
    found = explained(POLICY, asked(standing=Standing()))
    assert place(found, "max_tokens") == ("risk.new", after(POLICY, "max_tokens: "))


def test_limits_of_who_is_not_vouched_for_are_those_of_the_pool() -> None:
    stranger = asked(Account("x", proven=False, network="n"))
    assert place(explained(POLICY, stranger), "limits") == ("defaults", after(POLICY, "  limits: "))
    pooled = POLICY.replace("beta: []}", "beta: []}, unproven: {limits: [pool]}")
    assert place(explained(pooled, stranger), "limits") == (
        "accounts.unproven",
        after(pooled, "unproven: {limits: "),
    )


def test_a_refusal_has_its_place_and_charges_no_limit() -> None:
    found = explained(POLICY, asked(model="glass-1"))
    assert place(found, "refuse") == ("rule closed", after(POLICY, "except: {group: partner}\n    "))
    assert setting(found, "limits").value == ()
    assert place(found, "limits") == place(found, "refuse")
    assert states(found)["later"] == ("does not hold", "until")


def test_the_exempt_have_no_settings() -> None:
    text = HEAD + "rules:\n  - {name: all, exempt: true}\n  - {name: b, usage: drop}\n"
    found = explained(text)
    assert [item.key for item in found.decided.settings] == ["mode", "disclose", "rule", "exempt"]
    assert place(found, "exempt") == ("rule all", after(text, "exempt: "))
    assert states(found) == {"all": ("exempts", ""), "b": ("not reached", "all ended the walk")}


def test_a_mode_from_the_environment_is_told_as_such() -> None:
    source = Source("p.yaml", "p", b"version: 1\nmode: enforce\n")
    reading = open_text(source, environment={"HARDENING_MODE": "shadow"}, parents=lambda *_: source)
    found = setting(explain(reading, asked()), "mode")
    assert (found.value, str(found.source)) == ("shadow", "environment HARDENING_MODE")
    shadow = POLICY + "mode: shadow\n"
    assert place(explained(shadow), "mode") == ("policy", after(shadow, "\nmode: "))


# What each part did


def states(explanation: Explanation) -> dict[str | None, tuple[str, str]]:
    return {part.source.name: (part.state, part.why) for part in explanation.parts}


def test_each_rule_says_what_it_did_or_the_key_against_it() -> None:
    found = states(explained(POLICY))
    assert found["partners"] == ("does not hold", "match.group")
    assert found["closed"] == ("does not hold", "match.model")
    assert found["later"] == ("does not hold", "until")
    assert found["trial"] == ("shadow", "mode: shadow")
    assert found["watch"] == ("does not hold", "the account is not in it")
    assert found[None] == ("does not hold", "the account is not new")
    partner = asked(Account("x", org="org_acme"), model="glass-1", standing=Standing(band="watch"))
    found = states(explained(POLICY, partner))
    assert found["partners"] == ("acts", "")
    assert found["closed"] == ("does not hold", "except")
    assert (found["watch"], found["harden"][0]) == (("tightens", ""), "does not hold")
    assert found[None] == ("tightens", "")
    assert states(explained(POLICY, asked(model="glass-1")))["trial"] == ("shadow", "mode: shadow")


def test_rules_that_would_loosen_for_a_stranger_are_held_back_or_only_tighten() -> None:
    rules = "rules:\n  - {name: a, match: {model: m}, exempt: true}\n  - {name: b, match: {model: m}, usage: drop}\n"
    found = states(explained(HEAD + rules, asked(Account("x", proven=False, network="n"))))
    assert found["a"][0] == "held back"
    assert found["b"] == ("tightens", "nobody vouched for the caller")


def test_a_share_that_leaves_an_account_out_is_told() -> None:
    rules = "rules:\n  - {name: a, enforce: 0%, usage: drop}\n"
    bands = "risk: {bands: {w: {enter: 0.5, leave: 0.4, enforce: 0%, usage: drop}}}\n"
    found = states(explained(HEAD + rules + bands, asked(standing=KNOWN._replace(band="w"))))
    assert found["a"] == found["w"] == ("shadow", "its `enforce` share leaves this account out")


def test_what_would_be_has_places_of_its_own() -> None:
    found = explained(POLICY)
    assert found.would is not None
    top = next(item for item in found.would.settings if item.key == "logprobs.top")
    assert (top.value, str(top.source)) == (1, "rule trial")
    assert explained(HEAD).would is None


def test_facts_that_are_not_known_are_named_with_the_rules_that_rest_on_them() -> None:
    unknown = frozenset({"group", "header"})
    assert list(untold(read(POLICY), asked(), unknown)) == [("partners", "match.group")]
    assert list(untold(read(POLICY), asked(model="glass-1"), unknown)) == [
        ("partners", "match.group"),
        ("closed", "except.group"),
    ]
    assert list(untold(read(POLICY), asked(), frozenset())) == []


@pytest.mark.parametrize("name", ["baseline", "observe", "strict"])
def test_presets_are_explained_from_the_files_that_say_it(name: str) -> None:
    assert name in preset_names()
    found = explain(open_policy(name), asked())
    assert found.decided.decision == decide(load_policy(name), asked().facts, Account("a"), KNOWN, NOW)
    mark = setting(found, "logprobs.step").source.mark
    assert mark is not None
    assert mark.file.endswith("baseline/policy.yaml")
