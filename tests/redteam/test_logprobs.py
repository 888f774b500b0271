"""The attacks on log-probabilities themselves: each succeeds where nothing is in its way, and the toy is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hardening.cli import app
from hardening.redteam.logprobs import averaging, structure, worth
from hardening.redteam.logprobs.client import Caller, mounted
from hardening.redteam.logprobs.dialects import DIALECTS, Dialect
from hardening.redteam.logprobs.model import ToyModel
from hardening.redteam.logprobs.picture import draw
from hardening.redteam.logprobs.server import ToyServer

MODEL = ToyModel(hidden=6, vocabulary=300, seed=3)
SERVER = ToyServer(MODEL)
PROMPT = "w1 w22 w3"


@pytest.fixture
def bare() -> Caller:
    return Caller(SERVER)


def test_the_toy_tells_the_values_of_its_model(bare: Caller) -> None:
    truth = MODEL.row(MODEL.tokens(PROMPT))
    told = bare.first(PROMPT, top_logprobs=4, temperature=0)
    assert list(told.values()) == pytest.approx(sorted(truth, reverse=True)[:4])
    assert np.exp(truth).sum() == pytest.approx(1)


CHOICE = {"type": "json_schema", "json_schema": {"schema": {"enum": [" w250", " w251"]}}}


def test_a_schema_of_chosen_tokens_brings_their_values_where_a_policy_leaves_switches_alone(
    bare: Caller,
) -> None:
    asked = {"top_logprobs": 2, "temperature": 0}
    chosen = {" w250", " w251"}
    assert bare.first(PROMPT, response_format=CHOICE, **asked).keys() == chosen
    open_to_all = mounted(SERVER, "version: 1\ndefaults: {logprobs: {top: 2}, pins: allow}\n")
    assert open_to_all.first(PROMPT, response_format=CHOICE, **asked).keys() == chosen
    hardened = mounted(SERVER, "baseline")
    assert not hardened.first(PROMPT, response_format=CHOICE, **asked)
    assert hardened.first(PROMPT, response_format=None, **asked)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_endpoint_tells_the_same(dialect: Dialect, stream: bool, bare: Caller) -> None:
    body = dialect.body(PROMPT, {"top_logprobs": 4, "temperature": 0, "max_tokens": 1}, stream=stream)
    answer = bare.ask(dialect.stream_path if stream else dialect.path, **body)
    told = bare.first(PROMPT, top_logprobs=4, temperature=0)
    assert answer.rows == ((told,),)
    assert answer.texts == (next(iter(told)),)
    whole = bare.ask(dialect.path, **dialect.body(PROMPT, {"prompt_logprobs": 2}, stream=False))
    assert len(whole.beside) >= 4


def test_the_gap_is_at_the_size_of_the_layer() -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((60, 6)) @ random.standard_normal((6, 40)) + random.standard_normal((60, 1))
    assert structure.gap_ratio(rows, 6) > 1e6
    assert structure.gap_ratio(rows, 20) < 10
    assert structure.gap_ratio(random.standard_normal((60, 40)), 6) < 1.2
    assert structure.gap_ratio(np.zeros((9, 9)), 6) == 1.0


@pytest.mark.parametrize(
    "attack", [structure.through_bias, structure.from_alternatives, structure.by_bisection]
)
def test_each_way_to_the_layer_succeeds_without_us_and_finds_nothing_behind_a_preset(attack, bare) -> None:
    assert attack(bare, MODEL, rows=24, seed=1).gap > 1000
    for preset in ("baseline", "strict"):
        assert attack(mounted(SERVER, preset), MODEL, rows=24, seed=1).gap < 2


def test_rankings_of_all_tokens_give_the_space_of_the_layer(bare: Caller) -> None:
    assert structure.from_rankings(bare, MODEL, rows=40, seed=1).overlap > 0.9
    told = structure.from_rankings(mounted(SERVER, "strict"), MODEL, rows=40, seed=1)
    assert told.overlap == told.chance


@pytest.mark.parametrize("name", averaging.EXACT)
def test_what_is_the_same_question_gains_nothing(name: str) -> None:
    caller = mounted(SERVER, averaging.policy(step=0.25, noise=1.0), account="member0")
    left = averaging.average(caller, MODEL, averaging.EXACT[name], prompts=[PROMPT], count=12, step=0.25)
    assert left.draws >= 12
    assert left.divergence_all == left.divergence_one > 0


def test_what_is_drawn_anew_is_averaged_away() -> None:
    """Catches a measure that would see no gain where there is one."""
    caller = mounted(SERVER, averaging.policy(step=0.25, noise=1.0))
    prompts = MODEL.prompts(5, 1)
    left = averaging.average(caller, MODEL, averaging.drawn_anew, prompts=prompts, count=60, step=0.25)
    assert left.error_all < left.error_one / 2


def test_temperatures_of_a_server_that_scales_average_a_grid_away(bare: Caller) -> None:
    """Catches a setting that changes nothing, and a measure that would see no gain where there is one."""
    prompts = MODEL.prompts(5, 1)
    plain, scaled = (
        mounted(SERVER, averaging.policy(step=0.25, noise=0.0, sampling=sampling))
        for sampling in ("plain", "any")
    )
    assert averaging.heated(plain, MODEL, prompts=prompts, count=40).told == 0
    assert averaging.heated(bare, MODEL, prompts=prompts, count=2).error_one < 1e-9
    left = averaging.heated(scaled, MODEL, prompts=prompts, count=40)
    assert left.error_all < 0.7 * left.error_one


def test_a_row_is_worth_what_it_holds(bare: Caller) -> None:
    scale = worth.Scale(MODEL, contexts=30, seed=2)
    whole, some, none = (
        scale.equivalents(
            [bare.first(prompt, top_logprobs=top, temperature=0) for prompt in scale.prompts], 0.0
        )[0]
        for top in (150, 5, 1)
    )
    assert whole > some > none


def test_a_picture_shows_gaps_and_worths_where_there_is_a_place_for_it(tmp_path: Path) -> None:
    bars = {"bare": 5e10, "baseline": 1.02}
    told = draw(tmp_path, bars, bars)
    assert [Path(file).stat().st_size > 1000 for file in told.files] == [True] * len(told.files)
    assert bool(told.files) != any("matplotlib" in note for note in told.notes)
    assert draw(None, bars, bars) == ((), ())


@pytest.mark.slow
def test_every_claim_holds_in_a_short_run() -> None:
    result = CliRunner().invoke(app, ["redteam", "logprobs", "--quick", "--json"])
    assert result.exit_code == 0, result.output
