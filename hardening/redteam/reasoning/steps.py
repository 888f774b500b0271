"""Gold steps of worked answers, and which of them can be read in a text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from hardening.redteam.reasoning.spelled import NUMBER, in_words, value

_STEP = re.compile(r"<<([^=<>]+)=([^<>]+)>>")
_FILE = "gsm8k-*.jsonl"
_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")
_WRITTEN = re.compile(r"(\d[\d.,]*\s*(?:[-+*/x×÷]|\\times|\\div)\s*\d[\d.,\s+*/×÷-]*?)\s*=\s*\$?(\d[\d.,]*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the numbers that go in, and the one that comes out."""

    operands: tuple[float, ...]
    result: float


@dataclass(frozen=True, slots=True)
class Worked:
    """A question with its worked answer, line by line, and its steps."""

    question: str
    lines: tuple[str, ...]
    steps: tuple[Step, ...]
    answer: str


def worked(data: Path) -> list[Worked]:
    """The worked questions of a folder, `gsm8k-*.jsonl`. Raises LookupError where there is no such file."""
    paths = sorted(data.glob(_FILE))
    if not paths:
        raise LookupError(f"no {_FILE} in {data}")
    found = []
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            found += [_read(json.loads(line)) for line in lines]
    return [one for one in found if one.steps]


def _read(row: dict[str, str]) -> Worked:
    told, _, answer = row["answer"].partition("####")
    lines = tuple(_STEP.sub("", line).strip() for line in told.splitlines() if line.strip())
    steps = tuple(step for one in _STEP.findall(told) if (step := _step(*one)) is not None)
    return Worked(row["question"], lines, steps, answer.strip())


def written_in(trace: str) -> tuple[Step, ...]:
    """The steps that a trace itself writes as equations."""
    return tuple(
        step for one in _WRITTEN.findall(trace) if (step := _step(one[0], one[1].rstrip(".,"))) is not None
    )


def _step(left: str, right: str) -> Step | None:
    numbers = [value(number) for number in NUMBER.findall(left)]
    result = value(right)
    if result is None or len(numbers) < 2 or None in numbers:
        return None
    return Step(tuple(number for number in numbers if number is not None), result)


def readable(steps: tuple[Step, ...], text: str, question: str) -> tuple[int, int]:
    """How many of the steps can be read in a text, and how many could be.

    A step can be read where its result stands that the question does not tell, in digits or in words, or
    where one sentence holds all of its operands.
    """
    wanted = frozenset(number for step in steps for number in (*step.operands, step.result))
    public = _told(wanted, question)
    told = _told(wanted, text)
    sentences = [_told(wanted, sentence) for sentence in _ENDS.split(text)]
    read = sum(
        (step.result in told and step.result not in public)
        or any(told.issuperset(step.operands) for told in sentences)
        for step in steps
    )
    return read, len(steps)


def _told(wanted: frozenset[float], text: str) -> frozenset[float]:
    """Which of these numbers stand in a text, in digits or in words."""
    digits = {value(number.rstrip(".,")) for number in NUMBER.findall(text)}
    words = _bare(text)
    return frozenset(number for number in wanted if number in digits or _bare(in_words(number)) in words)


def _bare(text: str) -> str:
    return f" {' '.join(re.findall('[a-z]+', text.lower()))} "
