"""Who is copying: parts share nothing, figures are those of the runs, the control tells what differs, and misses would show."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest

from hardening import kernels
from hardening.redteam.detection import campaigns, figures, honest, insider, pools, world
from hardening.redteam.detection.attack import Sizes, attack
from hardening.redteam.detection.control import WindowTest
from hardening.redteam.detection.grammar import FILLS, PARTS, filled, part_of
from hardening.redteam.detection.making import weighed
from hardening.redteam.detection.pools import CHAT, QUESTIONS, SELF_INSTRUCT, TOOLS, Pools
from hardening.redteam.detection.runs import Run, Runner
from hardening.redteam.options import Options
from hardening.scoring import reference, tokens
from hardening.state.standing import SLOTS, Calibration, Record

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
    assert figures.given_out(runs, 20) == pytest.approx((20 + 10 + 20) / 3)
    assert figures.given_out(runs, 20, after=15) == pytest.approx((5 + 0 + 5) / 3)


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
    report = attack(Options(data, tmp_path, 3, True, said.append), Sizes(3, 1, 1, 0))
    assert {claim.name for claim in report.claims} == {
        "detection_false_positives", "detection_tpr_10", "detection_tpr_25", "detection_calibration_error",
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
