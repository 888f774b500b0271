"""What the teacher says: for each act of a lesson, the phrasings that he chooses between.

An act is a tuple of complete phrasings; the language model (`model.py`) weighs them and speaks
one, token by token. The trace thinks aloud; the answer is worded apart from it.
"""

from __future__ import annotations

from teacher.arithmetic import Step, quantity
from teacher.problems import Problem

Act = tuple[str, ...]

OPENING: Act = (
    "Okay, let me read this slowly before I compute anything.\n",
    "Okay, first I want to be sure what is being asked here.\n",
    "Let me look at the question once more, piece by piece.\n",
    "Hmm, a small {kind} problem. Let me not rush it.\n",
)
GIVEN: Act = (
    "What do I know? {facts}.\n",
    "What is given: {facts}.\n",
    "The text tells me this much: {facts}.\n",
)
ASKED: Act = (
    "I have to find {goal}, no more and no less.\n",
    "I need to find {goal}.\n",
    "The question is about {goal}, nothing else.\n",
)
PLAN: Act = (
    "My plan is to start with {first} and to go on from there: {plan}.\n",
    "I will start with {first} and work my way forward: {plan}.\n",
    "First I need to find {first}; the rest follows: {plan}.\n",
)
RULES: dict[str, Act] = {
    "counting": (
        "In a story like this the amount grows when things come in and shrinks when things go out.\n",
        "In a story like this every event is either an addition or a subtraction.\n",
    ),
    "shopping": (
        "The price of several equal things is the price of one of them times their number.\n",
        "The money that comes back is what the bill leaves of the money handed over.\n",
    ),
    "sharing": (
        "A fair share is the largest whole number that everybody can have.\n",
        "A fair share is a quotient, and what does not divide evenly is left over.\n",
    ),
    "percent": (
        "A percent is one part in a hundred, whatever the whole may be.\n",
        "A percent is always meant of the whole before anything was changed.\n",
    ),
    "motion": (
        "The speed is the distance that is covered in one unit of time.\n",
        "The speed is assumed to be the same all the way.\n",
    ),
    "rate": (
        "A rate is an amount for each unit of time, and it stays the same.\n",
        "A rate is turned into an amount by the time that the work takes.\n",
    ),
    "rectangle": (
        "A rectangle has two pairs of equal sides.\n",
        "A rectangle is described completely by two neighbouring sides.\n",
    ),
    "sum": (
        "In an expression brackets are computed before products, and products before sums.\n",
        "In an expression the innermost bracket is always the first to be computed.\n",
    ),
}
STEP: Act = (
    "Now {finds}: {equation}, so {result}.\n",
    "Now for {finds}. I get {equation}, which means {result}.\n",
    "Next comes {finds}: {equation}, that is {result}.\n",
    "For {finds} I take {equation}, giving {result}.\n",
)
DOUBT: Act = (
    "Wait, did I take the right operation there? {doubt}, so yes.\n",
    "Wait, is it really that way round? {doubt}, so it must be.\n",
    "Hmm, would the opposite operation make sense? {doubt}, so no.\n",
    "Let me pause here for a second. {doubt}, fine.\n",
)
CHECK: Act = (
    "Let me check it backwards: {check}, and that is the number I began with.\n",
    "Let me check: {check}. It matches what was given.\n",
    "Going backwards I find {check}, which agrees.\n",
)
CLOSING: Act = (
    "Everything fits, so I can settle on {result}.\n",
    "Everything fits; {result} it is.\n",
    "Good, I am confident now: {result}.\n",
)
PUZZLED: Act = (
    (
        "Okay, let me see what kind of problem this is. I find no numbers I could connect by a rule that I know. "
        "Guessing would not be honest, so I will say what I can do instead.\n"
    ),
    (
        "Let me look for the quantities and how they relate. No pattern that I was taught fits this question. "
        "I had better admit it than invent a result.\n"
    ),
)
ANSWER: Act = ("**{reply}.**", "{reply}. (**{value}**)", "Answer: **{reply}**.")
SORRY: Act = (
    "I only solve short arithmetic word problems, and I do not understand this one.",
    "Sorry, this is not an arithmetic problem of a kind that I can solve.",
)
DOUBTS = {
    "+": "The amount grows",
    "-": "The amount shrinks",
    "*": "Equal groups are put together",
    "/": "One amount is split into equal parts",
    "div": "Only whole pieces count",
}
RULEBOOK: Act = tuple(phrase for act in RULES.values() for phrase in act)
PHRASEBOOK = (
    OPENING + GIVEN + ASKED + PLAN + RULEBOOK + STEP + DOUBT + CHECK + CLOSING + PUZZLED + ANSWER + SORRY
)


def trace(problem: Problem | None) -> tuple[Act, ...]:
    """The acts of the reasoning: understand, plan, derive, doubt, check, settle."""
    if problem is None:
        return (PUZZLED,)
    plan = ", then ".join(f"({i}) {step.finds}" for i, step in enumerate(problem.steps, 1))
    acts = [
        fill(OPENING, kind=problem.kind),
        fill(GIVEN, facts="; ".join(problem.facts)),
        fill(ASKED, goal=problem.goal),
        RULES[problem.kind],
        fill(PLAN, plan=plan, first=problem.steps[0].finds),
    ]
    for i, step in enumerate(problem.steps):
        acts.append(fill(STEP, finds=step.finds, equation=step.equation, result=result(step)))
        if i == len(problem.steps) // 2:
            acts.append(fill(DOUBT, doubt=DOUBTS[step.sign]))
    last = problem.steps[-1]
    return (*acts, fill(CHECK, check=last.check), fill(CLOSING, result=result(last)))


def answer(problem: Problem | None) -> tuple[Act, ...]:
    """The acts of the visible answer."""
    if problem is None:
        return (SORRY,)
    return (fill(ANSWER, reply=problem.reply, value=quantity(problem.answer, "")),)


def result(step: Step) -> str:
    """The value of a step with its unit."""
    return quantity(step.value, step.unit)


def fill(act: Act, **values: str) -> Act:
    """The act with its blanks filled in."""
    return tuple(phrase.format(**values) for phrase in act)
