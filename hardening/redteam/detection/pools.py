"""The prompts of public sets in three parts, by a hash of each: fit, calibrate, test share none."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import orjson

from hardening.redteam.detection.grammar import Part

CHAT = ("prompts-alpaca-eval.jsonl", "prompts-arena-hard-0.1.jsonl")
SELF_INSTRUCT = "synthetic-alpaca-demo.jsonl"
TOOLS = "synthetic-toolformer-0.6.jsonl"
QUESTIONS = "gsm8k-train-4000.jsonl"
TALKS = "people-conversations.jsonl"
"""What people said in whole conversations, `{"prompt", "account"}` a line: for fits; no folder needs it to measure."""
_FIT, _CALIBRATE = 128, 180  # of 256: a half, a fifth, the rest


@dataclass(frozen=True, slots=True)
class Pools:
    """The prompts of one part: of people, of two campaigns, questions that others put into their own sentences, and conversations."""

    part: Part
    chats: tuple[tuple[str, ...], ...]
    self_instruct: tuple[str, ...]
    tools: tuple[str, ...]
    questions: tuple[str, ...]
    talks: tuple[tuple[str, ...], ...] = ()

    @property
    def chat(self) -> tuple[str, ...]:
        """All prompts of people."""
        return tuple(prompt for one in self.chats for prompt in one)

    def question(self, draw: random.Random) -> str:
        """One of the questions."""
        return draw.choice(self.questions)


def load(data: Path, part: Part) -> Pools:
    """One part of the sets in a folder; LookupError where one is not there."""
    return Pools(
        part,
        tuple(_rows(data / name, "prompt", part) for name in CHAT),
        _rows(data / SELF_INSTRUCT, "prompt", part),
        _rows(data / TOOLS, "prompt", part),
        _rows(data / QUESTIONS, "question", part),
        _talks(data / TALKS, part),
    )


def _rows(path: Path, key: str, part: Part) -> tuple[str, ...]:
    texts = dict.fromkeys(row[key] for row in _objects(path))
    return tuple(text for text in texts if _part(text) == part)


def _talks(path: Path, part: Part) -> tuple[tuple[str, ...], ...]:
    """The conversations of a part, by how each begins; none where there is no such set."""
    talks: dict[str, list[str]] = {}
    for row in _objects(path) if path.exists() else ():
        talks.setdefault(row["account"], []).append(row["prompt"])
    return tuple(tuple(talk) for talk in talks.values() if _part(talk[0]) == part)


def _objects(path: Path) -> list[dict[str, str]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as fault:
        raise LookupError(f"{path}: {fault.strerror}; --data names a folder that holds this set") from None
    return [orjson.loads(line) for line in lines if line]


def _part(text: str) -> Part:
    first = hashlib.sha256(text.encode("utf-8", "replace")).digest()[0]
    return "fit" if first < _FIT else "calibrate" if first < _CALIBRATE else "test"
