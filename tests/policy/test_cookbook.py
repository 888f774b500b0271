"""The cookbook: every policy does what its rows say, and its page quotes the files as they are."""

from __future__ import annotations

import re
import shlex
from itertools import product
from pathlib import Path

import pytest

from hardening.cli import app
from hardening.cli.cases import finder, judge, told
from hardening.cli.pairs import find_pairs
from hardening.facts import Account, RequestFacts, Standing
from hardening.policy import decide, load_policy
from hardening.policy.cases import Caller, Then, When, read_cases
from hardening.policy.cases_run import run_cases
from tests.cli.test_commands import ran
from tests.policy.loading import loaded
from tests.policy.test_strictness import at_least_as_strict

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "policies" / "cookbook"
PAGE = (ROOT / "docs" / "cookbook.md").read_text("utf-8")
NAMES = (
    "agents",
    "azure",
    "embeddings-only",
    "emergency",
    "evaluation",
    "extraction",
    "launch",
    "own-path",
    "partner",
    "shadow-first",
    "trial",
)

_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {
    name: text
    for _, text in _SECTION.findall(PAGE)
    for name in re.findall(r"cookbook/([a-z-]+)/policy", text)
}
ROWS = next(text for title, text in _SECTION.findall(PAGE) if title.startswith("Rows"))
BUILT = {command.name or command.callback.__name__ for command in app.registered_commands}
COMMANDS = [
    line for block in _CONSOLE.findall(PAGE) for line in block.splitlines() if line.split()[1] in BUILT
]


def test_the_situations_are_these_and_each_has_its_section() -> None:
    assert tuple(sorted(path.name for path in BOOK.iterdir())) == NAMES
    assert tuple(sorted(SECTIONS)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_row_holds_and_the_rows_reach_every_rule_exception_and_band(name: str) -> None:
    verdict = judge(find_pairs([str(BOOK / name)])[0])
    assert [line for row in verdict.report.rows for line in told(row)] == []
    assert (verdict.faults, verdict.warnings) == ((), ())


@pytest.mark.parametrize("name", NAMES)
def test_some_rows_are_decided_by_a_rule_and_some_are_not(name: str) -> None:
    verdict = judge(find_pairs([str(BOOK / name)])[0])
    assert verdict.policy is not None
    assert verdict.policy.name == name
    rules = {row.rule for row in verdict.report.rows}
    assert None in rules
    assert rules & set(verdict.policy.rulebook.names)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_says_its_situation_first_and_is_short(name: str) -> None:
    lines = (BOOK / name / "policy.yaml").read_text("utf-8").splitlines()
    assert len(lines) <= 40
    comment = " ".join(line[2:] for line in lines if line.startswith("# "))
    assert lines.index("version: 1") >= 3
    assert "Change: " in comment


@pytest.mark.parametrize("name", NAMES)
def test_the_page_quotes_the_file_as_it_is(name: str) -> None:
    blocks = _BLOCK.findall(SECTIONS[name])
    assert blocks
    for block in blocks:
        assert f"\n{block}" in (BOOK / name / "policy.yaml").read_text("utf-8")


def test_the_emergency_is_nowhere_looser_than_what_it_extends() -> None:
    emergency, normal = (load_policy(BOOK / name / "policy.yaml") for name in ("emergency", "evaluation"))
    accounts = (Account("svc-eval-7"), Account("acct_1"), Account("acct_1", proven=False, network="n"))
    standings = [Standing(band=band) for band in (None, "watch", "harden")]
    for account, standing, client in product(accounts, standings, ("10.20.1.1", "198.51.100.7")):
        facts = RequestFacts("/chat/completions", "openai_chat", client=client)
        tight, usual = (decide(policy, facts, account, standing, 0.0) for policy in (emergency, normal))
        assert at_least_as_strict(tight, usual)
        assert (tight.exempt, tight.reasoning.show, tight.logprobs.top) == (False, "none", 0)


@pytest.mark.parametrize(("order", "refused"), [("evals, launch", False), ("launch, evals", True)])
def test_an_exemption_above_a_refusal_is_stronger_and_below_it_is_weaker(order: str, refused: bool) -> None:
    rules = {
        "evals": "{name: evals, match: {group: evals}, exempt: true}",
        "launch": "{name: launch, match: {model: glass-2}, refuse: {}}",
    }
    text = "version: 1\naccounts: {groups: {evals: ['svc-*']}}\nrules:\n"
    policy = loaded(text + "".join(f"  - {rules[name]}\n" for name in order.split(", ")))
    facts = RequestFacts("/chat/completions", "openai_chat", model="glass-2")
    decision = decide(policy, facts, Account("svc-1"), Standing(), 0.0)
    assert (decision.refusal is not None) == refused


def test_the_page_explains_every_key_of_a_row() -> None:
    told_keys = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| (.+?) \|", ROWS, re.MULTILINE))))
    assert {*Caller.model_fields, *When.model_fields, *Then.model_fields} - {"account"} == told_keys - {
        "account"
    }


def test_the_example_of_rows_holds_for_the_policy_that_it_speaks_of() -> None:
    policy = load_policy(BOOK / "partner" / "policy.yaml")
    cases = read_cases(_BLOCK.findall(ROWS)[0].encode(), "cookbook.md", policy)
    assert run_cases(cases, policy, finder(policy)).holds


def test_the_page_shows_how_to_test_and_to_see_the_routes() -> None:
    assert {"test", "routes"} <= {line.split()[1] for line in COMMANDS}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_runs(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(line)
    assert program == "hardening"
    assert ran(*arguments).exit_code == 0
