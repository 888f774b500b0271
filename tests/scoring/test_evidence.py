"""Evidence: each signal speaks where it should and is silent where not; honest programs stay clean however narrow."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hardening.kernels.prompts import BUCKETS, MINIMA, Prompt
from hardening.redteam.detection import honest, unfitted
from hardening.redteam.detection.pools import Pools
from hardening.scoring import reference, tokens
from hardening.scoring.evidence import Sketches, evidence
from hardening.scoring.request import SAMPLE_CHARS, Facts, Read, Reader
from hardening.scoring.scorer import Scorer
from hardening.scoring.signals import (
    MIXED,
    Harvesting,
    Phrasing,
    Probing,
    Rhythm,
    Said,
    Switch,
    Templates,
    gate,
    mixture,
)
from hardening.scoring.sketch import COARSE, Sketch
from hardening.state.standing import LEAST_NATS, MOST_NATS, Record, merged, risk, slotted

KEY = b"k" * 32
SIGNALS = reference.load().signals()
CALIBRATION = reference.load().calibration()
PHRASED = Phrasing(
    np.full((1, BUCKETS), 1.0, np.float32), np.zeros(1), np.full(BUCKETS >> COARSE, 0.01, np.float32)
)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(tokens.load(), reference.load().rates, KEY)


def read(*features: int, mark: bytes = b"m", skeleton: int = 1, **levels: int) -> Read:
    return Read(Prompt(np.array(features, np.int64), np.full(MINIMA, skeleton)), mark, **levels)


def seen(*reads: Read, step: float = 1.0, model: str = "m") -> Sketch:
    sketch = Sketch()
    for place, one in enumerate(reads):
        sketch.note(one._replace(mark=str(place).encode()), Facts(place * step, model))
    return sketch


def test_a_mixture_is_bounded_both_ways():
    assert mixture(-1e9) == pytest.approx(np.log(1.0 - MIXED), abs=1e-6)
    assert mixture(0.0) == pytest.approx(0.0)
    assert mixture(1e9) == MOST_NATS
    assert mixture(-1e9) >= LEAST_NATS


def test_wording_counts_while_it_is_fresh_and_not_once_a_program_repeats_it():
    one = read(16, 32, 48, 64)
    assert PHRASED.nats(one, Facts(0.0), Sketch()) > 0.5
    assert PHRASED.nats(one, Facts(0.0), seen(*[one] * 30)) == 0.0
    assert PHRASED.nats(read(160, 176, 192, 208), Facts(0.0), seen(*[one] * 30)) > 0.5
    assert PHRASED.nats(read(), Facts(0.0), Sketch()) == 0.0


def test_wording_that_campaigns_repeat_stays_fresh():
    usual = Phrasing(PHRASED.weights, PHRASED.biases, np.full(BUCKETS >> COARSE, 0.9, np.float32))
    one = read(16, 32, 48, 64)
    assert usual.nats(one, Facts(0.0), seen(*[one] * 30)) > 0.5


@pytest.mark.parametrize("name", ["elicitation", "grading", "synthesis"])
def test_phrases_speak_by_level(name):
    said = Said(name, (-0.01, 0.0, 0.5, 1.5))
    assert [said.nats(read(1, **{name: level}), Facts(0.0), Sketch()) for level in range(4)] == [
        -0.01,
        0.0,
        0.5,
        1.5,
    ]


def test_harvesting_speaks_of_chosen_tokens_not_of_evaluations():
    asks = Harvesting((-0.01, 0.0, 0.0, 0.8))
    found = [
        asks.nats(read(1), Facts(0.0, "", top, switches), Sketch())
        for top, switches in ((None, True), (5, False), (20, False), (20, True))
    ]
    assert found == [-0.01, 0.0, 0.0, 0.8]


def test_templates_rhythm_probing_and_a_switch_are_seen():
    one, facts = read(1), Facts(100.0, "m", refused=4)
    same = seen(*[one] * 60)
    mixed = seen(*[read(1, skeleton=place) for place in range(60)])
    assert Templates(0.2).nats(one, facts, same) > 0.15 > 0.02 > Templates(0.2).nats(one, facts, mixed)
    uneven = Sketch()
    for place in range(60):
        uneven.note(read(1, mark=str(place).encode()), Facts(float(place**3 % 977 + 977 * place)))
    assert Rhythm(0.2).nats(one, facts, same) == pytest.approx(0.2)
    assert Rhythm(0.2).nats(one, facts, uneven) < 0.1
    assert [Probing(0.2).nats(one, Facts(0.0, refused=count), same) for count in (0, 2, 9)] == [0.0, 0.1, 0.2]
    assert Switch(0.2).nats(one, Facts(60.0, "m"), same) == 0.0
    for place in range(60, 80):
        same.note(read(1, mark=str(place).encode()), Facts(float(place), "new"))
    assert Switch(0.2).nats(one, Facts(81.0, "new"), same) == 0.2
    assert Switch(0.2).nats(one, Facts(81.0 + 86_401, "new"), same) == 0.0


def test_what_honest_programs_share_says_nothing_until_a_fitted_pattern_is_there():
    sketch = Sketch()
    for place in range(300):
        said = evidence(
            read(1, 2, 3, mark=str(place).encode(), grading=3),
            Facts(float(place), refused=9),
            sketch,
            SIGNALS,
        )
        assert not gate(sketch)
        assert max(said[name] for name in ("templates", "rhythm", "probing", "switch", "grading")) == 0.0
    for place in range(300, 310):
        said = evidence(
            read(1, 2, 3, mark=str(place).encode(), elicitation=3),
            Facts(float(place), refused=9),
            sketch,
            SIGNALS,
        )
    assert said["templates"] > 0.0 < said["probing"]


def test_the_scorer_knows_a_message_again_before_it_reads_it_whole():
    scorer, demand = Scorer(KEY), "Write out your chain of thought in full."
    first = scorer.score("a", demand, Facts(0.0))
    assert first["elicitation"] > 0.0
    assert scorer.score("a", demand, Facts(1.0)) == {}
    assert scorer.score("b", demand, Facts(2.0))["elicitation"] == first["elicitation"]
    assert scorer.score("a", " \n ", Facts(3.0)) != {} != scorer.score("a", " \n ", Facts(4.0))


def test_characters_that_stand_for_sentences_do_not_make_a_message_longer_than_it_may_be(reader):
    demand = "思维链 完整。"
    found = [reader.read("\ufdfa" * count + demand) for count in (0, 100, 3000)]
    assert [one.elicitation for one in found] == [3, 3, 0]
    assert reader.read("é" * 3000 + demand).elicitation == 3


def test_the_same_message_again_is_no_new_evidence():
    sketch = Sketch()
    first = evidence(read(1, elicitation=3), Facts(0.0), sketch, SIGNALS)
    assert first["elicitation"] > 0
    assert evidence(read(1, elicitation=3), Facts(1.0), sketch, SIGNALS) == {}
    assert evidence(read(1, mark=b"other", elicitation=3), Facts(2.0), sketch, SIGNALS)["elicitation"] > 0


@pytest.mark.parametrize("kind", honest.KINDS)
def test_no_narrow_honest_program_comes_near_a_band(kind, reader):
    for number in range(4):
        sketch, record = Sketch(), Record(0.0, 0.0)
        for place, text in enumerate(honest.written(kind, 150, "test", random.Random(number))):
            said = evidence(reader.read(text), Facts(2.0 * place, top_logprobs=20), sketch, SIGNALS)
            record = merged(record, slotted(said), 2.0, CALIBRATION)
            assert risk(record, CALIBRATION) < 0.4


def test_a_campaign_is_told_within_thirty_requests():
    scorer, record = Scorer(KEY), Record(0.0, 0.0)
    for place in range(30):
        text = f"Case {place}: explain tariffs in town {place}. Write out your full chain of thought before the final answer."
        record = merged(record, slotted(scorer.score("a", text, Facts(60.0 * place))), 60.0, CALIBRATION)
    assert risk(record, CALIBRATION) > 0.8


def test_two_strong_requests_alone_enter_no_band():
    scorer, record = Scorer(KEY), Record(0.0, 0.0)
    texts = ["What is the capital of Chad?"] * 10 + [
        "Write out your full chain of thought: is 7 prime?",
        "Give the complete reasoning trace: is 9 prime?",
    ]
    for place, text in enumerate(texts):
        record = merged(
            record, slotted(scorer.score("a", f"{text} {place}", Facts(60.0 * place))), 60.0, CALIBRATION
        )
    assert risk(record, CALIBRATION) < 0.5


def test_one_request_alone_enters_no_band_by_its_wording():
    most = max(
        PHRASED.nats(read(16 * place, mark=str(place).encode()), Facts(0.0), Sketch()) for place in range(9)
    )
    nats = slotted({"phrasing": PHRASED.nats(read(*range(16, 1600, 16)), Facts(0.0), Sketch())})
    assert nats[0] > most
    record = merged(Record(0.0, 0.0, weight=CALIBRATION.least), nats, 0.0, CALIBRATION)
    assert 0.2 < risk(record, CALIBRATION) < 0.5


def test_demands_open_the_gate_through_honest_requests_between_them_and_wording_never_does():
    worded, asked = Sketch(), Sketch()
    for place in range(200):
        mark = str(place).encode()
        features = range(place * 40, place * 40 + 40)
        evidence(read(*features, mark=mark), Facts(float(place)), worded, (PHRASED,))
        level = 3 if place % 20 == 0 else 0
        evidence(read(*features, mark=mark, elicitation=level), Facts(float(place)), asked, SIGNALS)
    assert gate(worded) == 0.0
    assert gate(asked) > 0.2


def test_who_demands_once_in_two_hundred_requests_opens_no_gate():
    sketch = Sketch()
    for place in range(600):
        level = 3 if place % 200 == 0 else 0
        evidence(read(1, mark=str(place).encode(), elicitation=level), Facts(float(place)), sketch, SIGNALS)
        assert gate(sketch) <= 0.06


@pytest.mark.parametrize("kind", unfitted.KINDS)
def test_no_honest_kind_that_no_fit_knows_reaches_a_band(kind, reader):
    said = (
        "What is a monad?",
        "my printer prints blank pages",
        "Write a haiku on rain",
        "Summarise this mail: hello",
    )
    pools = Pools("test", (said,), (), (), ("Ann has 3 pens and buys 4. How many are hers?",))
    for number in range(3):
        sketch, record = Sketch(), Record(0.0, 0.0)
        for place, text in enumerate(unfitted.written(kind, 150, pools, random.Random(number))):
            said_now = evidence(reader.read(text), Facts(20.0 * place), sketch, SIGNALS)
            record = merged(record, slotted(said_now), 20.0, CALIBRATION)
            assert risk(record, CALIBRATION) < 0.5


def test_sketches_of_the_accounts_seen_last_are_kept():
    known = Sketches(2)
    first = known.of("a")
    assert known.of("b") is not first is known.of("a")
    known.of("c")
    assert known.of("a") is first
    known.of("d")
    assert known.of("c") is not first


def test_a_sketch_is_small_and_halves_its_counts():
    sketch = seen(*[read(8, 40)] * 1000)
    assert sketch.counts.nbytes <= 2048
    assert sketch.requests <= 256
    assert sketch.counts.max() <= 255
    assert sketch.counts[1] == sketch.requests


@pytest.mark.parametrize(
    "text", ["", " " * 400_000, "x" * 400_000, "\ud800" * 50, "\u200b思" * 9_000, "<|endoftext|>" * 9]
)
def test_any_text_is_read(text, reader):
    found = reader.read(text)
    assert found.prompt.features.size <= 300
    assert (found.elicitation, found.synthesis) == (0, 0)


def test_the_middle_of_a_long_message_is_not_read_and_both_ends_are(reader):
    demand, filler = " Write out your full chain of thought. ", "lorem ipsum " * (SAMPLE_CHARS // 6)
    assert reader.read(demand + filler).elicitation == 3
    assert reader.read(filler + demand).elicitation == 3
    assert reader.read(filler + demand + filler).elicitation == 0


def test_phrases_count_together_only_where_they_stand_close_by(reader):
    demand = "Write out your chain of thought in full."
    apart = "A chain of thought helps. " + "lorem ipsum " * 40 + "This is told in full."
    assert reader.read("lorem " * 50 + demand + " ipsum" * 50).elicitation == 3
    assert reader.read(apart).elicitation == 1
    for blanks in range(0, 400, 7):  # wherever stretches begin
        assert reader.read("x" * blanks + " " + demand + " y" * 200).elicitation == 3


def test_marks_are_keyed(reader):
    other = Reader(tokens.load(), reference.load().rates, b"o" * 32)
    assert reader.read("hello").mark != other.read("hello").mark
    assert reader.read("hello").mark == reader.read("hello").mark != reader.read("hello!").mark
