"""Traces made from worked questions: plans, steps in one form, doubt and checks, as reasoning models write them."""

from __future__ import annotations

import random
import re

from hardening.redteam.reasoning.spelled import Form, as_form
from hardening.redteam.reasoning.steps import Worked

_OPENINGS = (
    "Okay, so I need to figure out {ask}.",
    "First, I need to find out {ask}.",
    "Alright, so the problem is asking {ask}.",
    "To solve this, I need to determine {ask}.",
    "Okay, let me think about this. I need to determine {ask}.",
)
_STEPS = (
    "{step}",
    "So, {step}",
    "Then {step}",
    "Next, I need to work out this: {step}",
    "I know that {step}",
    "First, I'll calculate it: {step}",
    "Since {step} I can go on.",
)
_DOUBTS = (
    "Wait, is that right?",
    "Hmm, let me double-check that.",
    "Wait, no, maybe I made a mistake there.",
    "Let me verify: {step}",
    "Hold on, I should check this again, because {step}",
    "I think that's correct.",
)
_ENDINGS = (
    "So the answer is {answer}.",
    "Therefore, the final answer is {answer}.",
    "In conclusion, it is {answer}.",
)


def trace_of(one: Worked, form: Form, seed: int) -> str:
    """A trace that works a question out, with its steps written in `form`."""
    draw = random.Random(f"{seed}/{one.question}")
    parts = [draw.choice(_OPENINGS).format(ask=ask(one.question))]
    for line in one.lines:
        step = as_form(line if line.endswith(".") else f"{line}.", form)
        parts.append(draw.choice(_STEPS).format(step=step))
        if draw.random() < 0.5:
            parts.append(draw.choice(_DOUBTS).format(step=step))
    parts.append(draw.choice(_ENDINGS).format(answer=as_form(one.answer, form)))
    return "\n\n".join(parts) if draw.random() < 0.5 else " ".join(parts)


def ask(question: str) -> str:
    """What a question wants to know, from its last sentence."""
    last = re.split(r"(?<=[.!?])\s+", question.strip())[-1].rstrip("?. ")
    return last[:1].lower() + last[1:]
