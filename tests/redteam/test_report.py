"""An attack's outcome as people and as programs read it, and the exit status that it ends with."""

from __future__ import annotations

import json

import pytest
import typer
from rich.console import Console

from hardening.cli.redteam import finish
from hardening.redteam.claims import Claim
from hardening.redteam.report import Report, Table

HOLDS = Claim("kept", 0.25, 1.0, "<=", True, 7.0, 40, 1)
MISSES = Claim("lost", 2.0, 1.0, "<=", False, None, 40, 1)
UNMEASURED = Claim("unseen", None, 1.0, "<=", False, None, 0, 1)


def report(*claims: Claim) -> Report:
    table = Table("curve", ("share", "price"), (("0.1 %", 101.0), ("1 %", None)))
    return Report("redteam quotas", claims, (table,), ("no data was given",))


def ended(found: Report, *, json: bool) -> int:
    with pytest.raises(typer.Exit) as left:
        finish(lambda: found, json=json)
    return left.value.exit_code


def test_one_json_object_and_nothing_else_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(report(HOLDS), json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == "redteam quotas"
    assert told["claims"] == [
        {
            "name": "kept",
            "value": 0.25,
            "goal": 1.0,
            "op": "<=",
            "holds": True,
            "control": 7.0,
            "n": 40,
            "seed": 1,
        }
    ]
    assert told["tables"][0]["rows"] == [["0.1 %", 101.0], ["1 %", None]]


@pytest.mark.parametrize("claims", [(MISSES,), (HOLDS, MISSES), (UNMEASURED,), ()])
def test_the_exit_status_tells_that_a_claim_misses_or_that_there_is_none(claims: tuple[Claim, ...]) -> None:
    assert ended(report(*claims), json=True) == 1


def test_people_read_figures_what_misses_and_what_was_not_measured() -> None:
    console = Console(record=True, width=100)
    with console.capture() as shown:
        report(HOLDS, MISSES, UNMEASURED).show(console)
    text = shown.get()
    assert all(
        word in text
        for word in ("101", "0.25", "holds", "MISSES", "not measured", "not judged", "no data was given")
    )


def test_a_package_that_is_missing_names_the_extra(capsys: pytest.CaptureFixture[str]) -> None:
    def attack() -> Report:
        raise ModuleNotFoundError("no module", name="torch")

    with pytest.raises(typer.Exit) as left:
        finish(attack, json=False)
    assert left.value.exit_code == 2
    assert "torch" in (told := capsys.readouterr().err)
    assert "hardening[redteam]" in told
