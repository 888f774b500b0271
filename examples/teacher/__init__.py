"""A teacher that solves arithmetic word problems step by step, thinking aloud first.

A real, small and deterministic program: it reads the numbers of the question, plans, derives,
checks, answers, and draws every token from a distribution of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from teacher.measures import bare_sum, motion, rate, rectangle
from teacher.model import Part, Token, speak
from teacher.phrases import answer, trace
from teacher.problems import Problem, read_problem
from teacher.shop import percent, shopping
from teacher.stories import comings_and_goings, sharing

__all__ = ["Part", "Problem", "Token", "teach", "understand"]

READERS = (shopping, sharing, percent, motion, rate, rectangle, comings_and_goings, bare_sum)


def understand(question: str) -> Problem | None:
    """The problem in a question, or None where the teacher does not understand it."""
    return read_problem(question, READERS)


def teach(question: str, *, seed: int = 0, temperature: float = 1.0, think: bool = True) -> Iterator[Token]:
    """The teacher's tokens: the reasoning trace (unless `think` is false), then the answer."""
    problem = understand(question)
    key = f"{seed}/{question}"
    if think:
        yield from speak(trace(problem), "reasoning", key, temperature)
    yield from speak(answer(problem), "answer", key, temperature)
