"""The same file decides the same in every release that reads its version."""

from __future__ import annotations

import json

import pytest

from tests.policy.grid import FOLDER, decisions, policies

AGAIN = "is a change of what operators get; where it is meant: .venv/bin/python -m tests.policy.grid"


@pytest.mark.parametrize("name", policies())
def test_a_policy_decides_what_it_always_did(name: str) -> None:
    assert (FOLDER / f"{name}.json").is_file(), AGAIN
    found = json.loads(json.dumps(decisions(name)))
    golden = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert found["digest"] == golden["digest"], AGAIN
    assert by_facts(found) == by_facts(golden), AGAIN


def by_facts(golden: dict) -> dict[str, dict]:
    """Each combination of facts with what is decided for it."""
    return {
        when: {key: row[key] for key in ("decision", "would")}
        for row in golden["rows"]
        for when in row["when"]
    }


def test_the_grid_reaches_every_rule_and_band_of_the_policy_that_has_all() -> None:
    rows = json.loads((FOLDER / "acme.json").read_text("utf-8"))["rows"]
    seen = [row[side] for row in rows for side in ("decision", "would") if row[side]]
    assert {decision["rule"] for decision in seen} == {
        None, "evals", "launch", "partners", "red-tenant", "half", "try-none"
    }  # fmt: skip
    assert {decision["band"] for decision in seen} == {None, "watch", "harden"}
    assert len(by_facts({"rows": rows})) == sum(len(row["when"]) for row in rows) == 7 * 3 * 2 * 5 * 2 * 2
