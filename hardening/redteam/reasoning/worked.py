"""Steps of worked questions: how many can be read in the trace, and how many in its summary."""

from __future__ import annotations

import random
from pathlib import Path

from hardening import kernels
from hardening.redteam.claims import Measured
from hardening.redteam.options import Options
from hardening.redteam.reasoning.naming import drawn, first, names_goal
from hardening.redteam.reasoning.parts import Findings
from hardening.redteam.reasoning.spelled import FORMS
from hardening.redteam.reasoning.steps import Worked, readable, worked
from hardening.redteam.reasoning.summaries import summarise
from hardening.redteam.reasoning.traces import ask, trace_of
from hardening.redteam.report import Table

_QUESTIONS, _QUICK = 1500, 200


def attack(options: Options) -> Findings:
    """Read steps and plans in the summaries of traces made from worked questions."""
    if options.data is None:
        raise LookupError("it needs --data with gsm8k-*.jsonl")
    kernels.warm()
    questions = _drawn(options.data, options)
    measured: dict[str, Measured] = {}
    rows: list[tuple[str | float | None, ...]] = []
    named = random_named = 0.0
    for form in FORMS:
        found = _Count()
        for one in questions:
            found.add(one, trace_of(one, form, options.seed), random.Random(f"{options.seed}/{one.question}"))
        options.say(f"steps in {form}: {found.left} of {found.steps} left")
        measured[f"reasoning_leak_{form}"] = Measured(
            found.left / found.steps, found.steps, found.bare / found.steps
        )
        rows.append((f"steps in {form}", found.left / found.steps, found.bare / found.steps, None, None))
        named += found.named / len(questions)
        random_named += found.random / len(questions)
        rows.append(
            (
                f"plans, steps in {form}",
                found.named / len(questions),
                None,
                found.random / len(questions),
                found.lead / len(questions),
            )
        )
    measured["reasoning_plan_named"] = Measured(
        named / len(FORMS), len(questions) * len(FORMS), random_named / len(FORMS)
    )
    columns = (
        f"{len(questions)} worked questions",
        "summary",
        "raw trace",
        "3 sentences by chance",
        "first 3",
    )
    return Findings(measured, (Table("What can be read of steps and plans", columns, tuple(rows)),))


class _Count:
    """Steps and plans found over many traces."""

    def __init__(self) -> None:
        self.steps = self.left = self.bare = self.named = self.random = self.lead = 0

    def add(self, one: Worked, trace: str, draw: random.Random) -> None:
        """Count one trace; a summary is judged by what it holds beside the question."""
        summary, goal = summarise(trace, one.question), ask(one.question)
        read, steps = readable(one.steps, summary, one.question)
        self.left += read
        self.steps += steps
        self.bare += readable(one.steps, trace, one.question)[0]
        self.named += names_goal(summary, goal)
        self.random += names_goal(" ".join(drawn(trace, draw)), goal)
        self.lead += names_goal(" ".join(first(trace)), goal)


def _drawn(data: Path, options: Options) -> list[Worked]:
    found = worked(data)
    size = _QUICK if options.quick else _QUESTIONS
    return random.Random(options.seed).sample(found, min(size, len(found)))
