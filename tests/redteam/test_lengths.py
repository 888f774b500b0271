"""The length attacker reads what is told, and no more than that."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from hardening.redteam.options import Options
from hardening.redteam.reasoning import lengths
from hardening.redteam.reasoning.lengths import attack, bits
from hardening.transform.seal import SIZES


def test_entropy() -> None:
    assert bits("abcd") == 2
    assert bits("aaaa") == 0
    assert bits("aab") == pytest.approx(math.log2(3) - 2 / 3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chance = random.Random(5)
    rows = []
    for number in range(24):
        words = " ".join(chance.choices(["some", "apples", "are", "red", "now"], k=20 * (number + 1)))
        section = f'["deduction"]{words}["end-section"]'
        rows.append({"annotated_response": section, "response": f"<think>{words}</think>Ten."})
    (tmp_path / "traces-own.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return tmp_path


def options(data: Path | None) -> Options:
    return Options(data, None, 3, quick=False, say=lambda what: None)


def test_a_seal_tells_little_and_the_next_prompt_all(data: Path) -> None:
    """Catches an attacker who sees nothing: without us, and where a count is kept, he reads nearly every length."""
    found = attack(options(data))
    claim = found.measured["reasoning_seal_bits"]
    assert claim.n == 24
    assert 0 < claim.value <= math.log2(len(SIZES)) < (claim.control or 0)
    rows = {row[0]: row[1:] for row in found.tables[0].rows}
    seal, answer, prompt, _ = (rows[channel] for channel in lengths._CHANNELS)
    kept, rounded, dropped, bare = answer
    assert (dropped, kept) == (0, bare)
    assert 0 < rounded < kept  # type: ignore[operator]
    assert prompt[0] == prompt[3]  # and where counts are coarse, what the client's own bytes tell: the seal
    assert prompt[1] == prompt[2] == seal[0] == seal[1] == seal[2]


def test_without_data_it_says_what_it_needs() -> None:
    with pytest.raises(LookupError, match="traces-"):
        attack(options(None))
