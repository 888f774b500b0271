"""The number for `embeddings.benign`: of the accounts of a file, by several keys, and nothing but numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from hardening.policy import load_policy


def test_it_prints_what_a_policy_takes_and_no_name(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    rows = [
        {"account": f"secret-{account}", "embedding": chance.standard_normal(64).tolist()}
        for account in range(3)
        for _ in range(100 * (account + 1))
    ]
    file = tmp_path / "vectors.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    done = subprocess.run(
        [sys.executable, "-m", "bench.coverage", str(file)], capture_output=True, text=True, check=True
    )
    assert "secret" not in done.stdout
    first, line = done.stdout.splitlines()
    assert first.startswith("3 accounts")
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\ndefaults: {{{line}}}\n")
    share = load_policy(policy).rulebook.base.embedding_benign
    assert share is not None
    assert 0.05 < share < 0.08
