"""The command line: exit codes, output for people and for programs, and what it does not import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from hardening import __version__
from hardening.cli import app

FAULTY = "version: 1\nmode: shaddow\nnmae: x\n"


def ran(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env)


def as_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_presets_are_fine_and_enforce_all_that_they_say() -> None:
    result = ran("validate", "--strict", "baseline", "observe", "strict", "embeddings")
    assert result.exit_code == 0
    assert "warning" not in result.stdout
    assert "strict: strict" in result.stdout


def test_warnings_are_findings_where_asked(tmp_path: Path) -> None:
    early = tmp_path / "early.yaml"
    early.write_text("version: 1\ndoors: {/v2/chat: cohere_chat}\n")
    result = ran("validate", str(early))
    assert result.exit_code == 0
    assert re.search(r"early\.yaml:2:\d+: warning: doors\./v2/chat", result.stdout)
    assert ran("validate", "--strict", str(early)).exit_code == 1
    clean = tmp_path / "clean.yaml"
    clean.write_text("version: 1\n")
    assert ran("validate", "--strict", str(clean)).exit_code == 0


def test_a_warning_has_a_place_for_people_and_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nrules:\n  - name: open\n    exempt: true\n")
    result = ran("validate", str(path))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{path}:4:13: warning: rule `open` exempts every request")
    report = orjson.loads(ran("validate", "--json", str(path)).stdout)
    (warning,) = report["policies"][0]["warnings"]
    assert list(warning) == ["file", "line", "column", "message"]
    assert (warning["file"], warning["line"], warning["column"], report["ok"]) == (str(path), 4, 13, True)
    assert ran("validate", "--strict", str(path)).exit_code == 1


def test_a_rule_that_is_over_is_told_by_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nrules: [{name: old, until: 2020-01-01, refuse: {}}]\n")
    assert "warning: rule `old` ended" in ran("validate", str(path)).stdout


def test_every_fault_has_a_line_of_its_own_that_editors_can_jump_to(tmp_path: Path) -> None:
    path = tmp_path / ("a-rather-long-name-that-would-wrap" * 3 + ".yaml")
    path.write_text(FAULTY)
    result = ran("validate", str(path))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:2:7", f"{path}:3:1"]


def test_brackets_in_a_message_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nmode: '[red]x[/nope]'\n")
    assert "found `[red]x[/nope]`" in ran("validate", str(path)).stdout


def test_json_is_one_object_with_places(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(FAULTY)
    result = ran("validate", "--json", str(path), "strict")
    report = orjson.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (1, False)
    faulty, fine = report["policies"]
    assert faulty["policy"] is None
    assert [(fault["line"], fault["column"]) for fault in faulty["faults"]] == [(2, 7), (3, 1)]
    assert fine["policy"]["name"] == "strict"
    assert fine["faults"] == []


@pytest.mark.parametrize(
    "arguments", [["validate"], ["validate", "nope.yaml"], ["validate", "."], ["nope"], ["serve"]]
)
def test_usage_and_unreadable_input_exit_with_two(arguments: list[str]) -> None:
    assert ran(*arguments).exit_code == 2


def test_a_missing_file_hides_no_finding_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(FAULTY)
    result = ran("validate", "nope.yaml", str(path), "strict")
    assert result.exit_code == 2
    assert result.stderr.startswith("nope.yaml: No such file")
    assert f"{path}:2:7: " in result.stdout
    assert "strict: strict " in result.stdout
    report = orjson.loads(ran("validate", "--json", "nope.yaml", "strict").stdout)
    assert (report["ok"], len(report["policies"])) == (False, 1)


def test_the_environment_is_validated_too() -> None:
    result = ran("validate", "baseline", env={"HARDENING_STATE": "mysql://root:geheim@h"})
    assert result.exit_code == 1
    assert "HARDENING_STATE:1:1" in result.stdout
    assert "geheim" not in result.output


@pytest.mark.parametrize(("address", "allowed"), [
    ("redis://:geheim@h/x", "allowed is the number of a database"),
    ("redis://:geheim@h/0?foo=1", "allowed is client_name, prefix"),
    ("redis+cluster://:geheim@h/1", "allowed is none"),
    ("sqlite:///", "allowed is sqlite:///PATH"),
])  # fmt: skip
def test_a_store_that_could_not_be_started_is_a_fault_at_its_place(
    address: str, allowed: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"version: 1\nruntime: {{state: '{address}', keys: {{current: {{env: KEY}}}}}}\n")
    result = ran("validate", str(path))
    assert result.exit_code == 1
    assert f"{path}:2:18: state: found " in result.stdout
    assert allowed in result.stdout
    assert "geheim" not in result.output


def test_the_version_is_printed() -> None:
    assert ran("--version").stdout == f"hardening {__version__}\n"


def test_the_module_runs_like_the_command() -> None:
    done = as_process("-m", "hardening", "validate", "baseline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "is fine" in done.stdout


def test_validating_imports_no_kernels() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hardening.cli import app\n"
        "assert CliRunner().invoke(app, ['validate', 'baseline']).exit_code == 0\n"
        "print(sorted({'numba', 'numpy', 'tiktoken', 'starlette'} & set(sys.modules)))"
    )
    assert as_process("-c", code).stdout == "[]\n"


def test_warming_says_how_long_it_took_and_how_many_there_are() -> None:
    report = orjson.loads(ran("warm", "--json").stdout)
    assert report["seconds"] >= 0
    assert report["kernels"] >= 1
    assert ran("warm").stdout.startswith("kernels warm in ")
