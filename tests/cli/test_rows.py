"""`hardening test`: which files it finds, how it reports, how it exits."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from hardening.cli import pairs
from hardening.cli.junit import Case, Suite, as_junit
from hardening.policy import preset_names
from tests.cli.test_commands import as_process, ran

PRESETS = ", ".join(preset_names())
NAME = 'glass & "more" is <closed>'
POLICY = "version: 1\nname: mine\nrules: [{name: glass, match: {model: 'glass-*'}, refuse: {}}]\n"
ROWS = f"""now: 2027-01-01
cases:
  - name: {NAME}
    when: {{door: openai_chat, model: glass-1}}
    then: {{refused: true}}
"""
FAILING = ROWS.replace("true", "{status: 401, kind: quota}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(place: Path, name: str, text: str) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_policies_below_this_folder_are_found_and_each_is_run_once(place: Path) -> None:
    for folder in ("one", "deep/er/two", ".git/no", "node_modules/no", "venv/no"):
        write(place, f"{folder}/policy.yaml", POLICY)
        write(place, f"{folder}/policy_test.yaml", ROWS)
    write(place, "venv/pyvenv.cfg", "")
    write(place, "named/partner.yml", POLICY)
    write(place, "named/partner_test.yaml", ROWS)
    write(place, "named/alerts.yaml", "groups: []\n")
    write(place, "named/alerts_test.yaml", "rule_files: [alerts.yaml]\n")
    result = ran("test")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{path}: 1 of 1 rows hold"
        for path in ("deep/er/two/policy.yaml", "named/partner.yml", "one/policy.yaml")
    ]
    assert ran("test", ".", "one", "one/policy.yaml", "one/policy_test.yaml").stdout == result.stdout


def test_a_row_that_does_not_hold_says_where_what_and_who_decided(place: Path) -> None:
    write(place, "policy.yaml", POLICY)
    write(place, "policy_test.yaml", FAILING)
    result = ran("test", "policy.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"policy_test.yaml:5:22: {NAME}: refused.status: expected 401, found 403 (rule glass, band none)",
        f"policy_test.yaml:5:35: {NAME}: refused.kind: expected quota, found forbidden (rule glass, band none)",
        "policy.yaml: 0 of 1 rows hold",
    ]


def test_what_is_not_shown_is_a_warning_and_a_finding_where_asked(place: Path) -> None:
    write(place, "a/policy.yaml", POLICY)
    write(place, "b/policy.yaml", POLICY)
    write(place, "b/policy_test.yaml", ROWS.replace("glass-1", "other").replace("true", "false"))
    result = ran("test")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "b/policy.yaml: 1 of 1 rows hold"
    assert result.stdout.splitlines()[:-1] == [
        "a/policy.yaml: warning: no rows beside it; write policy_test.yaml, with rows that apply and rows that do not",
        "b/policy_test.yaml: warning: no row reaches the rule `glass`; add one",
    ]
    assert ran("test", "--strict", "a").exit_code == ran("test", "--strict", "b").exit_code == 1


def test_faults_of_a_policy_and_of_its_rows_are_findings(place: Path) -> None:
    write(place, "a/policy.yaml", POLICY.replace("model:", "modle:"))
    write(place, "a/policy_test.yaml", ROWS)
    write(place, "b/policy.yaml", POLICY)
    write(place, "b/policy_test.yaml", ROWS.replace("refused", "refusd"))
    write(place, "c_test.yaml", ROWS)
    write(place, "d/policy.yaml", "version: 2\n")
    result = ran("test", "a", "b", "c_test.yaml", "d", "--strict")
    assert result.exit_code == 1
    assert [line.split(": found")[0] for line in result.stdout.splitlines()] == [
        "a/policy.yaml:3:31",
        "b/policy_test.yaml:5:12",
        f"c.yaml:1:1: cannot be read: No such file or directory (allowed: a policy file, or a preset: {PRESETS})",
        "d/policy.yaml:1:10",
    ]


def test_json_is_one_object(place: Path) -> None:
    write(place, "policy.yaml", POLICY)
    write(place, "policy_test.yaml", FAILING)
    write(place, "faulty/policy.yaml", "version: 2\n")
    result = ran("test", "--json")
    report = orjson.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (1, False)
    good, faulty = report["policies"]
    assert (good["policy"]["name"], good["cases"]) == ("mine", "policy_test.yaml")
    (row,) = good["rows"]
    assert (row["holds"], row["rule"], row["place"]["line"]) == (False, "glass", 3)
    assert row["mismatches"][0] == {
        "field": "refused.status",
        "expected": "401",
        "found": "403",
        "place": {"file": "policy_test.yaml", "line": 5, "column": 22},
    }
    assert faulty["policy"] is None
    assert faulty["faults"][0]["line"] == 1


def test_junit_has_a_suite_a_policy_and_a_case_a_row(place: Path) -> None:
    write(place, "a/policy.yaml", POLICY)
    write(place, "a/policy_test.yaml", ROWS + FAILING.partition("cases:\n")[2].replace("glass &", "again"))
    write(place, "b/policy.yaml", "version: 2\n")
    assert ran("test", "--junit", "report.xml").exit_code == 1
    root = ET.parse(place / "report.xml").getroot()
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "1"}
    first, second = root
    assert (first.get("name"), first.get("tests"), first.get("failures")) == ("a/policy.yaml", "2", "1")
    passed, failed = first
    assert (passed.get("name"), passed.get("line"), len(passed)) == (NAME, "3", 0)
    assert "expected 401, found 403" in (failed[0].get("message") or "")
    assert len((failed[0].text or "").splitlines()) == 2
    assert (second[0][0].tag, second[0].get("file")) == ("error", "b/policy.yaml")


def test_what_xml_cannot_say_is_spelt_out() -> None:
    text = as_junit([Suite("a\x00\ud800\uffff", (Case("n\x1b", "f", 1, failure="ä\x07\n]]>"),))])
    (suite,) = ET.fromstring(text)
    assert suite.get("name") == "a\\x00\\xd800\\xffff"
    assert (suite[0].get("name"), suite[0][0].text) == ("n\\x1b", "ä\\x07\n]]>")


def test_what_cannot_be_used_exits_with_two(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran("test")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no policy.yaml below" in result.stderr
    assert "no such file" in ran("test", "nope.yaml").stderr
    write(place, "a/b/policy.yaml", POLICY)
    assert "No such file" in ran("test", "--junit", "no/such/folder.xml").stderr
    monkeypatch.setattr(pairs, "MAX_FOLDERS", 2)
    assert "found more than 2 folders" in ran("test").stderr
    assert ran("test", "nope.yaml").exit_code == ran("test", "--no-such").exit_code == 2


def test_a_folder_that_cannot_be_read_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, "policy.yaml", POLICY)
    write(place, "closed/policy.yaml", POLICY)
    scandir = os.scandir

    def refusing(path: str | Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may read any folder, so it cannot be closed
    result = ran("test")
    assert (result.exit_code, result.stderr) == (2, "./closed: Permission denied\n")


def test_a_preset_is_tested_by_its_name_and_the_switch_of_this_shell_changes_nothing() -> None:
    assert ran("test", "--strict", "strict", env={"HARDENING_MODE": "shadow"}).exit_code == 0


def test_testing_policies_imports_no_kernels() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hardening.cli import app\n"
        "assert CliRunner().invoke(app, ['test', 'baseline']).exit_code == 0\n"
        "print(sorted({'numba', 'numpy', 'tiktoken'} & set(sys.modules)))"
    )
    assert as_process("-c", code).stdout == "[]\n"
