"""`hardening explain`: places for people and for programs, and receipts of real exchanges beside a policy."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from hardening.cli import app
from hardening.facts import Account, Receipt
from hardening.observe.audit import to_line
from hardening.state import MemoryStore
from hardening.testing import Hardened, ManualClock, harden

POLICY = """\
version: 1
name: acme
accounts: {groups: {partner: [org_acme], beta: []}}
limits:
  small: {requests: 2, per: 1h}
  pool: {requests: 50, per: 1m}
doors: {/own: openai_chat, /later: bedrock_converse, "/internal/*": pass}
defaults:
  limits: [small]
  reasoning: {show: summary}
  logprobs: {top: 5}
rules:
  - name: partners
    match: {group: partner}
    reasoning: {show: full}
  - name: closed
    match: {model: "glass-*"}
    refuse: {status: 451, message: not open}
  - name: trial
    mode: shadow
    logprobs: {top: 1}
  - name: tagged
    match: {header: {x-tenant: red}}
    usage: drop
risk:
  new: {until: {requests: 1}, max_tokens: 99}
  bands:
    watch: {enter: 0.5, leave: 0.4, reasoning: {show: none}, charge: 4x}
"""


def ran(*arguments: str, env: dict[str, str] | None = None, input: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments], env=env, input=input)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)
    return "policy.yaml"


def request(*arguments: str) -> dict:
    """The one request that is reported as JSON."""
    result = ran(*arguments, "--json")
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout)
    assert list(report) == ["policy", "requests"]
    (only,) = report["requests"]
    return only


def setting(found: dict, key: str) -> dict:
    return next(item for item in found["settings"] if item["key"] == key)


def part(found: dict, name: str | None) -> dict:
    return next(item for item in found["parts"] if item["name"] == name)


# A request


def test_each_value_stands_on_a_line_that_ends_with_its_place(policy: str) -> None:
    result = ran(policy, "--account", "x", "--org", "org_acme", "--now", "2027-01-01")
    assert result.exit_code == 0
    values = result.stdout.split("rules and bands")[0].splitlines()
    lines = {line.split()[0]: line.split() for line in values if line.startswith("  ")}
    assert lines["reasoning.show"] == ["reasoning.show", "full", "rule", "partners", "policy.yaml:15:23"]
    assert lines["logprobs.top"] == ["logprobs.top", "5", "defaults", "policy.yaml:11:19"]
    assert "account x of org_acme; proven; in partner; door /chat/completions" in result.stdout
    assert "2027-01-01 00:00 UTC" in result.stdout


def test_long_paths_are_not_broken_into_lines(policy: str) -> None:
    deep = Path("a-rather-long-name-that-would-wrap" * 3 + ".yaml")
    deep.write_text(POLICY)
    assert f"{deep}:15:23" in ran(str(deep), "--account", "x", "--org", "org_acme").stdout


def test_json_has_places_and_stable_keys(policy: str) -> None:
    found = request(policy, "--account", "x", "--band", "watch", "--now", "2027-01-01T12:00")
    assert list(found) == ["request", "notes", "decision", "settings", "parts", "would", "receipt"]
    show = setting(found, "reasoning.show")
    assert show["value"] == found["decision"]["reasoning"]["show"] == "none"
    assert show["from"] == {
        "part": "band",
        "name": "watch",
        "key": "reasoning.show",
        "file": "policy.yaml",
        "line": 28,
        "column": 55,
    }
    assert setting(found, "pace")["from"]["line"] is None
    assert found["request"]["time"] == "2027-01-01T12:00:00Z"
    assert part(found, "watch")["state"] == "tightens"


def test_facts_of_the_command_line_reach_the_rules(policy: str) -> None:
    assert part(request(policy), "tagged")["why"] == "match.header.x-tenant"
    found = request(policy, "--account", "x", "--header", "X-Tenant=red", "--group", "partner")
    assert part(found, "tagged")["state"] == part(found, "partners")["state"] == "acts"
    assert part(request(policy, "--header", "x-tenant=red"), "tagged")["state"] == "tightens"
    assert part(request(policy, "--model", "Glass-1"), "closed")["state"] == "refuses"


def test_who_is_not_named_or_not_vouched_for_is_a_stranger(policy: str) -> None:
    for arguments in ([policy], [policy, "--account", "x", "--unproven"]):
        found = request(*arguments)
        assert not found["request"]["proven"]
        assert found["decision"]["max_tokens"] == 99
    assert request(policy, "--account", "x")["decision"]["max_tokens"] is None
    assert request(policy, "--account", "x", "--new")["decision"]["max_tokens"] == 99


def test_what_would_be_without_shadow_is_shown(policy: str) -> None:
    found = request(policy, "--account", "x")
    assert (found["decision"]["logprobs"]["top"], found["would"]["decision"]["logprobs"]["top"]) == (5, 1)
    text = ran(policy, "--account", "x").stdout
    assert "without shadow it would be" in text
    assert text.split("without shadow it would be")[1].split()[:2] == ["rule", "trial"]
    calm = request(policy, "--account", "x", "--model", "glass-1")
    assert calm["would"] is None


def test_the_shadow_of_the_environment_is_told(policy: str) -> None:
    text = ran(policy, env={"HARDENING_MODE": "shadow"}).stdout
    assert "environment HARDENING_MODE" in text


@pytest.mark.parametrize(
    ("door", "words"),
    [
        ("/nope", "/nope is no door of this policy; doors.unknown is report"),
        ("/later", "/later is closed: bedrock_converse is not read yet"),
        ("/v1/realtime", "/v1/realtime is closed: what leaves there is not read yet"),
        ("/internal/x", "/internal/x is left alone"),
    ],
)
def test_where_nothing_is_decided_the_reason_is_told(policy: str, door: str, words: str) -> None:
    result = ran(policy, "--door", door)
    assert (result.exit_code, words in result.stdout) == (0, True)
    assert request(policy, "--door", door)["decision"] is None


def test_a_door_is_a_path_below_any_mount_or_a_format(policy: str) -> None:
    assert request(policy, "--door", "/llm/v1/chat/completions")["request"]["door"] == "/chat/completions"
    assert request(policy, "--door", "/own")["request"]["door"] == "/own"
    assert request(policy, "--door", "/openai/deployments/m9/chat/completions")["request"]["model"] == "m9"
    assert request(policy, "--door", "anthropic_messages")["request"]["door"] == "/v1/messages"
    assert "doors.unknown is block: it is blocked" in ran("strict", "--door", "/nope").stdout


def test_a_share_that_a_network_draws_is_not_guessed_in_silence(policy: str) -> None:
    Path(policy).write_text("version: 1\nrules: [{name: a, enforce: 50%, max_tokens: 9}]\n")
    assert "drawn by their network" in ran(policy).stdout
    assert request(policy, "--account", "x")["notes"] == []


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--band", "nope", "--account", "x"], "--band: allowed are watch"),
        (["--band", "watch", "--account", "x", "--unproven"], "vouched"),
        (["--band", "watch"], "vouched"),
        (["--group", "nope"], "--group: allowed are partner, beta"),
        (["--header", "x"], "no name or no `=`"),
        (["--header", " =x"], "no name or no `=`"),
        (["--account", ""], "found no id"),
        (["--client", "999"], "found no IP address"),
        (["--now", "tomorrow"], "--now: write a day"),
        (["--door", "nope"], "--door: write a path, or one of openai_chat"),
        (["--model", "a\x1b[2J"], "cannot be printed"),
        (["--receipt", "-", "--account", "x"], "give --receipt alone"),
    ],
)
def test_a_request_that_cannot_be_is_a_usage_error(policy: str, arguments: list[str], words: str) -> None:
    result = ran(policy, *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def test_a_key_given_as_an_account_is_refused_and_not_shown(policy: str) -> None:
    result = ran(policy, "--account", "sk-proj-0123456789abcdef")
    assert result.exit_code == 2
    assert "0123456789" not in result.output


def test_header_values_are_not_repeated(policy: str) -> None:
    for more in ([], ["--json"]):
        assert "geheim" not in ran(policy, "--header", "authorization=Bearer geheim", *more).output


def test_a_policy_that_is_missing_exits_with_two_and_one_with_faults_with_one(policy: str) -> None:
    assert ran("nope.yaml").exit_code == 2
    Path(policy).write_text("version: 1\nmode: shaddow\n")
    result = ran(policy)
    assert (result.exit_code, "policy.yaml:2:7" in result.output) == (1, True)


# Receipts of real exchanges


async def _answer(request: Request) -> JSONResponse:
    message = {"role": "assistant", "content": "hi"}
    return JSONResponse(
        {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    )


def hardened(
    policy: str = POLICY, account: Account | None = None, state: MemoryStore | None = None
) -> Hardened:
    served = Starlette(routes=[Route("/v1/chat/completions", _answer, methods=["POST"])])
    return harden(served, policy, identify=lambda scope: account, clock=ManualClock(), state=state)


def asked(
    served: Hardened, model: str = "m", times: int = 1, body: bytes | None = None, **headers: str
) -> None:
    client = TestClient(served)
    for _ in range(times):
        sent = orjson.dumps({"model": model, "messages": []}) if body is None else body
        client.post("/v1/chat/completions", content=sent, headers=headers)


def written(receipts: list[Receipt], path: str = "audit.jsonl") -> str:
    Path(path).write_bytes(b"".join(map(to_line, receipts)))
    return path


def told(policy: str, receipts: list[Receipt], exit_code: int = 0) -> list[dict]:
    result = ran(policy, "--receipt", written(receipts), "--json")
    assert result.exit_code == exit_code, result.output
    return orjson.loads(result.stdout)["requests"]


def test_a_receipt_is_decided_again_as_it_was(policy: str) -> None:
    served = hardened(account=Account("acct_1"))
    asked(served, times=3)
    asked(served, model="glass-1")
    new, known, over, closed = told(policy, served.receipts)
    for found in (new, known, over, closed):
        assert found["receipt"]["differs"] == []
        assert found["receipt"]["same_policy"]
    assert "read as a new account" in new["receipt"]["notes"][0]
    assert known["receipt"]["notes"] == []
    assert known["request"]["account"] == "acct_1"
    assert "refused beside the rules (rate_limit)" in over["receipt"]["notes"][0]
    assert closed["decision"]["refusal"]["status"] == 451
    text = ran(policy, "--receipt", "audit.jsonl").stdout
    assert text.count("the Decision is the one of the receipt") == 4


def test_a_blocked_account_is_refused_beside_the_rules_also_where_one_exempts_it(policy: str) -> None:
    text = POLICY.replace("rules:", "rules:\n  - {name: own, match: {account: acct_1}, exempt: true}", 1)
    Path(policy).write_text(text)
    store = MemoryStore()
    store.block("acct_1", "scraping", 100.0, 1_000.0)
    served = hardened(text, Account("acct_1"), store)
    asked(served)
    (found,) = told(policy, served.receipts)
    assert found["receipt"]["differs"] == []
    assert "refused beside the rules (forbidden)" in found["receipt"]["notes"][0]


def test_a_stranger_and_one_who_sent_nonsense_are_read_as_such(policy: str) -> None:
    served = hardened()
    asked(served, authorization="Bearer someone")
    asked(served, body=b"nonsense")
    stranger, unreadable = told(policy, served.receipts)
    assert not stranger["request"]["proven"]
    assert stranger["receipt"]["differs"] == unreadable["receipt"]["differs"] == []
    assert "refused before the rules were asked (unreadable)" in unreadable["receipt"]["notes"][0]


def test_another_policy_and_another_decision_are_findings(policy: str) -> None:
    served = hardened(account=Account("acct_1"))
    asked(served, times=2)
    Path(policy).write_text(POLICY.replace("show: summary", "show: none"))
    found = told(policy, served.receipts, exit_code=1)[1]["receipt"]
    assert not found["same_policy"]
    assert found["differs"] == [{"key": "reasoning.show", "receipt": "summary", "now": "none"}]
    text = ran(policy, "--receipt", "audit.jsonl").stdout
    assert "decided by another policy: acme" in text
    assert "reasoning.show: the receipt has summary, this policy gives none" in text


def test_what_no_receipt_tells_is_named_where_it_matters(policy: str) -> None:
    served = hardened(account=Account("acct_1", groups=("partner",)))
    asked(served, **{"x-tenant": "red"})
    (found,) = told(policy, served.receipts, exit_code=1)
    assert {item["key"] for item in found["receipt"]["differs"]} >= {"reasoning.show", "usage"}
    assert found["receipt"]["untold"] == [
        {"rule": "partners", "key": "match.group"},
        {"rule": "tagged", "key": "match.header.x-tenant"},
    ]
    text = " ".join(ran(policy, "--receipt", "audit.jsonl").stdout.split())
    assert "these rules rest on them: partners (match.group), tagged (match.header.x-tenant)" in text


def test_receipts_come_from_stdin_too_and_blank_lines_are_passed_over(policy: str) -> None:
    served = hardened(account=Account("acct_1"))
    asked(served)
    lines = b"\n" + to_line(served.receipts[0]) + b"\n"
    result = ran(policy, "--receipt", "-", input=lines)
    assert (result.exit_code, "receipt req_" in result.stdout) == (0, True)


def test_an_escape_sequence_of_a_caller_does_not_reach_the_screen(policy: str) -> None:
    served = hardened(account=Account("acct_1"))
    asked(served, model="m\x1b]0;owned\x07")
    result = ran(policy, "--receipt", written(served.receipts))
    assert "owned" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{}\n", "audit.jsonl:1:1: found no `time`"),
        (b"\n\ngeheim\n", "audit.jsonl:3:1: found no JSON object"),
        (b"", "audit.jsonl: found nothing"),
        (b"\n\r\n", "audit.jsonl: found nothing"),
        (b" " * 70_000 + b"\n", "audit.jsonl:1:1: found more than"),
    ],
)
def test_a_bad_receipt_is_named_by_its_line_and_not_quoted(policy: str, content: bytes, words: str) -> None:
    Path("audit.jsonl").write_bytes(content)
    result = ran(policy, "--receipt", "audit.jsonl")
    assert result.exit_code == 2
    assert words in result.output
    assert "geheim" not in result.output


def test_a_file_of_receipts_that_is_not_there_exits_with_two(policy: str) -> None:
    result = ran(policy, "--receipt", "nope.jsonl")
    assert (result.exit_code, "nope.jsonl: No such file" in result.output) == (2, True)
