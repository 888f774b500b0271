"""What is asked: prompts of people and of campaigns as numbers of tokens, from public sets or made up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from hardening.errors import StartError
from hardening.scoring import tokens

_BENIGN = ("prompts-alpaca-eval.jsonl", "prompts-arena-hard-0.1.jsonl")
_CAMPAIGN = ("synthetic-alpaca-demo.jsonl", "synthetic-toolformer-0.6.jsonl")
_MADE = 1000
# Of the made-up sets, as medians of the tokens of a prompt and an answer with the spread of their logarithms: people write
# longer prompts and wait for longer answers than instruction data has.
_PEOPLE = (60.0, 1.1, 320.0, 0.8)
_INSTRUCTIONS = (25.0, 0.7, 90.0, 0.9)
_LONGEST = 8_000


class Asked(NamedTuple):
    """One request: its tokens, and those of its whole answer."""

    prompt: int
    answer: int


class Prompts(NamedTuple):
    """What people ask, what campaigns ask, and where it comes from."""

    people: tuple[Asked, ...]
    campaigns: tuple[Asked, ...]
    source: str


def load(data: Path | None, draw: random.Random) -> Prompts:
    """The prompts of a folder of public sets; made-up ones without.

    Raises:
        LookupError: a set is not there.
    """
    if data is None:
        return Prompts(_made(_PEOPLE, draw), _made(_INSTRUCTIONS, draw), "made-up prompts")
    count = _counter()
    people = [row for name in _BENIGN for row in _rows(data / name)]
    answers = [count(answer) for _, answer in people if answer]
    return Prompts(
        tuple(Asked(count(prompt), count(answer) or draw.choice(answers)) for prompt, answer in people),
        tuple(
            Asked(count(prompt), max(1, count(answer)))
            for name in _CAMPAIGN
            for prompt, answer in _rows(data / name)
        ),
        ", ".join((*_BENIGN, *_CAMPAIGN)),
    )


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as fault:
        raise LookupError(f"{path}: {fault.strerror}; --data names a folder that holds this set") from None
    for line in lines:
        row = orjson.loads(line)
        yield row["prompt"], row.get("answer") or ""


def _counter() -> Callable[[str], int]:
    try:
        return tokens.load().count
    except StartError:
        return tokens.estimate


def _made(shape: tuple[float, float, float, float], draw: random.Random) -> tuple[Asked, ...]:
    prompt, prompt_spread, answer, answer_spread = shape
    return tuple(
        Asked(_lognormal(prompt, prompt_spread, draw), _lognormal(answer, answer_spread, draw))
        for _ in range(_MADE)
    )


def _lognormal(median: float, spread: float, draw: random.Random) -> int:
    return max(1, min(_LONGEST, round(median * draw.lognormvariate(0.0, spread))))
