"""The JSON Schema is current, takes every policy that loads, and refuses every mistake that it can express."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import given, settings

from hardening.errors import PolicyError
from hardening.policy import find_preset, preset_names
from hardening.policy.nodes import plain, read_nodes
from hardening.policy.schema import policy_schema, schema_text
from tests.policy.loading import loaded
from tests.policy.test_mistakes import MISTAKES
from tests.policy.test_strictness import POLICIES

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "policies" / "policy.v1.schema.json"
SHIPPED = sorted(ROOT.glob("policies/**/policy.yaml"))
MODELINE = "# yaml-language-server: $schema="
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())

BEYOND = {
    # what a name refers to, and what two places say together
    "unproven limit unknown", "limit undeclared", "limit of new accounts undeclared", "limit of new accounts that all share", "new limit of all", "group undeclared", "exception undeclared", "two rules of a name",
    "door in two spellings", "header in two spellings", "band left before entered", "new for no request",
    "rotation that ends", "rotation of a group", "rotation of some",
    "parent unknown", "parent misspelt", "parent that no file can be", "parent is itself",
    # what a pattern would say too late or not at all
    "proxy with host bits", "proxy of a wrong size", "no such day", "duration of a year too many",
    "duration of no time", "share above all", "pace of a standstill", "charge of nothing", "scale of nothing",
    "door of no format", "a proxy's header in capitals",
    "variable unset", "variable without name", "variable with a bad name", "variable without end",
    # secrets, which the schema would have to quote
    "key in a group", "key as group name", "bearer token as an id", "token of a code host",
    # numbers that JSON does not tell apart
    "version with a fraction",
}  # fmt: skip
"""Mistakes that only loading finds."""


def instance(text: str) -> object:
    """The values of a policy, as an editor sees them."""
    root, faults = read_nodes(text.encode(), "p.yaml")
    if faults:
        raise PolicyError(tuple(faults))
    return plain(root)


def test_the_file_is_what_the_model_says() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), "run scripts/docs"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_policy_is_valid(path: Path) -> None:
    VALIDATOR.validate(instance(path.read_text("utf-8")))


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_leads_editors_to_the_schema(name: str) -> None:
    path = find_preset(name)
    line = path.read_text("utf-8").splitlines()[0]
    assert line.startswith(MODELINE)
    assert (path.parent / line.removeprefix(MODELINE)).resolve() == SCHEMA


@pytest.mark.parametrize(("name", "marked"), [row[:2] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_the_schema_refuses_what_loading_refuses(name: str, marked: str) -> None:
    try:
        values = instance(marked.replace("§", ""))
    except PolicyError:
        return  # no editor gets as far as the schema
    assert VALIDATOR.is_valid(values) is (name in BEYOND)


def test_what_is_said_to_be_beyond_the_schema_is_a_mistake() -> None:
    assert {row[0] for row in MISTAKES} >= BEYOND


@settings(max_examples=100, deadline=None)
@given(POLICIES)
def test_the_schema_takes_what_loading_takes(data: dict) -> None:
    loaded(orjson.dumps(data))
    VALIDATOR.validate(orjson.loads(orjson.dumps(data)))


@pytest.mark.parametrize(
    "text",
    [
        "runtime: {state: '${STATE:-memory://}', max_body: '${MAX}', audit: '${AUDIT}'}",
        "runtime: {audit: {file: '${AUDIT}'}, keys: {current: {env: '${WHICH}'}, previous: [{file: old}]}}",
        "runtime: {max_body: 64MiB, state: 'redis+cluster://h:1/0'}",
        "doors: {/: pass, /a/*: pass, /b: openai_chat, unknown: block}",
        "rules: [{name: a, match: {header: {x-a: [b, c]}, client: 10.0.0.0/8}, until: 2027-03-31, enforce: 2.5%}]",
        "accounts: {identify: [app, 'header:x-tenant'], trusted_proxies: ['::1', 10.0.0.0/8], groups: {beta: []}}",
        "risk: {new: {until: {requests: 10k, age: 1d}, logprobs: {top: all}}}",
        "limits: {a: {streams: 4}, b: {tokens: 1.5M, per: 0.5h, burst: 2000000}}",
    ],
)
def test_every_way_of_writing_a_value_is_taken_by_both(text: str) -> None:
    whole = "version: 1\n" + text
    loaded(whole, {"STATE": "memory://", "MAX": "5M", "AUDIT": "none", "WHICH": "KEY"})
    VALIDATOR.validate(instance(whole))


def test_a_child_may_say_a_part_of_what_its_parent_says() -> None:
    part = """limits: {requests: {burst: 9k}}
risk: {new: {until: {age: 2d}}, bands: {watch: {charge: 8x}}}
"""
    child = "version: 1\nextends: parent\n" + part
    parent = """version: 1
limits: {requests: {requests: 5, per: 1m}}
risk: {new: {until: {requests: 5}}, bands: {watch: {enter: 0.5, leave: 0.4}}}
"""
    loaded(child, parent=parent)
    VALIDATOR.validate(instance(child))
    assert len(list(VALIDATOR.iter_errors(instance("version: 1\n" + part)))) == 3
    two_units = "version: 1\nextends: parent\nlimits: {requests: {tokens: 5, streams: 2}}\n"
    assert not VALIDATOR.is_valid(instance(two_units))
