"""The attack on reasoning finds what leaks, finds nothing where nothing is, and goes on where it was broken off."""

from __future__ import annotations

import json

import pytest

from hardening.redteam import reasoning
from hardening.redteam.claims import Measured, goals
from hardening.redteam.options import Options
from hardening.redteam.reasoning.labels import Annotated, annotated
from hardening.redteam.reasoning.naming import names_goal, share_named
from hardening.redteam.reasoning.parts import Findings, Part, run
from hardening.redteam.reasoning.spelled import FORMS, as_form, in_words
from hardening.redteam.reasoning.steps import Step, readable, worked, written_in
from hardening.redteam.reasoning.summaries import summarise
from hardening.redteam.reasoning.traces import ask, trace_of
from hardening.redteam.report import Table
from hardening.testing import harden
from tests.asgi import driver
from tests.asgi.chat import ASKED, stream, whole

QUESTION = (
    "A shed holds 14 boxes with 6 lamps each, and 5 lamps are broken. How many lamps in the shed still work?"
)
ROW = {
    "question": QUESTION,
    "answer": "There are 14*6 = <<14*6=84>>84 lamps.\nOf these 84-5 = <<84-5=79>>79 still work.\n#### 79",
}
STEPS = (Step((14, 6), 84), Step((84, 5), 79))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "gsm8k-own.jsonl").write_text(json.dumps(ROW), "utf-8")
    return tmp_path


def options(data, *, seed=3, resume=None) -> Options:
    return Options(data, None, seed, quick=True, say=lambda what: None, resume=resume)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (14, "fourteen"),
        (84, "eighty-four"),
        (1200, "one thousand two hundred"),
        (0.25, "zero point two five"),
    ],
)
def test_numbers_in_words(number, said):
    assert in_words(number) == said


def test_a_step_in_each_form():
    assert as_form("So 14*6 = 84 lamps.", "words") == "So fourteen times six is eighty-four lamps."
    assert as_form("So 14*6 = 84 lamps.", "latex") == r"So \( 14 \times 6 = 84 \) lamps."


def test_gold_steps_are_read_with_their_numbers(data):
    (one,) = worked(data)
    assert one.steps == STEPS
    assert one.lines == ("There are 14*6 = 84 lamps.", "Of these 84-5 = 79 still work.")
    assert written_in("so 14 * 6 = 84, and 84 - 5 = 79.") == STEPS


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", 0),
        ("I need to find the lamps of 14 boxes.", 0),
        ("It is 84.", 1),
        ("That makes eighty-four.", 1),
        ("Fourteen boxes of 6.", 1),
        ("There are 14 boxes. Each has 6.", 0),
        (r"So \( 84 - 5 = 79 \).", 2),
    ],
)
def test_a_step_is_read_from_its_result_or_from_all_that_goes_in(text, read):
    assert readable(STEPS, text, QUESTION) == (read, 2)


def test_what_the_question_tells_is_not_a_result():
    assert readable((Step((2, 3), 14),), "It is 14.", QUESTION) == (0, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(8))
def test_every_trace_tells_its_steps_and_no_summary_does(data, form, seed):
    (one,) = worked(data)
    trace = trace_of(one, form, seed)
    assert readable(one.steps, trace, QUESTION) == (2, 2)
    assert readable(one.steps, summarise(trace, QUESTION), QUESTION) == (0, 2)
    assert names_goal(summarise(trace, QUESTION), ask(QUESTION))


def test_an_empty_summary_names_nothing():
    trace = Annotated(
        "", "", (("plan", "I need to find the lamps that still work."), ("derivation", "So 79 lamps work."))
    )
    assert share_named([], trace) == 0
    assert not names_goal("", "how many lamps work")
    assert share_named(["I need to find the lamps that still work."], trace) == 1
    assert share_named(["So many lamps work."], trace) == 0


def test_labels_are_read_without_their_marks(tmp_path):
    told = '["initializing"] I need it. ["end-section"]\n\n["backtracking"] Wait, no. ["end-section"]["odd"] x ["end-section"]'
    row = {"annotated_response": told, "response": "<think>I need it. Wait, no.</think>It is."}
    (tmp_path / "traces-own.jsonl").write_text(json.dumps(row), "utf-8")
    (trace,) = annotated(tmp_path)["own"]
    assert trace == Annotated(
        "I need it. Wait, no.", "It is.", (("plan", "I need it."), ("self_talk", "Wait, no."))
    )


@pytest.mark.parametrize("mark", ['["{}"]', "[{}]", "[2. {}]", '["4. {}"]'])
@pytest.mark.parametrize("end", ['["end-section"]', "[end-section]", ""])
def test_labels_are_read_however_they_are_written(tmp_path, mark, end):
    """One in eight is written otherwise: they were left out, and with some all of their trace."""
    told = [("initializing", "I need [it]. "), ("deduction", 'It is ["so"].'), ("backtracking", " Wait, no.")]
    whole = "\n".join(f"{mark.format(label)}{text}{end}" for label, text in told)
    row = {"annotated_response": whole, "response": "<think>t</think>a"}
    (tmp_path / "traces-own.jsonl").write_text(json.dumps(row), "utf-8")
    (trace,) = annotated(tmp_path)["own"]
    assert trace.sections == (
        ("plan", "I need [it]."),
        ("derivation", 'It is ["so"].'),
        ("self_talk", "Wait, no."),
    )


def test_without_data_every_claim_misses_and_says_why():
    report = reasoning.attack(options(None), [part for part in reasoning.PARTS if part.name != "distilled"])
    assert not report.holds
    assert {claim.name for claim in report.claims} == set(goals("redteam reasoning"))
    assert all(claim.value is None for claim in report.claims)
    assert any("gsm8k" in note for note in report.notes)


def test_a_part_is_run_once_and_again_for_other_options(tmp_path, data):
    calls = []

    def attack(asked):
        calls.append(asked.seed)
        return Findings({"x": Measured(0.5, 3, None)}, (Table("t", ("a", "b"), (("r", 1.0),)),), ("n",))

    part = Part("own", attack)
    asked = options(data, resume=tmp_path / "kept")
    first = run(part, asked)
    assert run(part, asked) == first
    assert calls == [3]
    run(part, options(data, seed=4, resume=tmp_path / "kept"))
    assert calls == [3, 4]


def test_the_fit_learns_what_labels_say_and_gives_the_same_weights_again(tmp_path):
    pytest.importorskip("scipy")
    from hardening.redteam.reasoning.fit import fit, save
    from hardening.redteam.reasoning.selftalk import folds, together

    sections = (
        ("plan", "I need to find the lamps that still work."),
        ("derivation", "So 14*6 = 84 lamps are there."),
        ("self_talk", "Wait, no, that is not right."),
        ("knowledge", "I remember that a shed is a small house."),
        ("self_talk", "Hmm, I am not sure about this."),
    )
    traces = [Annotated("", "", sections)] * 40
    both = together(folds({"one": traces, "two": traces}))
    assert both.tagger == (160, 0, 0)
    assert both.baseline == (80 + 80, 0, 0)
    save(fit(traces), tmp_path / "a.npz")
    save(fit(traces), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("streamed", [True, False])
def test_what_is_judged_is_what_leaves_through_the_middleware(data, streamed):
    (one,) = worked(data)
    trace = trace_of(one, "words", 5)
    body = {**ASKED, "messages": [{"role": "user", "content": QUESTION}], "stream": streamed}
    pieces = stream(trace=trace) if streamed else [whole(trace=trace)]
    app = driver.replies(pieces, kind=b"text/event-stream" if streamed else b"application/json")
    hardened = harden(
        app, "version: 1\ndefaults: {reasoning: {show: summary}}\n", identify=lambda scope: "acct_7"
    )
    left = driver.run(driver.ask(hardened, json.dumps(body).encode())).body.decode()
    summary = summarise(trace, json.dumps(body))
    assert len(summary.split()) > 5
    assert summary in left
    assert "eighty-four" in trace
    assert "eighty-four" not in left
