"""The distillation itself: a teacher that is right, lessons that say what was told, figures that theory gives, and a toy run."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from hardening.redteam.options import Options
from hardening.redteam.reasoning.distil.lessons import ASKED, END, SAYS, THINKS, TOLD, Words, said
from hardening.redteam.reasoning.distil.served import left
from hardening.redteam.reasoning.distil.shares import closed, spread
from hardening.redteam.reasoning.distil.teacher import (
    FAMILIES,
    MODULUS,
    PLANS,
    Task,
    plain_summary,
    tasks,
)

TASKS = tasks(300, seed="tests")
_STEP = re.compile(r"(\d) (plus|times) (\d) is (\d)\.")
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra redteam")


def worked(task: Task, plan: str) -> list[tuple[str, ...]]:
    """The steps of a task under a plan, worked out from its question alone."""
    start, *moves = re.findall(r"\d+|(?:plus|times) \d", task.question)
    value, steps = int(start), []
    for at in PLANS[plan]:
        sign, number = moves[at].split()
        result = (value + int(number) if sign == "plus" else value * int(number)) % MODULUS
        steps.append((str(value), sign, number, str(result)))
        value = result
    return steps


def test_the_teacher_works_each_question_out_by_the_plan_of_its_thing() -> None:
    for task in TASKS:
        (thing,) = re.findall(r"does a (\w+) end", task.question)
        assert thing in FAMILIES[task.plan]
        assert task.plan in task.trace
        steps = worked(task, task.plan)
        assert _STEP.findall(task.steps) == steps
        assert task.steps in task.trace
        assert task.answer == steps[-1][-1]
        assert task.trace.endswith(f"ends at {task.answer}.")


def test_another_plan_leads_elsewhere() -> None:
    for task in TASKS:
        others = {worked(task, plan)[-1][-1] for plan in PLANS if plan != task.plan}
        assert task.answer not in others


def test_questions_are_distinct_and_held_out() -> None:
    more = tasks(300, seed="tests", without=TASKS)
    assert len({task.question for task in (*TASKS, *more)}) == 600
    assert tasks(300, seed="tests") == TASKS


def test_what_leaves_of_the_teacher_names_the_plan_and_no_step() -> None:
    asked = TASKS[:40]
    for task, told in zip(asked, left(asked), strict=True):
        assert task.plan in told
        assert not _STEP.search(told)
        assert not re.search(r"\d", told)
        assert "check" not in told.lower()


def test_what_leaves_without_a_policy_is_the_trace() -> None:
    asked = TASKS[:5]
    assert left(asked, "version: 1\ndefaults: {reasoning: {show: full}}\n") == [task.trace for task in asked]


def test_a_plain_summary_tells_the_values_on_the_way() -> None:
    for task in TASKS[:40]:
        assert re.findall(r"\d", plain_summary(task)) == [str(value) for value in task.values[:-1]]


def test_lessons_hold_what_was_told_and_nothing_else() -> None:
    words = Words.of(["Where does it end?", "It ends at 4.", "I move."])
    ids = words.ids
    assert words.lesson("Where does it end?", "I move.", "4").reply == (
        THINKS,
        *ids("i move"),
        SAYS,
        *ids("4"),
        END,
    )
    assert words.lesson("Where does it end?", "", "4").reply == (SAYS, *ids("4"), END)
    assert words.lesson("Where?", "I move.", "4").prompt == (ASKED, *ids("where"))
    lesson = words.inversion("Where?", "I move.", "4", "It ends at 4.")
    assert lesson.prompt == (ASKED, *ids("where"), TOLD, *ids("i move"), SAYS, *ids("4"), THINKS)
    assert lesson.reply == (*ids("it ends at 4"), END)
    assert words.text(lesson.reply) == "it ends at 4"
    with pytest.raises(ValueError, match="index"):
        ids("elsewhere")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [((SAYS, 9, END), (9,)), ((THINKS, 8, SAYS, 9), (9,)), ((THINKS, 8, END), ()), ((), ())],
)
def test_an_answer_stands_behind_its_mark(reply: tuple[int, ...], answer: tuple[int, ...]) -> None:
    assert said(reply) == answer


def test_an_interval_is_that_of_student_s_t() -> None:
    found = spread([0.1, 0.2, 0.3])
    assert found.mean == pytest.approx(0.2)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.1 / 3**0.5)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert spread([0.5]).high == float("inf")


def test_a_share_of_the_gap() -> None:
    assert closed(0.2, 0.2, 1.0) == 0
    assert closed(1.0, 0.2, 1.0) == 1
    assert closed(0.4, 0.2, 1.0) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="no gap"):
        closed(0.5, 0.2, 0.2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Two threads on models of this size only wait for each other."""
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@needs_torch
def test_figures_are_those_of_the_scores_and_a_picture_shows_the_curve(tmp_path: Path) -> None:
    from hardening.redteam.reasoning.distil import experiment
    from hardening.redteam.reasoning.distil.student import Size
    from hardening.redteam.reasoning.distil.thief import Judged

    rights = dict(zip(experiment.STUDENTS, (0.9, 0.14, 0.1, 0.5, 0.32, 0.26, 0.74, 0.3), strict=True))
    scores = {(name, 16): [Judged(right, 1.0, 16)] * 4 for name, right in rights.items()}
    scores |= {(name, 8): [Judged(rights[name], 1.0, 8)] for name in experiment.CURVE}
    scale = experiment.Scale((8, 16), bought=8, held=50, seeds=4, curve_seeds=1, size=Size())
    asked = Options(None, tmp_path, 3, quick=False, say=lambda what: None)
    found = experiment.findings(scores, scale, asked)
    gap, gain = (found.measured[name] for name in ("reasoning_student_gap", "reasoning_adaptive_gain"))
    assert (gap.value, gap.n, gap.control) == (pytest.approx(0.05), 200, 1.0)
    assert (gain.value, gain.control) == (pytest.approx(0.025), pytest.approx(0.55))
    assert [row[0] for row in found.tables[0].rows] == [*experiment.STUDENTS]
    assert found.tables[1].rows[0] == ("raw traces", 0.9, 0.9)
    assert [Path(place).stat().st_size > 1000 for place in found.pictures] == [True]
    few = {name: each[:3] for name, each in scores.items()}
    unjudged = experiment.findings(few, scale._replace(seeds=3), asked)
    assert not unjudged.measured
    assert unjudged.tables[0].rows[0][:2] == found.tables[0].rows[0][:2]
    assert unjudged.notes == (
        "reasoning_student_gap, reasoning_adaptive_gain: not judged, 3 seeds are too few",
    )
    scores["raw traces", 16] = [Judged(0.1, 1.0, 16)] * 4
    with pytest.raises(ValueError, match="no gap"):
        experiment.findings(scores, scale, asked)


@needs_torch
def test_inverters_also_read_what_leaves_of_other_questions() -> None:
    from hardening.redteam.reasoning.distil import experiment
    from hardening.redteam.reasoning.distil.student import Size

    scale = experiment.Scale((20,), bought=20, held=5, seeds=1, curve_seeds=0, size=Size())
    told = experiment._data(Options(None, None, 3, quick=True, say=lambda what: None), scale).told
    own, others = told[experiment.OURS], told[experiment.OTHERS]
    assert own.keys() == others.keys()
    assert sorted(own.values()) == sorted(others.values())
    assert 0.1 < sum(own[one] != others[one] for one in own) / len(own) < 1


@needs_torch
def test_a_toy_pipeline_scores_every_student_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    from hardening.redteam.reasoning.distil import experiment
    from hardening.redteam.reasoning.distil.student import Size

    size = Size(width=16, layers=1, heads=2, steps=3, batch=4)
    scale = experiment.Scale((8, 16), bought=8, held=8, seeds=2, curve_seeds=1, size=size)
    told: list[str] = []
    asked = Options(None, tmp_path, 3, quick=False, say=told.append, resume=tmp_path / "kept")
    scores = experiment.scores(asked, scale)
    assert {name for name, budget in scores if budget == 16} == {*experiment.STUDENTS}
    assert {name for name, budget in scores if budget == 8} == {*experiment.CURVE}
    assert all(len(each) == (2 if budget == 16 else 1) for (_, budget), each in scores.items())
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == 2 * len(experiment.STUDENTS) + len(experiment.CURVE)
    first, *rest = kept
    first.unlink()
    for place in rest:
        place.write_text(
            json.dumps(
                json.loads(place.read_text()) | {"judged": {"right": 1.0, "planned": 1.0, "lessons": 1}}
            )
        )
    again = experiment.scores(asked, scale)
    assert sum(one.lessons != 1 for each in again.values() for one in each) == 1
    assert first.exists()


@needs_torch
def test_a_student_learns_what_it_is_taught_and_says_it_word_by_word() -> None:
    from hardening.redteam.reasoning.distil.student import Size, replies, taught

    words = Words.of(["a b c d e f g h"])
    pairs = [("a b", "c"), ("b a", "d"), ("c d", "e"), ("d c", "f")]
    lessons = [words.lesson(question, "", answer) for question, answer in pairs]
    size = Size(width=32, layers=1, heads=2, steps=160, batch=4)
    student = taught(lessons, len(words), size, seed=1)
    longer = [words.asked("a"), *(words.asked(question) for question, _ in pairs)]
    said_by = replies(student, longer)[1:]
    assert [words.text(one.reply) for one in said_by] == ["c", "d", "e", "f"]
    assert all(one.nats < 0.3 for one in said_by)
    assert replies(taught(lessons, len(words), size, seed=1), longer)[1:] == said_by


@needs_torch
def test_what_is_kept_of_a_student_is_what_it_says_at_once() -> None:
    import torch

    from hardening.redteam.reasoning.distil.student import Size, Student

    student = Student(20, Size(width=16, layers=2, heads=2), seed=4)
    rows = torch.randint(20, (3, 9))
    at_once, _ = student.hidden(rows)
    state, cache = student.hidden(rows[:, :4])
    pieces = [state]
    for at in range(4, 9):
        state, cache = student.hidden(rows[:, at : at + 1], cache)
        pieces.append(state)
    torch.testing.assert_close(torch.cat(pieces, 1), at_once)


@needs_torch
def test_an_inverter_keeps_what_adds_up_to_the_answer_and_counts_it_by_how_sure_it_was() -> None:
    from hardening.redteam.reasoning.distil.student import Said
    from hardening.redteam.reasoning.distil.thief import kept

    words = Words.of([text for task in TASKS for text in (task.question, task.trace)])
    right, wrong = TASKS[0], next(task for task in TASKS if task.answer != TASKS[0].answer)
    traces = [
        Said(words.ids(right.trace), 0.1),
        Said(words.ids(wrong.trace), 0.1),
        Said(words.ids(right.trace), 0.4),
    ]
    lessons = kept(traces, [right] * 3, words)
    assert [lesson.reply for lesson in lessons] == [
        words.lesson(right.question, right.trace, right.answer).reply
    ] * 2
    assert [lesson.weight for lesson in lessons] == [2.0, 1.0]


@needs_torch
@pytest.mark.parametrize(
    ("trace", "holds"),
    [
        ("i need to 2 plus 4 is 1 1 times 3 is 3 check 2 plus 4 is 1 so it ends at 3", True),
        ("2 plus 4 is 2 2 plus 1 is 3 so it ends at 3", False),
        ("2 plus 4 is 1 4 plus 4 is 3 so it ends at 3", False),
        ("2 plus 4 is 1 1 times 2 is 2 so it ends at 3", False),
        ("so it ends at 3", False),
    ],
)
def test_a_trace_adds_up_where_each_step_is_right_and_goes_on_from_the_one_before(
    trace: str, *, holds: bool
) -> None:
    from hardening.redteam.reasoning.distil.thief import adds_up

    assert adds_up(trace, "3") is holds
