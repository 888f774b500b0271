"""Who is copying: parts share nothing, figures are those of the runs, the control tells what differs, and misses would show."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest

from hardening import Policy, kernels
from hardening.redteam.detection import (
    campaigns,
    drift,
    figures,
    flood,
    honest,
    insider,
    pools,
    takings,
    world,
)
from hardening.redteam.detection.attack import Sizes, attack
from hardening.redteam.detection.control import WindowTest
from hardening.redteam.detection.grammar import FILLS, PARTS, filled, part_of
from hardening.redteam.detection.making import weighed
from hardening.redteam.detection.pools import CHAT, QUESTIONS, SELF_INSTRUCT, TALKS, TOOLS, Pools
from hardening.redteam.detection.runs import Run, Runner
from hardening.redteam.options import Options
from hardening.scoring import reference, tokens
from hardening.state.standing import LONGEST_DELAY, SLOTS, Calibration, Record, Scale, slotted

ASKED = (
    "why is {topic} so slow these days, my neighbour in {city} says it is the {thing}?",
    "hi, my {thing} {mood}. what now",
    "can you help me with my essay on {topic}? it's due in {month} and I have {n} pages",
    "{name} told me that {answer}. is this true?",
    "best {topic} in {city} for {n} people, not too loud",
    "i get {error} when I {verb} the {noun}, code below\n\n{module}.{verb}({big})",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder in the form of the public sets, of sentences with slots."""
    folder, draw = tmp_path_factory.mktemp("sets"), random.Random(5)

    def write(name: str, key: str, texts: list[str]) -> None:
        (folder / name).write_text("\n".join(json.dumps({key: text}) for text in texts), "utf-8")

    for name in CHAT:
        write(name, "prompt", [filled(draw.choice(ASKED), draw) for _ in range(400)])
    write(
        SELF_INSTRUCT,
        "prompt",
        [f"Describe the {draw.choice(FILLS['field'])} of {number}." for number in range(300)],
    )
    write(TOOLS, "prompt", [f"toolformer: enabled\nConvert {number} to words." for number in range(300)])
    write(QUESTIONS, "question", [f"What is {number} times {draw.randrange(99)}?" for number in range(300)])
    return folder


@pytest.fixture(scope="module")
def runner() -> Runner:
    kernels.warm()
    return Runner(reference.load(), tokens.load())


def test_the_parts_of_a_set_share_nothing_and_are_all_of_it(data):
    parts = [pools.load(data, part) for part in PARTS]
    for name in ("chat", "self_instruct", "tools", "questions"):
        sets = [set(getattr(part, name)) for part in parts]
        assert all(sets)
        assert sum(map(len, sets)) == len(set.union(*sets))
    with pytest.raises(LookupError, match="gsm8k"):
        (data / QUESTIONS).rename(data / "away")
        try:
            pools.load(data, "fit")
        finally:
            (data / "away").rename(data / QUESTIONS)


def test_conversations_are_people_whole_and_of_one_part(data, tmp_path):
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert world.PEOPLE not in world.honest_kinds(pools.load(tmp_path, "fit"))
    rows = [{"account": f"a{place // 3}", "prompt": f"turn {place}"} for place in range(300)]
    (tmp_path / TALKS).write_text("\n".join(map(json.dumps, rows)), "utf-8")
    parts = [pools.load(tmp_path, part) for part in PARTS]
    talks = [talk for part in parts for talk in part.talks]
    assert sorted(talks) == sorted(
        tuple(row["prompt"] for row in rows[start : start + 3]) for start in range(0, 300, 3)
    )
    assert all(part.talks and world.honest_kinds(part)[-1] == world.PEOPLE for part in parts)
    asked = [one.text for one in world.account(parts[2], random.Random(1), count=7, kind=world.PEOPLE)]
    assert tuple(asked[:3]) in parts[2].talks
    assert tuple(asked[3:6]) in parts[2].talks


@pytest.mark.parametrize("kind", world.UNFITTED)
def test_kinds_that_no_fit_knows_fill_all_their_slots(kind, data):
    part = pools.load(data, "test")
    texts = [
        one.text
        for number in range(20)
        for one in world.account(part, random.Random(number), count=10, kind=kind)
    ]
    assert not any("{" in text for text in texts)
    assert len(set(texts)) > 20


@pytest.mark.parametrize(
    "templates",
    [honest.AGENTS, honest.TRAVEL, honest.EVALUATIONS, honest.BATCHES, campaigns.ANALYSTS, campaigns.TRACES, campaigns.GRADES,
     campaigns.MAKERS, campaigns.CALLS, campaigns.TONGUES],
)  # fmt: skip
def test_sentences_are_of_one_part_only_and_their_slots_are_known(templates):
    parts = [part_of(templates, part) for part in PARTS]
    assert all(parts)
    assert sorted(text for part in parts for text in part) == sorted(templates)
    assert "{" not in "".join(
        filled(text.replace("{question}", "").replace("{verb}_{noun}(", ""), random.Random(1))
        for text in templates
        if "def " not in text
    )


def test_an_account_mixes_the_share_that_it_is_told(data):
    part = pools.load(data, "test")
    texts = [
        one.text
        for one in world.account(part, random.Random(3), count=1000, campaign="self_instruct", share=0.25)
    ]
    assert 0.2 < sum(text in part.self_instruct for text in texts) / 1000 < 0.3
    facts = [
        one.facts for one in world.account(part, random.Random(3), count=100, campaign="volume", share=1.0)
    ]
    assert [one.model for one in facts] == ["old"] * 50 + ["new"] * 50
    assert all(one.at < other.at for one, other in itertools.pairwise(facts))


def run_of(phrasing: float, *, campaign: str | None = None, told_at: int | None = None) -> Run:
    record = Record(0.0, 0.0, weight=100.0, sums=(phrasing, *[0.0] * (len(SLOTS) - 1)))
    return Run("chat", campaign, 0.5 if campaign else 0.0, (record,), told_at)


def test_rates_times_and_answers_given_out():
    calibration = Calibration(-2.0, {"phrasing": 1.0})
    runs = [
        run_of(0.0, campaign="c"),
        run_of(3.0, campaign="c", told_at=11),
        run_of(5.0, campaign="c", told_at=31),
    ]
    assert figures.rate(runs, 0, calibration) == pytest.approx(2 / 3)
    assert figures.rate(runs, 0, figures.without(calibration, "phrasing")) == 0.0
    assert figures.median_told(runs) == 31
    assert figures.median_told(runs[:1]) is None


def test_what_a_campaign_gets_in_full_ends_with_the_band_that_begins_after_a_delay():
    every = tuple(range(1, 21))
    never, told, mixes = (
        run_of(3.0, campaign="c")._replace(told_at=at, copied=copied)
        for at, copied in ((None, every), (11, every), (11, (1, 12, 15, 20)))
    )
    assert takings.in_full(never, 20) == 20
    assert takings.in_full(told, 20) == pytest.approx(
        11 + sum(range(LONGEST_DELAY + 1)) / (LONGEST_DELAY + 1)
    )
    assert takings.in_full(told, 10) == 10
    assert takings.in_full(told, 20, after=15) == pytest.approx((1 + 2 + 3 + 4) / 9)
    assert takings.in_full(mixes, 20) == pytest.approx(1 + 8 / 9 + 5 / 9)
    assert takings.mean_in_full([never, told], 20) == pytest.approx((20 + 15) / 2)
    assert takings.asked([mixes], 15) == 3


def test_a_drift_counts_the_worst_day_and_who_was_in_a_band_at_any_time():
    days = [False] * drift.DAYS * drift.A_DAY
    told = [*days]
    told[14:21] = [True] * 7  # of the second day the end, not of the third
    found = drift.summed([days, told, days, days])
    assert found.by_day == (0.0, 0.25, *[0.0] * 28)
    assert (found.accounts, found.worst, found.ever) == (4, 0.25, 0.25)
    assert found.requests == pytest.approx(7 / 1200)


def test_a_drift_enters_a_band_after_the_delay_and_leaves_it_below_its_edge():
    scale = Scale(Calibration(-2.0, {"phrasing": 1.0}, least=2.0), figures.PRESET_BANDS)
    against, back = slotted({"phrasing": 3.0}), slotted({"phrasing": -0.1})
    said = [(0.0, against)] * 2 + [(0.0, back)] * 60
    assert drift.in_band(said, scale, 3)[:6] == [False] * 5 + [True]
    assert drift.in_band(said, scale, 0)[:4] == [False] * 2 + [True] * 2
    assert not drift.in_band(said, scale, 0)[-1]
    assert not any(drift.in_band([(0.0, back)] * 60, scale, 0))


def test_the_largest_prior_is_the_one_that_stores_let_count():
    calibration = Calibration(-2.0, {"phrasing": 1.0})
    assert figures.believed(calibration).prior == pytest.approx(-2.0 + (np.log(0.4 / 0.6) + 2.0) / 2)


def test_a_flood_ends_no_band_unless_the_policy_yields_to_it():
    honest, copying = {"phrasing": -0.05, "templates": 0.01}, {"phrasing": 2.0}
    crowd: flood.Crowd = {
        "honest": [[honest] * (flood.BEFORE + flood.AFTER)] * 200,
        "copying": [[copying] * (flood.BEFORE + flood.AFTER)] * 6,
        "flood": [[copying] * flood.AFTER] * 90,
    }
    policies = {above: Policy(extends="baseline", risk={"above_max": above}) for above in ("alarm", "shadow")}
    calm = flood.passed({**crowd, "flood": []}, policies["alarm"])
    alarm, shadow = (flood.passed(crowd, policy) for policy in policies.values())
    assert (calm.alarmed, calm.acting) == (False, {"honest": 0.0, "copying": 1.0})
    assert (alarm.alarmed, alarm.acting) == (True, {"honest": 0.0, "copying": 1.0, "flood": 1.0})
    assert (shadow.alarmed, shadow.acting) == (True, {"honest": 0.0, "copying": 0.0, "flood": 0.0})
    assert alarm.flagged == shadow.flagged == pytest.approx(96 / 296)
    assert flood.Flooded({}, calm, alarm, shadow).moved == 0.0
    assert (
        flood.Flooded({}, calm, alarm._replace(risks={**alarm.risks, "honest": (1.0,) * 200}), shadow).moved
        > 0.5
    )


def test_a_true_risk_has_no_calibration_error_and_a_false_one_has():
    true = [run_of(-40.0)] * 9 + [run_of(40.0, campaign="c")]
    wrong = [run_of(40.0)] * 9 + [run_of(40.0, campaign="c")]
    calibration = Calibration(0.0, {"phrasing": 1.0})
    assert figures.calibration_error(figures.calibration_bins(true, (0,), calibration)) < 0.01
    assert figures.calibration_error(figures.calibration_bins(wrong, (0,), calibration)) > 0.85


def test_accounts_of_a_fit_weigh_as_campaigns_are_rare():
    found = weighed([run_of(0.0)] * 30 + [run_of(3.0, campaign="c")] * 2)
    assert found.weights[found.copies].sum() / found.weights.sum() == pytest.approx(0.1)


def test_the_control_tells_what_is_narrow_and_not_people(data, runner):
    parts = [pools.load(data, part) for part in PARTS]
    test = WindowTest(runner, parts[0], parts[1], 60, seed=1)
    assert test.rate(parts[2], 20, 1) < 0.5
    assert test.rate(parts[2], 5, 1, kind="batches") == 1.0
    assert test.rate(parts[2], 5, 1, campaign="tools", share=1.0) == 1.0


def test_an_insider_learns_less_from_rounded_sums(data, runner):
    found = insider.learnt(reference.load(), runner, pools.load(data, "test").chat, 1)
    assert found.first_guess < found.exact_first_guess
    assert 0.4 < found.member_auc < 0.7
    assert 0 < found.bits < np.log2(found.prompts)


@pytest.mark.slow
def test_a_small_run_measures_every_claim(data, tmp_path):
    said: list[str] = []
    report = attack(Options(data, tmp_path, 3, True, said.append), Sizes(3, 1, 1, 0, 2))
    assert {claim.name for claim in report.claims} == {
        "detection_false_positives", "detection_tpr_10", "detection_tpr_25", "detection_calibration_error",
        "detection_burners_new", "detection_drift_false_positives", "detection_flood_acting", "detection_flood_false_positives",
    }  # fmt: skip
    assert all(claim.value is not None and claim.n > 0 for claim in report.claims)
    rows = {
        row[0]: row
        for table in report.tables
        for row in table.rows
        if table.title.startswith("Campaigns that are told, 100%")
    }
    assert set(rows) == {*world.CAMPAIGNS, *world.EVASIONS}
    assert rows["narrow"][4] == rows["tongues"][4] == 1.0
    assert not any(text in report.as_json() for text in Pools("test", (), (), (), ("What is",)).questions)


def test_without_a_folder_it_says_what_it_needs():
    with pytest.raises(LookupError, match="--data"):
        attack(Options(None, None, 1, True, print))
