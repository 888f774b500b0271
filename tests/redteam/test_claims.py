"""Claims of every report: what holds, what does not, and where the goals come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardening.redteam.claims import Goal, Measured, goals, judge


@pytest.mark.parametrize(
    ("value", "control", "n", "holds"),
    [(0, 7, 1, True), (1, 7, 1, False), (0, 0, 1, False), (0, None, 1, True), (0, None, 0, False)],
)
def test_a_claim_needs_its_goal_a_control_that_misses_it_and_something_measured(
    value: float, control: float | None, n: int, holds: bool
) -> None:
    (claim,) = judge({"x": Goal("x", 0, "==")}, {"x": Measured(value, n, control)}, seed=3)
    assert (claim.holds, claim.value, claim.control, claim.n, claim.seed) == (holds, value, control, n, 3)


def test_a_claim_that_nothing_measured_does_not_hold() -> None:
    (claim,) = judge({"x": Goal("x", 1.0, "<=")}, {}, seed=1)
    assert (claim.value, claim.holds) == (None, False)


def test_a_figure_without_a_goal_is_an_error() -> None:
    with pytest.raises(ValueError, match="no goal for z"):
        judge({}, {"z": Measured(1.0, 1)}, seed=1)


def test_goals_come_from_the_document_by_report(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    mine = {"name": "a", "goal": 2, "op": "<=", "report": "bench"}
    path.write_text(json.dumps({"claims": [mine, {**mine, "name": "b", "report": "corpus"}]}))
    assert goals("bench", path) == {"a": Goal("a", 2, "<=")}
    path.write_text(json.dumps({"claims": [{**mine, "op": "~"}]}))
    with pytest.raises(ValueError, match="allowed are"):
        goals("bench", path)


def test_no_two_claims_of_the_document_have_one_name() -> None:
    rows = json.loads((Path(__file__).parents[2] / "docs" / "claims.json").read_text("utf-8"))["claims"]
    assert len({row["name"] for row in rows}) == len(rows)
