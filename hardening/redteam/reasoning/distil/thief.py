"""What a thief makes of answers that came with or without thoughts: students, one of them of traces that another invented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hardening.redteam.reasoning.distil.lessons import Lesson, Words, said
from hardening.redteam.reasoning.distil.student import Said, Size, Student, replies, taught
from hardening.redteam.reasoning.distil.teacher import MODULUS, Task

_STEP = re.compile(r"(\d+) (plus|times) (\d+) is (\d+)")
_MOST_WEIGHT = 2.0
"""Of an invented trace beside one that was bought."""


@dataclass(frozen=True, slots=True)
class Loot:
    """Tasks that a thief had answered, and what he read with each answer."""

    tasks: tuple[Task, ...]
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """How a student did: the shares of questions answered rightly and of plans named, and by how many lessons.

    `lessons` counts them; `inverted` is the share of invented traces that hold every step of the real one.
    """

    right: float
    planned: float
    lessons: int
    inverted: float | None = None


def student_of(loot: Loot, words: Words, size: Size, held: Sequence[Task], *, seed: int) -> Judged:
    """A student that is taught what came with the answers."""
    lessons = [
        words.lesson(task.question, told, task.answer)
        for task, told in zip(loot.tasks, loot.told, strict=True)
    ]
    return _judged(taught(lessons, len(words), size, seed=seed), lessons, words, held)


def adaptive(
    bought: Loot, loot: Loot, words: Words, size: Size, held: Sequence[Task], *, seed: int
) -> Judged:
    """A student of traces that an inverter invents for the loot, beside those that were bought.

    The inverter learns from the bought tasks, of which the traces are known, what was told with them. Of
    what it invents stays what adds up to the answer that came, and weighs more the surer it was.
    """
    pairs = zip(bought.tasks, bought.told, strict=True)
    known = [words.inversion(task.question, told, task.answer, task.trace) for task, told in pairs]
    inverter = taught(known, len(words), size, seed=seed)
    invented = _invented(inverter, loot, words)
    lessons = [words.lesson(task.question, task.trace, task.answer) for task in bought.tasks]
    lessons += kept(invented, loot.tasks, words)
    exact = sum(
        _holds(one.reply, words.ids(task.steps)) for one, task in zip(invented, loot.tasks, strict=True)
    )
    judged = _judged(taught(lessons, len(words), size, seed=seed + 1), lessons, words, held)
    return replace(judged, inverted=exact / len(loot.tasks))


def _invented(inverter: Student, loot: Loot, words: Words) -> list[Said]:
    pairs = zip(loot.tasks, loot.told, strict=True)
    return replies(inverter, [words.left(task.question, told, task.answer) for task, told in pairs])


def kept(invented: Sequence[Said], tasks: Sequence[Task], words: Words) -> list[Lesson]:
    """Lessons of the invented traces that add up to the answer that came, the surer ones with more weight."""
    pairs = zip(invented, tasks, strict=True)
    told = [(task, words.text(one.reply), one.nats) for one, task in pairs]
    found = [
        (words.lesson(task.question, trace, task.answer), nats)
        for task, trace, nats in told
        if adds_up(trace, task.answer)
    ]
    usual = sorted(nats for _, nats in found)[len(found) // 2] if found else 0.0
    return [replace(lesson, weight=_weight(nats, usual)) for lesson, nats in found]


def adds_up(trace: str, answer: str) -> bool:
    """Whether each step of a trace is right, begins where the one before ended, and the last one ends at the answer.

    A thief can tell so much with a pocket calculator. A step that is said once more is a check.
    """
    value, steps = None, dict.fromkeys(_STEP.findall(trace))
    for before, sign, number, result in steps:
        right = int(before) + int(number) if sign == "plus" else int(before) * int(number)
        if value not in (None, before) or str(right % MODULUS) != result:
            return False
        value = result
    return value == answer


def _weight(nats: float, usual: float) -> float:
    """1 for a trace as likely as most, more for a likelier one, down to nothing for one that was guessed."""
    return min(_MOST_WEIGHT, usual / nats) if nats else _MOST_WEIGHT


def _judged(student: Student, lessons: Sequence[Lesson], words: Words, held: Sequence[Task]) -> Judged:
    """What a student says to questions that nobody asked before."""
    told = replies(student, [words.asked(task.question) for task in held])
    pairs = list(zip(told, held, strict=True))
    right = sum(said(one.reply) == words.ids(task.answer) for one, task in pairs)
    planned = sum(_holds(one.reply, words.ids(task.plan)) for one, task in pairs)
    return Judged(right / len(held), planned / len(held), len(lessons))


def _holds(reply: tuple[int, ...], words: tuple[int, ...]) -> bool:
    """Whether words stand in a reply, in order and together."""
    return any(reply[at : at + len(words)] == words for at in range(len(reply) - len(words) + 1))
