"""`hardening accounts` on real stores: what it tells, what it changes, and that workers see it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from inspect import isawaitable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from hardening.cli import app
from hardening.cli.accounts_shown import as_json, standing_lines
from hardening.facts import EVERYBODY, Account, Charge, Limit
from hardening.policy import load_policy
from hardening.state import AccountState, SqliteStore, open_store
from hardening.state.standing import BandAt, Calibration, Evidence, Scale, before, settled, slotted
from tests.asgi.processes import Server, started
from tests.state.on_a_clock import awaited

POLICY = """\
version: 1
limits:
  day: {tokens: 1000, per: 30d}
  window: {tokens: 1000, per: 30d, window: sliding}
  keyed: {tokens: 500, per: 30d, by: key}
  team: {tokens: 9000, per: 30d, by: org}
defaults: {limits: [day, window, keyed, team]}
risk: {bands: {watch: {enter: .5, leave: .4, charge: 2x}, harden: {enter: .8, leave: .7, charge: 25x}}}
"""
ANNE = Account("acct_7")
SCOPES = {"all": EVERYBODY.scope, "key": "key:acct_7\nkey_1", "org": "org:acme"}


def ran(*arguments: str, **environment: str | None) -> Result:
    blank = {"HARDENING_POLICY": None, "HARDENING_STATE": None}
    return CliRunner().invoke(app, ["accounts", *arguments], env=blank | environment)


def told(*arguments: str, **environment: str | None) -> Any:
    result = ran(*arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(params=["sqlite", "redis"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store in use."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/state.db"
        SqliteStore(tmp_path / "state.db").open()
        return url
    if sys.platform == "win32":
        pytest.skip("the package of the server is not built there")
    return str(request.getfixturevalue("valkey").url)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Any]:
    from tests.state.servers import served

    with served() as server:
        yield server


def used(state: str, policy: Path, units: float, account: Account = ANNE, *, open_too: bool = False) -> None:
    """Spend so many units of every limit, as a worker does; `open_too` leaves a second lease of 5."""
    limits = load_policy(policy).limits.values()

    def charges(units: float) -> tuple[Charge, ...]:
        return tuple(
            Charge(limit, SCOPES.get(limit.by, account.scope), units, {"harden": 25.0}) for limit in limits
        )

    async def run() -> None:
        store = open_store(state)
        lease = (await _now(store.admit(account, charges(units), 0.0))).lease
        await _now(store.settle(lease, charges(units), None, 0.0))
        if open_too:
            await _now(store.admit(account, charges(5.0), 0.0))
        await _now(store.close())

    asyncio.run(run())


async def _now(answer: Any) -> Any:
    return await answer if hasattr(answer, "__await__") else answer


def admitted(state: str, account: Account = ANNE) -> Any:
    async def run() -> Any:
        store = open_store(state)
        answer = await _now(store.admit(account, (), 0.0))
        await _now(store.close())
        return answer

    return asyncio.run(run())


def limits_of(report: Any) -> dict[str, tuple[float, float, float]]:
    return {
        one["limit"]: (round(one["spent"]), one["held"], round(one["remaining"])) for one in report["limits"]
    }


def test_an_account_is_shown_with_its_limits_in_units_of_the_policy(state: str, policy: Path) -> None:
    used(state, policy, 300.0, Account("acct_7", org="acme"), open_too=True)
    report = told("show", "acct_7", "--policy", str(policy), "--state", state)
    assert limits_of(report) == {
        "day": (300, 5.0, 695),
        "window": (300, 5.0, 695),
        "keyed": (300, 5.0, 195),
    }
    assert (report["requests"], report["open_leases"], report["blocked"]) == (2, 1, None)
    assert report["first_seen"] is not None
    text = ran("show", "acct_7", "--policy", str(policy), "--state", state).stdout
    assert "day: 300 tokens spent, 5 held, 695 left" in text
    assert "keyed (key key_1): 300 tokens spent" in text
    assert "--policy tells what is left" in ran("show", "acct_7", "--state", state).stdout


def test_limits_of_all_callers_are_shown_apart(state: str, policy: Path) -> None:
    policy.write_text(POLICY.replace("limits:\n", "limits:\n  cards: {tokens: 7000, per: 30d, by: all}\n", 1))
    named = ("--policy", str(policy), "--state", state)
    assert ran("shared", *named).stdout == "all of them are whole\n"
    used(state, policy, 300.0, open_too=True)
    report = told("shared", *named)
    assert limits_of(report) == {"cards": (300, 5.0, 6695)}
    assert report["open_leases"] == 1
    assert ran("shared", *named).stdout.startswith("cards: 300 tokens spent, 5 held, 6,695 left")
    assert "cards" not in limits_of(told("show", "acct_7", *named))


def test_the_environment_and_the_policy_name_the_store_too(state: str, policy: Path) -> None:
    used(state, policy, 300.0)
    assert told("show", "acct_7", HARDENING_STATE=state)["requests"] == 1
    policy.write_text(POLICY + f"runtime: {{state: '{state}'}}\n")
    assert told("show", "acct_7", "--policy", str(policy))["requests"] == 1
    assert told("show", "acct_7", HARDENING_POLICY=str(policy))["requests"] == 1


def test_a_reset_makes_limits_whole_and_a_grant_a_part_of_one(state: str, policy: Path) -> None:
    named = ("--policy", str(policy), "--state", state)
    used(state, policy, 400.0, open_too=True)
    granted = told("grant", "acct_7", "100", "--limit", "day", "--limit", "keyed", *named)
    assert limits_of(granted) == {
        "day": (300, 5.0, 695),
        "window": (400, 5.0, 595),
        "keyed": (300, 5.0, 195),
    }
    assert limits_of(told("grant", "acct_7", "50", *named))["window"] == (350, 5.0, 645)
    assert limits_of(told("reset", "acct_7", *named)) == {
        "day": (0, 5.0, 995),
        "window": (0, 5.0, 995),
        "keyed": (0, 5.0, 495),
    }


def test_a_block_is_kept_with_reason_and_end_until_it_is_lifted(state: str, policy: Path) -> None:
    used(state, policy, 1.0)
    report = told("block", "acct_7", "--reason", "scraping", "--until", "2099-01-01", "--state", state)
    assert report["blocked"]["reason"] == "scraping"
    assert report["blocked"]["until"].startswith(("2098-12-31T23:59", "2099-01-01T00:00"))
    assert admitted(state).blocked_s > 1e9
    shown = ran("list", "--state", state).stdout
    assert "BLOCKED until" in shown
    assert "scraping" in shown
    assert told("unblock", "acct_7", "--state", state)["blocked"] is None
    assert admitted(state).granted


def test_a_flag_puts_an_account_into_a_band_of_the_policy_until_it_is_lifted(
    state: str, policy: Path
) -> None:
    used(state, policy, 1.0)
    named = ("--policy", str(policy), "--state", state)
    flag = ("flag", "acct_7", "--reason", "known elsewhere")
    report = told(*flag, "--band", "harden", "--until", "forever", *named)
    assert report["flagged"] == {"band": "harden", "reason": "known elsewhere", "until": None}
    assert admitted(state).standing[:2] == (0.8, "harden")
    used(state, policy, 10.0)
    assert limits_of(told("show", "acct_7", *named))["day"] == (251, 0, 749)
    assert "in band harden until it is lifted: known elsewhere" in ran("list", "--state", state).stdout
    refused = ran(*flag, "--band", "hard", "--until", "7d", *named)
    assert (refused.exit_code, "watch, harden, none" in refused.stderr) == (2, True)
    assert ran(*flag[:2], "--reason", " ", "--band", "harden", "--until", "7d", *named).exit_code == 2
    assert told("unflag", "acct_7", "--state", state)["flagged"] is None
    assert admitted(state).standing[:2] == (0.0, None)


def judged(state: str, *accounts: Account) -> None:
    """Let requests of these accounts say something."""
    scale = Scale(Calibration(-4.0, {"phrasing": 1.0}, least=2.0), (BandAt("harden", 0.8, 0.7),))

    async def run() -> None:
        store = open_store(state)
        for account in accounts:
            for _ in range(3):
                answer = store.admit(account, (), time.monotonic())
                lease = (await answer if isawaitable(answer) else answer).lease
                evidence = Evidence(slotted({"phrasing": 4.0, "rhythm": 0.1}), scale)
                done = store.settle(lease, (), evidence, time.monotonic())
                if isawaitable(done):
                    await done
        if isawaitable(closing := store.close()):
            await closing

    asyncio.run(run())


def test_what_requests_have_said_is_shown_with_what_it_counts_and_never_what_they_were(
    state: str, policy: Path
) -> None:
    judged(state, ANNE)
    report = told("show", "acct_7", "--policy", str(policy), "--state", state)["standing"]
    assert report["signals"] == pytest.approx({"phrasing": 12.0, "rhythm": 0.3}, abs=0.01)
    assert (report["band"], report["due"], report["requests"]) == (None, "harden", pytest.approx(3, abs=0.1))
    assert report["risk"] == pytest.approx(1.0, abs=0.01)
    assert report["weights"].keys() == {"phrasing", "rhythm"}
    shown = ran("show", "acct_7", "--state", state).stdout
    assert "in no band, harden is due: 3.0 requests have spoken" in shown
    assert "phrasing: +12.00 nats, counts" in shown


@pytest.mark.parametrize(("prior", "told"), [(0.0, -4.0), (0.7, -3.3), (-0.7, -4.7)])
def test_what_an_app_knew_beside_requests_is_shown_as_where_they_began(prior: float, told: float) -> None:
    calibration = Calibration(-4.0, {"phrasing": 2.0, "grading": 0.5}, least=2.0)
    scale, record, seen = Scale(calibration, (BandAt("harden", 0.8, 0.7),)), None, []
    for _ in range(3):
        evidence = Evidence(slotted({"phrasing": 0.5, "grading": 0.2, "rhythm": 0.1}), scale, prior=prior)
        record = settled(record, evidence, 0.0)
        found = AccountState("acct_7", 3, 0.0, 0.0, (), record=record)
        seen.append(as_json(found, {}, calibration)["standing"]["before"])
        assert f"what the app knows: {told:+.2f} nats" in "\n".join(standing_lines(found, calibration))
        assert not any("app knows" in line for line in standing_lines(found, None))
    assert seen == [told] * 3
    assert record is not None
    assert before(record._replace(risk=1.0), calibration) is None


def test_who_is_forgotten_is_gone_and_nobody_else_is(state: str, policy: Path) -> None:
    judged(state, ANNE, Account("acct_70"))
    assert ran("forget", "acct_7", "--state", state).exit_code == 0
    assert told("list", "--state", state)["accounts"][-1]["id"] == "acct_70"
    assert told("show", "acct_70", "--state", state)["standing"]["risk"] > 0.9
    assert admitted(state).standing[:3] == (0.0, None, 0)


def test_an_operator_keeps_an_account_out_of_bands(state: str, policy: Path) -> None:
    judged(state, ANNE)
    named = ("--policy", str(policy), "--state", state)
    report = told("flag", "acct_7", "--band", "none", "--reason", "our crawler", "--until", "7d", *named)
    assert (report["flagged"]["band"], report["standing"]["due"]) == (None, "harden")
    assert admitted(state).standing[:2] == (0.0, None)
    assert "kept out of bands until" in ran("show", "acct_7", "--state", state).stdout


def test_a_block_without_an_end_is_told_so_and_one_that_ended_is_gone(state: str, policy: Path) -> None:
    used(state, policy, 1.0)
    report = told("block", "acct_7", "--reason", "x", "--until", "forever", "--state", state)
    assert report["blocked"] == {"reason": "x", "until": None}
    told("block", "acct_7", "--reason", "x", "--until", "1s", "--state", state)
    time.sleep(1.1)
    assert admitted(state).granted
    assert told("show", "acct_7", "--state", state)["blocked"] is None


def test_who_never_asked_is_blocked_with_a_warning(state: str) -> None:
    result = ran("block", "acct_9", "--reason", "x", "--until", "7d", "--state", state)
    assert result.exit_code == 0
    assert "has asked nothing yet" in result.stderr
    assert admitted(state, Account("acct_9")).blocked_s is not None


def test_an_account_of_an_organisation_is_blocked_before_it_asks(state: str) -> None:
    block = ("--reason", "x", "--until", "7d", "--state", state)
    assert ran("block", "acct_9", "--org", "acme", *block).exit_code == 0
    assert admitted(state, Account("acct_9", org="acme")).blocked_s is not None


def test_a_list_is_bounded_and_goes_on_where_it_ended(state: str, policy: Path) -> None:
    for number in range(5):
        used(state, policy, 1.0, Account(f"acct_{number}"))
    first = told("list", "--limit", "3", "--state", state)
    assert [one["id"] for one in first["accounts"]] == ["acct_0", "acct_1", "acct_2"]
    rest = told("list", "--limit", "3", "--after", first["after"], "--state", state)
    assert [one["id"] for one in rest["accounts"]] == ["acct_3", "acct_4"]
    assert rest["after"] is None
    assert "more: --after acct_2" in ran("list", "--limit", "3", "--state", state).stdout


@pytest.mark.parametrize("act", ["show", "reset", "forget", "unblock"])
def test_an_unknown_account_is_a_finding(state: str, act: str) -> None:
    result = ran(act, "acct_404", "--state", state)
    assert result.exit_code == 1
    assert "does not know" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "name the store"),
        (["list", "--state", "memory://"], "inside each process"),
        (["list", "--state", "sqlite:///no/such.db"], "does not exist"),
        (["list", "--state", "redis://:secret@127.0.0.1:1"], "redis: ConnectionError"),
        (["list", "--limit", "100000", "--state", "sqlite:///x.db"], "1000"),
        (["show", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789", "--state", "sqlite:///x.db"], "API key"),
        (["show", "a\nb", "--state", "sqlite:///x.db"], "printable"),
        (["grant", "a", "5", "--state", "sqlite:///x.db"], "give --policy"),
        (
            ["flag", "a", "--band", "b", "--reason", "x", "--until", "7d", "--state", "sqlite:///x.db"],
            "give --policy",
        ),
        (
            ["grant", "a", "5", "--limit", "minutes", "--policy", "baseline", "--state", "sqlite:///x.db"],
            "all",
        ),
        (["grant", "a", "nan", "--policy", "baseline", "--state", "sqlite:///x.db"], "above 0"),
        (["block", "a", "--reason", "x", "--until", "soon", "--state", "sqlite:///x.db"], "2027-03-31"),
        (["block", "a", "--reason", "x", "--until", "2001-01-01", "--state", "sqlite:///x.db"], "past"),
        (["block", "a", "--reason", " ", "--until", "7d", "--state", "sqlite:///x.db"], "200"),
        (["list", "--policy", "no-such.yaml"], "no-such.yaml"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(arguments: list[str], words: str) -> None:
    result = ran(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert "secret" not in result.output
    assert "sk-proj" not in result.output


def test_a_name_that_a_caller_chose_does_not_speak_to_the_terminal(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    model = Limit("models", "tokens", amount=1.0, per_s=1e6, burst=100.0, by="model")
    awaited(store.admit(ANNE, (Charge(model, "model:acct_7\n\x1b[31mred", 5.0),), 0.0))
    store.close()
    result = ran("show", "acct_7", "--state", f"sqlite:///{tmp_path}/state.db")
    assert "models (model ?[31mred)" in result.stdout
    assert "\x1b" not in result.stdout


def statuses(server: Server, count: int = 8) -> set[int]:
    return {server.ask().status for _ in range(count)}


def workers(server: Server) -> set[int]:
    """The processes that answer, each of which has answered once."""
    found: set[int] = set()
    for _ in range(500):
        answer = server.ask()
        assert answer.status == 200
        found.add(int(answer.headers["x-worker"]))
        if len(found) == 2:
            return found
    raise AssertionError("one worker does not answer")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_block_acts_at_once_in_every_worker_and_outlives_a_kill(state: str, tmp_path: Path) -> None:
    policy = tmp_path / "served.yaml"
    policy.write_text(
        "version: 1\nlimits: {day: {requests: 9000, per: 1d}}\ndefaults: {limits: [day]}\n"
        "on_failure: {store: reject}\n"
    )
    environment = {
        "HARDENING_POLICY": str(policy),
        "HARDENING_STATE": state,
        "HARDENING_KEY": "a key for tests, and for nothing else",
    }
    command = ["uvicorn", "tests.cli.named:app", "--port", "0", "--workers", "2", "--no-access-log"]

    def block(until: str) -> None:
        assert ran("block", "acct_7", "--reason", "x", "--until", until, "--state", state).exit_code == 0

    with started(command, "Application startup", **environment) as server:
        both = workers(server)
        block("1h")
        assert statuses(server) == {403}
        assert ran("unblock", "acct_7", "--state", state).exit_code == 0
        assert workers(server) == both
        block("2s")
        assert server.ask().status == 403
        time.sleep(2.1)
        assert statuses(server) == {200}
        block("1h")
        for worker in both:
            os.kill(worker, signal.SIGKILL)
        assert statuses(server) == {403}  # of new ones, which the server has started in their place
        assert ran("unblock", "acct_7", "--state", state).exit_code == 0
        assert server.ask().headers["x-worker"] not in map(str, both)
