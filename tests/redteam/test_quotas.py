"""The price of an answer, simulated: that events are the policy's own, and that what is claimed would be seen to miss."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from hardening.facts import Account
from hardening.policy import Policy
from hardening.redteam.options import Options
from hardening.redteam.quotas import attack, prompts
from hardening.redteam.quotas.days import Caller, Collector, World, living, unbanded
from hardening.redteam.quotas.prompts import Asked
from tests.policy.loading import loaded

POLICY = """\
version: 1
limits: {day: {tokens: 10k, per: 1d}, parallel: {streams: 2}}
defaults: {limits: [day, parallel]}
risk: {bands: {harden: {enter: 0.8, leave: 0.7, charge: 10x}}}
"""
SHORT = (Asked(40, 60),)


def collected(
    policy: Policy, band: str | None = None, asked: tuple[Asked, ...] = SHORT, days: float = 3.0
) -> Caller:
    world, caller = World(policy), Caller(Account("a"))
    world.flag(caller.account, band)
    Collector(world, caller, asked).begin()
    world.run(days)
    return caller


def test_a_campaign_gets_what_its_limit_gives_and_not_a_token_more() -> None:
    caller = collected(loaded(POLICY))
    # The burst, and what comes back in three days: 40,000 tokens at 100 an answer.
    assert 390 <= caller.useful <= 400
    assert caller.cut == 0
    assert caller.charged <= 40_000


def test_a_band_multiplies_the_price_and_without_bands_a_flag_says_nothing() -> None:
    policy = loaded(POLICY)
    free, flagged = collected(policy), collected(policy, "harden")
    # Of whom little is known so much is reserved that he waits for a small limit to be whole, and loses what comes back then.
    assert 9.5 <= free.useful / flagged.useful <= 12
    assert collected(unbanded(policy), "harden").useful == free.useful


def test_an_answer_that_is_too_dear_for_a_whole_limit_is_given_up_and_the_next_is_asked() -> None:
    caller = collected(loaded(POLICY), "harden", (Asked(2_000, 60), Asked(40, 60)))
    assert caller.useful >= 35
    assert caller.refused >= 1


def test_people_ask_the_same_in_every_standing() -> None:
    policy = loaded(POLICY.replace("10k", "10M"))
    answers = []
    for band in (None, "harden"):
        world, caller = World(policy), Caller(Account("a"))
        world.flag(caller.account, band)
        living(world, caller, SHORT, 2.0, random.Random(3))
        world.run(2.0)
        answers.append((caller.useful, caller.charged / caller.useful))
    assert answers[0][0] == answers[1][0] > 0
    assert answers[1][1] == pytest.approx(10 * answers[0][1])


def options(**more: object) -> Options:
    given = {"data": None, "out": None, "seed": 7, "quick": True, "say": lambda what: None}
    return Options(**{**given, **more})  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_report_holds_its_claims_and_draws_the_curve_where_it_can(tmp_path: Path) -> None:
    report = attack(options(out=tmp_path))
    assert report.holds
    flagged, benign = report.claims
    assert (flagged.name, benign.name) == ("quotas_price_flagged", "quotas_price_benign_p95")
    assert flagged.control == pytest.approx(1.0, abs=0.01)
    assert bool(report.pictures) != any("matplotlib" in note for note in report.notes)
    shares = {
        row[0]: row[1] for table in report.tables if "share is flagged" in table.title for row in table.rows
    }
    assert shares["0%"] == 1
    assert shares["90%"] < 11


def test_sets_are_read_from_the_folder_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    for name in ("prompts-alpaca-eval", "prompts-arena-hard-0.1", "synthetic-alpaca-demo"):
        rows = [{"prompt": "What is a quota?", "answer": "A share."}, {"prompt": "Name one."}]
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    with pytest.raises(LookupError, match=r"synthetic-toolformer-0\.6\.jsonl: No such file"):
        prompts.load(tmp_path, random.Random(1))
    (tmp_path / "synthetic-toolformer-0.6.jsonl").write_bytes(orjson.dumps({"prompt": "a", "answer": "b"}))
    found = prompts.load(tmp_path, random.Random(1))
    assert (len(found.people), len(found.campaigns)) == (4, 3)
    assert all(one.answer >= 1 for one in found.people)
    assert found.people[0].prompt in range(3, 7)
