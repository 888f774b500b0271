"""A real model under the attacks: it reads on rightly, and who lacks its package is told so."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hardening.cli import app
from hardening.redteam.logprobs.model import Floats
from hardening.redteam.logprobs.real import GgufModel

FILE = os.environ.get("HARDENING_GGUF", "")
installed = find_spec("llama_cpp") is not None


@pytest.mark.skipif(installed, reason="llama-cpp-python is installed")
def test_without_its_package_a_model_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.touch()
    with pytest.raises(LookupError, match="llama-cpp-python"):
        GgufModel(path, seed=1)


def test_a_model_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["redteam", "logprobs", "--model", str(tmp_path / "gone.gguf")])
    assert result.exit_code == 2
    assert "gone.gguf" in result.output


@pytest.mark.skipif(not (installed and FILE), reason="needs llama-cpp-python, and HARDENING_GGUF with a file")
def test_what_was_read_before_changes_no_row() -> None:
    reading, fresh = (GgufModel(Path(FILE), seed=1) for _ in range(2))
    begun = reading.prompts(1, seed=3, words=5)[0]
    tokens = reading.tokens(begun)
    assert len(tokens) == 5
    # Quantised, a step at a time is not all at once to the last digit: it is far nearer than another beginning.
    for other in (tokens[:2], (*tokens[:3], 7), tokens):
        assert _apart(reading.row(other), fresh.row(other)) < 0.2 * _apart(
            fresh.row(other), fresh.row(tokens[:1])
        )
    assert np.exp(reading.row(tokens)).sum() == pytest.approx(1)


def _apart(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).mean())
