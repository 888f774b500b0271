"""Small students taught by what leaves of a teacher's thoughts, with and without us."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

from hardening import kernels
from hardening.redteam.claims import Measured
from hardening.redteam.options import Options
from hardening.redteam.reasoning.distil import jobs, served
from hardening.redteam.reasoning.distil.jobs import Job
from hardening.redteam.reasoning.distil.lessons import Words
from hardening.redteam.reasoning.distil.picture import draw
from hardening.redteam.reasoning.distil.shares import Spread, closed, spread
from hardening.redteam.reasoning.distil.student import Size
from hardening.redteam.reasoning.distil.teacher import MODULUS, Task, plain_summary, tasks
from hardening.redteam.reasoning.distil.thief import Judged, Loot
from hardening.redteam.reasoning.parts import Findings
from hardening.redteam.report import Table

RAW, OURS, PLAIN, NOTHING = "raw traces", "what leaves of them", "plain summaries", "answers only"
OTHERS = "what leaves of others"
_INVERTED = "inverted, from "
CURVE = (RAW, OURS, NOTHING)
"""Who is taught with every budget; the others with the largest one."""
_TOLD = (OURS, OTHERS, PLAIN, NOTHING)
"""What inverters read beside question and answer; what leaves of other questions tells how much is this one's."""
STUDENTS = (*CURVE, PLAIN, *(_INVERTED + name for name in _TOLD))
"""Who is taught with the largest budget."""

_FEWEST_SEEDS = 4
"""With fewer the interval of a gain is wider than its goal, whatever the mean: then nothing is judged."""

_Row = tuple[str | float | None, ...]
Scores = dict[tuple[str, int], list[Judged]]
"""Of each kind of student and budget, by seed."""


class Scale(NamedTuple):
    """How much of everything: tasks that a thief has answered, those of which he bought the traces, and seeds."""

    budgets: tuple[int, ...]  # the largest one last
    bought: int
    held: int
    seeds: int
    curve_seeds: int
    size: Size


FULL = Scale((100, 300, 1000), bought=100, held=500, seeds=4, curve_seeds=2, size=Size())
QUICK = Scale((1000,), bought=100, held=250, seeds=2, curve_seeds=0, size=Size(steps=160))


class _Data(NamedTuple):
    """Tasks of the teacher, and what is read of each under every regime."""

    pool: tuple[Task, ...]
    bought: tuple[Task, ...]
    held: tuple[Task, ...]
    told: dict[str, dict[str, str]]
    words: Words

    def loot(self, told: str, of: Sequence[Task]) -> Loot:
        """What a thief has who asked for some tasks and read what is told so."""
        return Loot(tuple(of), tuple(self.told[told][task.question] for task in of))

    def job(
        self, name: str, told: str, of: Sequence[Task], bought: Sequence[Task] | None, size: Size, seed: int
    ) -> Job:
        """The student of some tasks; an adaptive one where traces were bought."""
        loot, known = self.loot(told, of), None if bought is None else self.loot(told, bought)
        return Job(name, loot, known, self.words, size, self.held, seed)


def attack(options: Options) -> Findings:
    """Teach students of each kind, and say what share of the gap between answers and traces each closes."""
    scale = QUICK if options.quick else FULL
    try:
        return findings(scores(options, scale), scale, options)
    except ValueError as fault:
        raise LookupError(str(fault)) from None


def scores(options: Options, scale: Scale) -> Scores:
    """How each student did, by its kind and the number of questions that it had answered; one for each seed."""
    asked = _jobs(_data(options, scale), scale, options.seed)
    options.say(f"distillation: {len(asked)} students")
    found: Scores = {}
    for job, judged in zip(asked, jobs.run(asked, options.resume, options.say), strict=True):
        found.setdefault((job.name, len(job.loot.tasks)), []).append(judged)
    return found


def _data(options: Options, scale: Scale) -> _Data:
    kernels.warm()
    pool = tasks(scale.budgets[-1] * 2, seed=f"{options.seed}/pool")
    bought = tasks(scale.bought, seed=f"{options.seed}/bought", without=pool)
    held = tasks(scale.held, seed=f"{options.seed}/held", without=[*pool, *bought])
    asked = [*pool, *bought]
    options.say(f"distillation: {len(asked):,} questions through the preset {served.PRESET}")
    left = served.left(asked)
    told = {
        RAW: {task.question: task.trace for task in asked},
        OURS: {task.question: text for task, text in zip(asked, left, strict=True)},
        OTHERS: _mixed(asked, left, options.seed),
        PLAIN: {task.question: plain_summary(task) for task in asked},
        NOTHING: dict.fromkeys((task.question for task in asked), ""),
    }
    texts = [text for task in (*asked, *held) for text in (task.question, task.trace, plain_summary(task))]
    return _Data(tuple(pool), tuple(bought), tuple(held), told, Words.of([*texts, *left]))


def _mixed(asked: Sequence[Task], told: Sequence[str], seed: int) -> dict[str, str]:
    """What was told of each question, at another one."""
    mixed = random.Random(f"{seed}/others").sample(list(told), len(told))
    return {task.question: text for task, text in zip(asked, mixed, strict=True)}


def _jobs(data: _Data, scale: Scale, seed: int) -> list[Job]:
    """Every student; those of one seed read the answers to the same questions. The curve comes last."""
    found, curve, most = list[Job](), list[Job](), scale.budgets[-1]
    for at in range(scale.seeds):
        drawn = random.Random(f"{seed}/{at}").sample(data.pool, most)
        for name in (*CURVE, PLAIN):
            found.append(data.job(name, name, drawn, None, scale.size, seed + at))
        for name in _TOLD:
            found.append(data.job(_INVERTED + name, name, drawn, data.bought, scale.size, seed + at))
        for budget in scale.budgets[:-1] if at < scale.curve_seeds else ():
            for name in CURVE:
                curve.append(data.job(name, name, drawn[:budget], None, scale.size, seed + at))
    return [*found, *curve]


def findings(scores: Scores, scale: Scale, options: Options) -> Findings:
    """The claims, a table of students and one of budgets, and the curve.

    Raises ValueError where traces teach no more than answers: then nothing was measured.
    """
    most, number = scale.budgets[-1], scale.held * scale.seeds
    shares = {name: _shares(scores, name, most) for name, budget in scores if budget == most}
    gains = {
        name: spread(
            [one - other for one, other in zip(shares[name], shares[_INVERTED + NOTHING], strict=True)]
        )
        for name in (_INVERTED + OURS, _INVERTED + OTHERS, _INVERTED + PLAIN)
    }
    measured = {
        "reasoning_student_gap": Measured(spread(shares[OURS]).high, number, 1.0),
        "reasoning_adaptive_gain": Measured(
            gains[_INVERTED + OURS].high, number, gains[_INVERTED + PLAIN].mean
        ),
    }
    students = Table(
        f"Students of {most:,} questions, {scale.seeds} seeds; inverters bought {scale.bought} traces",
        (
            "taught by",
            "right",
            "plan named",
            "lessons",
            "inverted rightly",
            "share of the gap",
            "95 %",
            "more than without summary",
            "95 %",
        ),
        tuple(_row(name, scores[name, most], spread(each), gains.get(name)) for name, each in shares.items()),
    )
    curves = {name: [_point(scores[name, budget], budget) for budget in scale.budgets] for name in CURVE}
    budgets = Table(
        "Right, by questions asked",
        ("taught by", *(f"{budget:,}" for budget in scale.budgets)),
        tuple((name, *(right.mean for _, right in points)) for name, points in curves.items()),
    )
    picture = draw(options.out, curves, chance=1 / MODULUS)
    for note in picture.notes:
        options.say(note)
    notes = list[str]()
    if scale.seeds < _FEWEST_SEEDS:
        notes.append(f"{', '.join(measured)}: not judged, {scale.seeds} seeds are too few")
        measured.clear()
    return Findings(measured, (students, budgets), tuple(notes), picture.files)


def _shares(scores: Scores, name: str, budget: int) -> list[float]:
    """The share of the gap that each seed's student closes."""
    return [
        closed(one.right, nothing.right, everything.right)
        for one, nothing, everything in zip(
            *(scores[each, budget] for each in (name, NOTHING, RAW)), strict=True
        )
    ]


def _point(judged: Sequence[Judged], budget: int) -> tuple[int, Spread]:
    return budget, spread([one.right for one in judged])


def _row(name: str, judged: Sequence[Judged], share: Spread, gain: Spread | None) -> _Row:
    inverted = [one.inverted for one in judged if one.inverted is not None]
    return (
        name,
        mean(one.right for one in judged),
        mean(one.planned for one in judged),
        mean(one.lessons for one in judged),
        mean(inverted) if inverted else None,
        share.mean,
        _ends(share),
        gain.mean if gain else None,
        _ends(gain) if gain else None,
    )


def _ends(one: Spread) -> str:
    return f"{one.low:.3f} to {one.high:.3f}"
