"""What docs/limits.md says was tried is there to be tried again."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_table_of_faults_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "limits.md").read_text("utf-8")))
    texts = [path.read_text("utf-8") for path in (ROOT / "tests" / "state").glob("test_*.py")]
    found = {name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    assert len(named) > 20
    assert named <= found
