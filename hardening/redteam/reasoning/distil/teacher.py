"""A teacher that works chains of modular arithmetic out, in sentences.

A question names a thing, a start and some moves. Each thing has its plan, the order in which its moves are taken, and in
another order they end elsewhere. So an answer needs the plan, which no question tells, and every value on the way.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

MODULUS = 5
PLANS: dict[str, tuple[int, ...]] = {
    "from the first to the last": (0, 1, 2),
    "from the last to the first": (2, 1, 0),
    "from the middle to the ends": (1, 0, 2),
}
"""The order of the moves under each plan."""
FAMILIES: dict[str, tuple[str, ...]] = {
    "from the first to the last": ("clock", "lift", "tram", "river"),
    "from the last to the first": ("crane", "mirror", "ladder", "tide"),
    "from the middle to the ends": ("wheel", "flower", "well", "drum"),
}
"""The things that need each plan."""
_PLAN_OF = {thing: plan for plan, things in FAMILIES.items() for thing in things}
_THINGS = tuple(_PLAN_OF)
_MOVES = 3

_OPENINGS = ("I need to find its end by moving {plan}.", "I want to find its end by moving {plan}.")
_KNOWLEDGE = ("Numbers wrap around at the edge.", "Numbers start again past the edge.")
_DOUBTS = ("Hmm, is that right?", "Wait, is this wrong?")
_DOUBTED = 0.5
_ENDINGS = ("Therefore it ends at {answer}.", "So it ends at {answer}.")

Move = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Task:
    """A question with the plan that it needs, the value after each move, the steps that tell them, and all that the teacher thinks."""

    question: str
    plan: str
    values: tuple[int, ...]
    steps: str
    trace: str

    @property
    def answer(self) -> str:
        """Where it ends."""
        return str(self.values[-1])


def tasks(count: int, *, seed: str, without: Iterable[Task] = ()) -> list[Task]:
    """Tasks with distinct questions, none of them among those of `without`."""
    draw, seen, found = random.Random(seed), {task.question for task in without}, list[Task]()
    while len(found) < count:
        one = _task(draw)
        if one is not None and one.question not in seen:
            seen.add(one.question)
            found.append(one)
    return found


def plain_summary(task: Task) -> str:
    """What a summary tells that was not made against thieves: the plan, and the values on the way."""
    return f"{_OPENINGS[0].format(plan=task.plan)} It passes {', '.join(map(str, task.values[:-1]))}."


def _task(draw: random.Random) -> Task | None:
    """One task; none where a wrong plan would lead to the right answer."""
    thing, start = draw.choice(_THINGS), draw.randrange(MODULUS)
    moves = [_move(draw) for _ in range(_MOVES)]
    plan = _PLAN_OF[thing]
    ends = {name: _values(start, moves, order)[-1] for name, order in PLANS.items()}
    if sum(end == ends[plan] for end in ends.values()) > 1:
        return None
    said = ", ".join(f"{sign} {number}" for sign, number in moves)
    values = _values(start, moves, PLANS[plan])
    steps = [
        f"{value} {moves[at][0]} {moves[at][1]} is {result}."
        for value, at, result in zip((start, *values), PLANS[plan], values, strict=False)
    ]
    question = f"Where does a {thing} end from {start}: {said}?"
    return Task(question, plan, values, " ".join(steps), _trace(plan, steps, values[-1], draw))


def _move(draw: random.Random) -> Move:
    """Any move but those that change nothing, or lose the value."""
    sign = draw.choice(("plus", "times"))
    return sign, draw.randrange(1 if sign == "plus" else 2, MODULUS)


def _values(start: int, moves: list[Move], order: tuple[int, ...]) -> tuple[int, ...]:
    """The value after each move."""
    found, value = [], start
    for at in order:
        sign, number = moves[at]
        value = (value + number if sign == "plus" else value * number) % MODULUS
        found.append(value)
    return tuple(found)


def _trace(plan: str, steps: list[str], answer: int, draw: random.Random) -> str:
    """Plan, knowledge, each step, at times doubt and a check, and what it ends at."""
    said = [draw.choice(_OPENINGS).format(plan=plan), draw.choice(_KNOWLEDGE), *steps]
    if draw.random() < _DOUBTED:
        said += [draw.choice(_DOUBTS), f"Check: {draw.choice(steps)}"]
    return " ".join([*said, draw.choice(_ENDINGS).format(answer=answer)])
