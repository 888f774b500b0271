"""`Policy(...)`: the keys of a file as arguments mean what the file means, and faults name their path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest
from pydantic import BaseModel

from hardening import Account, Policy, PolicyError, RequestFacts, load_policy
from hardening.errors import PolicyFault
from hardening.facts import Standing
from hardening.policy import decide, find_preset, preset_names
from hardening.policy.load import Source, load_text, read_parent
from hardening.policy.model import PolicyFile
from hardening.policy.nodes import plain, read_nodes
from hardening.policy.written import PolicyKeys
from hardening.testing import find_leaks, harden
from tests.asgi.chat import BODY, TRACE, whole
from tests.asgi.driver import ask, replies, run
from tests.policy.test_mistakes import MISTAKES

SECRET = "sk-abcdefghijklmnop"


def keys_of(text: str) -> dict[str, Any]:
    """The keys of a policy text as Python values."""
    root, found = read_nodes(text.encode(), "p.yaml")
    assert not found
    keys: Any = plain(root)
    return dict(keys)


def faults_of(**keys: Any) -> tuple[PolicyFault, ...]:
    with pytest.raises(PolicyError) as caught:
        Policy(**keys)
    return caught.value.faults


# -- the same model


@pytest.mark.parametrize("preset", preset_names())
def test_the_keys_of_a_file_make_its_policy(preset: str) -> None:
    written = Policy(**keys_of(find_preset(preset).read_text("utf-8")))
    loaded = load_policy(preset)
    assert (written.name, written.digest, written.mode) == (loaded.name, loaded.digest, loaded.mode)
    assert written.runtime == loaded.runtime
    for account in (Account("acct_7"), Account("key_1", proven=False)):
        facts = RequestFacts("/v1/chat/completions", "openai_chat", "m")
        told = [decide(one, facts, account, Standing(), 0.0) for one in (written, loaded)]
        assert told[0] == told[1]


def same_in_code() -> Iterator[tuple[str, str]]:
    """The mistakes that values can have too: not those of YAML itself."""
    for name, marked, _ in MISTAKES:
        text = marked.replace("§", "")
        try:
            _, found = read_nodes(text.encode(), "p.yaml")
        except PolicyError:
            continue
        if not found:
            yield name, text


ALIKE = list(same_in_code())


@pytest.mark.parametrize(
    "text", [text for _, text in ALIKE if text.startswith("version") or "\nversion" in text]
)
def test_a_mistake_is_found_in_code_as_in_a_file(text: str) -> None:
    def said(faults: tuple[PolicyFault, ...]) -> list[str]:
        return sorted(fault.message.split(" (first ")[0] for fault in faults)

    with pytest.raises(PolicyError) as caught:
        load_text(Source("p.yaml", "p", text.encode()), environment={}, parents=read_parent)
    assert said(faults_of(**keys_of(text))) == said(caught.value.faults)


def test_most_mistakes_can_be_made_in_code() -> None:
    assert len(ALIKE) > len(MISTAKES) / 2


def typed_keys(
    keys: Any, model: type[BaseModel], path: str = "policy"
) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each mapping of the model with the keys that the types allow there and those that the model has."""
    hints = get_type_hints(keys)
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    yield path, set(hints), set(fields)
    for name in hints.keys() & fields.keys():
        inner = [one for one in nested(hints[name]) if is_typeddict(one)]
        models = [one for one in nested(fields[name]) if isinstance(one, type) and issubclass(one, BaseModel)]
        if inner and models:
            yield from typed_keys(inner[0], models[0], f"{path}.{name}")


def nested(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of, within lists, mappings and unions too."""
    yield annotation
    for argument in get_args(annotation):
        yield from nested(argument)


def test_the_types_have_the_keys_of_the_model() -> None:
    """Catches a key that the model got and a type checker refuses, or the other way round."""
    pairs = list(typed_keys(PolicyKeys, PolicyFile))
    assert len(pairs) > 15
    for path, typed, modelled in pairs:
        assert typed == modelled, path


# -- faults


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"nme": "a"}, "policy:nme: found the unknown key `nme`; did you mean `name`?"),
        ({"defaults": {"reasoning": {"show": "some"}}}, "policy:defaults.reasoning.show: found `some`"),
        ({"rules": [{"match": {}}]}, "policy:rules[0]: found no `name`, which is required here"),
        (
            {"rules": [{"name": "a", "match": {"group": "beta"}}]},
            "policy:rules[0].match.group: found the undeclared group `beta`",
        ),
        (
            {"rules": [{"name": "a"}, {"name": "a"}]},
            "policy:rules[1].name: found a second rule named `a` (first at policy:rules[0].name)",
        ),
        ({"limits": {"a": {"tokens": "5x", "per": "1m"}}}, "policy:limits.a.tokens: found `5x`"),
        ({"doors": {"/x": "openai"}}, "policy:doors['/x']: found `openai`"),
        ({"disclose": 1}, "policy:disclose: found `1` (allowed: true or false)"),
        ({"name": object()}, "policy:name: found a value of type object (allowed: a text,"),
        ({"name": b"a"}, "policy:name: found a value of type bytes"),
        ({"name": "\ud800"}, "policy:name: found a lone half"),
        ({"accounts": {"groups": {7: []}}}, "policy:accounts.groups: found a key of type int (allowed: a text)"),
        ({"extends": "gone.yaml"}, "policy:extends: cannot be read: No such file or directory"),
        ({"rules": [{"name": "a", "until": datetime(2027, 3, 31, tzinfo=UTC)}]}, "policy:rules[0].until: found a value of type"),
        ({"version": 2}, "policy:version: found `2` (allowed: 1)"),
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_names_the_path_of_its_value(keys: dict[str, Any], said: str) -> None:
    assert str(faults_of(**keys)[0]).startswith(said)


def test_all_faults_are_told_at_once() -> None:
    assert [fault.file for fault in faults_of(nme="a", disclose=1, mode="loud")] == [
        "policy:disclose", "policy:mode", "policy:nme",
    ]  # fmt: skip


def test_a_structure_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["defaults"] = endless
    assert any("more than 32 levels" in fault.message for fault in faults_of(**endless))


def test_a_value_that_looks_like_a_secret_is_not_repeated() -> None:
    for keys in (
        {"accounts": {"groups": {"a": [SECRET]}}},
        {"accounts": {"groups": {SECRET: ["a"]}}},
        {"rules": [{"name": "a", "match": {"account": SECRET}}]},
        {"runtime": {"keys": {"current": SECRET}}},
        {SECRET: 1},
    ):
        told = "\n".join(str(fault) for fault in faults_of(**keys))
        assert SECRET not in told
        assert "API key" in told


# -- what it is


def test_a_loaded_policy_is_one_too_and_neither_changes() -> None:
    assert isinstance(load_policy("baseline"), Policy)
    policy = Policy(name="mine", extends="baseline")
    with pytest.raises(FrozenInstanceError):
        policy.name = "yours"  # type: ignore[misc]
    assert not policy.preset
    assert Policy().name == "policy"


def test_a_copy_with_other_parts_forgets_what_it_worked_out() -> None:
    policy = Policy(extends="baseline")
    facts = RequestFacts("/v1/chat/completions", "openai_chat", "m")
    assert decide(policy, facts, Account("a"), Standing(), 0.0).enforced
    shadow = policy.but(mode="shadow")
    assert isinstance(shadow, Policy)
    assert not decide(shadow, facts, Account("a"), Standing(), 0.0).enforced
    assert (policy.mode, shadow.digest) == ("enforce", policy.digest)


def test_dates_and_tuples_are_what_a_file_would_have() -> None:
    rule: Any = {"name": "a", "match": {"model": ("x-*", "y-*")}, "until": date(2027, 3, 31)}
    text = "version: 1\nrules:\n  - {name: a, match: {model: [x-*, y-*]}, until: 2027-03-31}\n"
    loaded = load_text(Source("p.yaml", "p", text.encode()), environment={}, parents=read_parent)
    assert Policy(rules=(rule,)).digest == loaded.digest


def test_the_environment_is_read_only_where_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDENING_MODE", "shadow")
    runtime: Any = {"state": "sqlite:///${NAME:-a}.db"}
    assert Policy(runtime=runtime).mode == "enforce"
    given = Policy(runtime=runtime, environment={"HARDENING_MODE": "shadow", "NAME": "b"})
    assert (given.mode, given.runtime.state) == ("shadow", "sqlite:///b.db")


def test_it_extends_a_file_as_seen_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below.yaml").write_text("version: 1\ndisclose: false\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert not Policy(extends="below.yaml").disclose
    (tmp_path / "below.yaml").write_text("version: 1\ndisclose: 7\n", "utf-8")
    assert str(faults_of(extends="below.yaml")[0]).startswith("below.yaml:2:11: ")


def test_the_middleware_takes_it() -> None:
    policy = Policy(name="mine", extends="baseline", defaults={"reasoning": {"show": "none"}})
    hardened = harden(replies([whole()], kind=b"application/json"), policy)
    assert find_leaks(run(ask(hardened, BODY)).body, TRACE) == []
    assert hardened.receipts[0].policy.name == "mine"
