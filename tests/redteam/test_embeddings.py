"""The attacks on embeddings themselves: each succeeds where nothing is in its way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hardening.cli import app
from hardening.redteam.embeddings import averaging, search, thief
from hardening.redteam.embeddings.client import Caller, mounted
from hardening.redteam.embeddings.encoder import Encoder, texts, unit

ENCODER = Encoder(64, seed=3)
TEXTS, TOPICS = texts(400, seed=4)
CLEAN = ENCODER.embed(TEXTS)


def lesson(taught: np.ndarray) -> thief.Lesson:
    given = ENCODER.trunk(TEXTS)
    return thief.Lesson(given[:200], taught[:200], given[200:], CLEAN[200:])


def test_the_toy_serves_what_it_embeds() -> None:
    got = Caller(ENCODER).vectors(TEXTS)
    np.testing.assert_allclose(got, CLEAN, atol=1e-6)
    np.testing.assert_allclose(Caller(ENCODER).vectors(TEXTS, dimensions=9), unit(CLEAN[:, :9]), atol=1e-6)


def test_a_linear_student_rebuilds_the_head_and_noise_costs_it_what_theory_says() -> None:
    assert thief.linear(lesson(CLEAN)) > 0.99
    noised = CLEAN + np.random.default_rng(5).standard_normal(CLEAN.shape) / 8
    assert thief.linear(lesson(noised)) == pytest.approx((1 + 64 / 200) ** -0.5, abs=0.04)


def test_a_student_with_a_hidden_layer_learns() -> None:
    assert thief.layered(lesson(CLEAN), seed=1) > 0.8
    shuffled = CLEAN[np.random.default_rng(6).permutation(len(CLEAN))]
    assert thief.layered(lesson(shuffled), seed=1) < 0.5


def test_an_average_of_fresh_noise_is_what_theory_says() -> None:
    chance = np.random.default_rng(7)
    drawn = [CLEAN + 0.5 * chance.standard_normal(CLEAN.shape) / 8 for _ in range(9)]
    one, all_of_them = averaging.left(drawn, CLEAN)
    assert one == pytest.approx(0.5, rel=0.05)
    assert all_of_them == pytest.approx(one / 3, rel=0.1)


def test_an_account_in_a_band_gets_the_noise_of_the_band() -> None:
    calm, flagged = mounted(ENCODER, "embeddings"), mounted(ENCODER, "embeddings", band="harden")
    assert averaging.left([calm.vectors(TEXTS[:20])], CLEAN[:20])[0] < 0.01
    assert averaging.left([flagged.vectors(TEXTS[:20])], CLEAN[:20])[0] > 0.3


def test_a_search_is_right_by_clean_vectors_of_topics_and_by_chance_without() -> None:
    centres = np.eye(64)[TOPICS]
    assert search.gain(centres[:50], centres, TOPICS[:50], TOPICS) == pytest.approx(1)
    lost = np.random.default_rng(8).standard_normal(CLEAN.shape)
    assert search.gain(lost[:50], np.roll(lost, 1, axis=0), TOPICS[:50], TOPICS) < 0.2


def test_the_command_reports_every_claim_with_its_control() -> None:
    result = CliRunner().invoke(app, ["redteam", "embeddings", "--quick", "--json"])
    assert result.exit_code in (0, 1)
    claims = {claim["name"]: claim for claim in json.loads(result.stdout)["claims"]}
    assert claims["embeddings_repeats_gain"]["holds"]
    assert claims["embeddings_benign_ndcg"]["holds"]
    assert claims["embeddings_remap_cosine"]["control"] > 0.99
    assert claims["embeddings_remap_cosine"]["n"] == 1024
