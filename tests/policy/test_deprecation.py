"""A key with a new name is accepted under its old one, warned about, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import jsonschema
import pytest
from pydantic import Field
from typer.testing import CliRunner

from hardening.cli import app
from hardening.policy import load as load_module
from hardening.policy.deprecation import Formerly
from hardening.policy.model import LimitSpec, PolicyFile, Rule
from hardening.policy.quantities import Seconds
from hardening.policy.schema import policy_schema
from hardening.policy.settings import Name
from tests.policy.loading import faults, loaded


class LaterLimit(LimitSpec):
    per: Annotated[Seconds | None, Formerly("interval")] = Field(default=None, description="The time.")


class LaterRule(Rule):
    name: Annotated[Name, Formerly("title"), Formerly("label")] = Field(description="The name.")


class LaterPolicy(PolicyFile):
    """The model of a later release, in which three keys have other names."""

    limits: dict[Name, LaterLimit] = Field(default_factory=dict)  # type: ignore[assignment]
    rules: Annotated[tuple[LaterRule, ...], Field()] = ()
    disclose: Annotated[bool, Formerly("tell")] = True


OLD = """version: 1
tell: false
limits: {minute: {requests: 5, interval: 1m}}
"""
NEW = OLD.replace("tell", "disclose").replace("interval", "per")


@pytest.fixture(autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "PolicyFile", LaterPolicy)


def test_the_old_name_means_the_same_and_is_told_with_its_place() -> None:
    old, new = loaded(OLD), loaded(NEW)
    assert old.disclose is new.disclose is False
    assert old.limits == new.limits
    assert [str(note) for note in old.old_names] == [
        "p.yaml:2:1: `tell` is now called `disclose`; write `disclose`",
        "p.yaml:3:32: `interval` is now called `per`; write `per`",
    ]
    assert new.old_names == ()


def test_the_digest_is_that_of_the_new_name() -> None:
    assert loaded(OLD).digest == loaded(NEW).digest


def test_a_child_with_the_new_name_overrides_its_parents_old_one() -> None:
    child = "version: 1\nextends: parent\ndisclose: true\nlimits: {minute: {per: 2m}}\n"
    policy = loaded(child, parent=OLD)
    assert policy.disclose
    assert policy.limits["minute"].per_s == 120
    assert {note.file for note in policy.old_names} == {"parent.yaml"}


def test_both_names_at_once_are_a_mistake_at_the_old_one() -> None:
    (fault,) = faults("version: 1\ndisclose: true\ntell: false\n")
    assert (fault.line, fault.column) == (3, 1)
    assert fault.message == "found `tell` beside `disclose`, its new name (allowed: `disclose`)"


def test_a_mistake_under_the_old_name_is_found_where_it_stands() -> None:
    (fault,) = faults("version: 1\ntell: perhaps\n")
    assert (fault.line, fault.column) == (2, 7)
    assert "true or false" in fault.message


def test_the_schema_takes_the_old_name_and_marks_it() -> None:
    schema = policy_schema(LaterPolicy)
    assert schema["properties"]["tell"]["deprecated"] is True
    assert {"title", "label"} <= schema["$defs"]["LaterRule"]["properties"].keys()
    assert "x-formerly" not in str(schema)
    written = {"version": 1, "tell": False, "rules": [{"title": "a"}]}
    jsonschema.Draft202012Validator(schema).validate(written)


def test_validate_warns_and_only_strict_minds(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(OLD)
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 0
    assert "warning" in result.stdout
    assert "`tell` is now called `disclose`" in result.stdout
    assert CliRunner().invoke(app, ["validate", "--strict", str(path)]).exit_code == 1
