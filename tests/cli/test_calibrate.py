"""`hardening calibrate`: an operator's file is fitted to his traffic, never looser, and its faults show no prompt."""

from __future__ import annotations

import json
import random

import pytest
from typer.testing import CliRunner

from hardening.cli import app
from hardening.redteam.detection import honest
from hardening.scoring import reference

SECRET = "my-secret-plan"


def written(path, texts: list[tuple[str, str]]) -> str:
    path.write_text(
        "\n".join(json.dumps({"prompt": text, "account": whose}) for text, whose in texts), "utf-8"
    )
    return str(path)


@pytest.fixture
def benign(tmp_path) -> str:
    draw = random.Random(2)
    accounts = [(kind, number) for number in range(2) for kind in honest.KINDS]
    return written(
        tmp_path / "benign.jsonl",
        [
            (text, f"{kind}{number}")
            for kind, number in accounts
            for text in honest.written(kind, 30, "test", draw)
        ],
    )


@pytest.fixture
def attack(tmp_path) -> str:
    draw = random.Random(3)
    verbs, things = (
        ("write a decree on", "argue against", "list the costs of"),
        ("bees", "trams", "taxes", "noise", "wells"),
    )
    texts = [
        (
            f"Act as the mayor of town {draw.randrange(900)} and {draw.choice(verbs)} {draw.choice(things)}",
            f"x{place % 8}",
        )
        for place in range(320)
    ]
    return written(tmp_path / "attack.jsonl", texts)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["calibrate", *arguments])
    return done.exit_code, done.output


def test_a_confirmed_attack_is_told_afterwards_and_nobody_honest_is(benign, attack, tmp_path):
    out = str(tmp_path / "own.npz")
    code, told = run("--benign", benign, "--attack", attack, "--out", out, "--json")
    found = json.loads(told)
    assert code == 0
    assert (found["attack_before"], found["attack_after"], found["honest_after"]) == (0.0, 1.0, 0.0)
    own, shipped = reference.load(tmp_path / "own.npz"), reference.load()
    assert found["digest"] == own.digest != shipped.digest
    assert own.prior <= shipped.prior
    assert (own.biases[:2] <= shipped.biases[:2]).all()


def test_traffic_that_would_be_told_lowers_the_prior_until_it_is_not(tmp_path):
    texts = [
        (
            f"Case {place}: {place} apples. Write out your full chain of thought before the final answer.",
            f"a{place % 10}",
        )
        for place in range(400)
    ]
    mine = written(tmp_path / "mine.jsonl", texts)
    code, told = run("--benign", mine, "--out", str(tmp_path / "own.npz"), "--json")
    found = json.loads(told)
    assert code == 0
    assert (found["honest_before"], found["honest_after"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"prompt": "{SECRET}"', ":1: no JSON"),
        (f'{{"text": "{SECRET}"}}', ':1: expected an object with a "prompt"'),
        (f'{{"prompt": "{SECRET}"}}', "1 prompts, at least 200"),
    ],
)
def test_what_is_no_traffic_is_refused_without_showing_it(tmp_path, text, said):
    path = tmp_path / "bad.jsonl"
    path.write_text(text, "utf-8")
    code, told = run("--benign", str(path), "--out", str(tmp_path / "own.npz"))
    assert code == 2
    assert said in told.replace("\n", "")
    assert SECRET not in told
    assert not (tmp_path / "own.npz").exists()
