"""The load: its requests, its clients' arithmetic, and that a token that is missing is seen."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from bench.load import __main__ as load
from bench.load.clients import Told
from bench.load.kept import Kept, together
from bench.load.plan import ACCOUNTS_OF_A_KIND, PROMPT_TOKENS, SHARES, TIGHT_TOKENS, accounts, asks
from bench.load.stores import STORES
from bench.load.verdict import Outcome, rows
from bench.report import measured
from hardening.facts import Account, Charge, Limit
from hardening.redteam.claims import goals, judge
from hardening.state import open_store


def test_requests_are_the_same_for_their_seed_and_of_every_kind() -> None:
    made = list(asks(2000, 1))
    assert made == list(asks(2000, 1)) != list(asks(2000, 2))
    assert {ask.kind for ask in made} == set(SHARES)
    assert {ask.account for ask in made} == set(accounts())
    assert all(0 < ask.ends_at < ask.chunks for ask in made)


def test_a_request_is_as_long_as_its_prompt_has_tokens() -> None:
    for ask in asks(200, 3):
        assert len(ask.body()) == 4 * PROMPT_TOKENS
        assert json.loads(ask.body())["model"].split("-")[1] == ask.kind


def outcome(**changed: object) -> Outcome:
    names = list(accounts())
    settled = Counter(dict.fromkeys(names, 100))
    told = Told()
    told.chunks.update(dict.fromkeys(names, 1))
    parts: dict[str, object] = {
        "requests": len(names),
        "seconds": 1.0,
        "client_cpu_s": 0.5,
        "worker_cpu_s": 2.0,
        "told": told,
        "made": Counter(settled),
        "settled": settled,
        "outcomes": Counter({f"{name} complete": 1 for name in names}),
        "unanswered": 0,
        "spent": dict.fromkeys(names, 100.0),
        "open_leases": 0,
    }
    return Outcome(**{**parts, **changed})  # type: ignore[arg-type]


def failing(found: Outcome) -> set[str]:
    return {claim.name for claim in judge(goals("load"), measured(rows(found)), seed=1) if not claim.holds}


def test_what_is_in_order_holds_every_claim_of_the_report() -> None:
    assert failing(outcome()) == set()
    assert len(goals("load")) == 6


@pytest.mark.parametrize(
    ("changed", "claims"),
    [
        ({"spent": {**dict.fromkeys(accounts(), 100.0), "done-1": 99.0}}, {"load_spent_differs"}),
        ({"made": Counter({**dict.fromkeys(accounts(), 100), "broken-0": 140})}, {"load_usage_differs"}),
        ({"made": Counter({**dict.fromkeys(accounts(), 100), "gone-0": 60})}, {"load_usage_differs"}),
        ({"open_leases": 1}, {"load_left_in_flight"}),
        ({"unanswered": 1}, {"load_unanswered"}),
        ({"requests": 1 + ACCOUNTS_OF_A_KIND * len(SHARES)}, {"load_without_receipt"}),
        (
            {"spent": {**dict.fromkeys(accounts(), 100.0), "tight-2": TIGHT_TOKENS + 1.0}},
            {"load_limit_passed", "load_spent_differs"},
        ),
    ],
)
def test_a_token_or_a_lease_that_is_missing_is_seen(changed: dict[str, object], claims: set[str]) -> None:
    assert failing(outcome(**changed)) == claims


RUN = {"state": "sqlite", "seed": 7}


def test_a_run_goes_on_with_what_those_before_it_have_counted(tmp_path: Path) -> None:
    first = Kept(tmp_path, RUN)
    with first.running():
        first.write(outcome())
    earlier = Kept(tmp_path, RUN).earlier
    assert earlier is not None
    both = together(earlier, outcome(spent=dict.fromkeys(accounts(), 200.0)))
    assert both.requests == 2 * outcome().requests
    assert (both.client_cpu_s, both.worker_cpu_s, both.told.chunks["done-1"]) == (1.0, 4.0, 2)
    assert failing(both) == set()
    assert failing(together(earlier, outcome())) == {"load_spent_differs"}


def test_a_run_goes_on_with_no_other_and_with_none_that_was_broken_off(tmp_path: Path) -> None:
    first = Kept(tmp_path, RUN)
    with first.running():
        first.write(outcome())
    with pytest.raises(SystemExit, match="holds a run"):
        Kept(tmp_path, {**RUN, "seed": 8})
    with pytest.raises(KeyError), first.running():
        raise KeyError
    with pytest.raises(SystemExit, match="broken off"):
        Kept(tmp_path, RUN)


@pytest.mark.parametrize("state", ["sqlite", "valkey"])
def test_open_leases_are_read_in_the_store(state: str, tmp_path: Path) -> None:
    account, limit = Account("anne"), Limit("wide", "tokens", 1.0, 1e8, 100.0)
    with STORES[state](tmp_path) as place:
        assert place.open_leases is not None
        store = open_store(place.url)

        async def asked(answer: Any) -> Any:
            return await answer if isawaitable(answer) else answer

        with asyncio.Runner() as runner:
            admitted = runner.run(asked(store.admit(account, (Charge(limit, account.scope, 7.0),), 0.0)))
            assert place.open_leases() == 1
            runner.run(asked(store.settle(admitted.lease, (), {}, 0.0)))
            assert place.open_leases() == 0
            runner.run(asked(store.close()))  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_load_in_two_parts_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--clients", "20", "--workers", "2", "--keep", str(tmp_path), "--json"]
    for requests in (100, 300):
        assert load.main(["--requests", str(requests), *arguments]) == 0
        report = json.loads(capsys.readouterr().out)
        assert {claim["n"] for claim in report["claims"]} == {requests}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", ["memory", "sqlite"])
def test_two_workers_under_a_small_load_lose_nothing(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--requests", "300", "--clients", "20", "--workers", "2", "--state", state, "--json"]
    assert load.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["state"], report["requests"]) == (state, 300)
    assert {claim["n"] for claim in report["claims"]} == {300}
