"""Every example runs as its first lines say, stays short, and shows what it is about."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from teacher import teach

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem != "demo")


def output(example: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=100, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_there_are_examples() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "fastapi_deferred",
        "fastapi_identify",
        "policy_in_code",
        "starlette_app",
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_prints_what_its_first_lines_say(example: Path) -> None:
    text = example.read_text("utf-8")
    assert text.count("\n") <= 80
    said = re.match(r'"""(.*?)"""', text, re.DOTALL)
    assert said is not None
    assert f"python examples/{example.name}" in said[1]
    shown = "    " + said[1].partition(":\n\n    ")[2]
    assert output(example) == re.sub(r"(?m)^    ", "", shown)


def test_the_starlette_example_hides_most_of_the_trace() -> None:
    head, summary = output(ROOT / "examples" / "starlette_app.py").split("\n", 1)
    thought, seen = map(int, re.findall(r"\d+", head))
    assert 0 < seen < thought / 2
    assert "=" not in summary


def test_the_fastapi_example_treats_callers_apart() -> None:
    lines = output(ROOT / "examples" / "fastapi_identify.py").splitlines()
    seen = {line.split()[0]: int(line.split()[2]) for line in lines}
    from fastapi_identify import QUESTION

    trace = "".join(token.text for token in teach(QUESTION) if token.part == "reasoning")
    assert seen["key-of-evals"] == len(trace)
    assert 0 < seen["key-of-customer"] == seen["unknown-key"] < len(trace) / 2
