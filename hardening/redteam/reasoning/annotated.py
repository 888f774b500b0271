"""Annotated traces of real models: self-talk found, plans named, equations left, by weights that have not seen them."""

from __future__ import annotations

import random

from hardening import kernels
from hardening.redteam.claims import Measured
from hardening.redteam.options import Options
from hardening.redteam.reasoning.labels import Annotated, annotated
from hardening.redteam.reasoning.naming import drawn, first, kept, share_named
from hardening.redteam.reasoning.parts import Findings
from hardening.redteam.reasoning.selftalk import Fold, Found, folds, together
from hardening.redteam.reasoning.steps import readable, written_in
from hardening.redteam.reasoning.summaries import summarise
from hardening.redteam.report import Table

Row = tuple[str | float | None, ...]


def attack(options: Options) -> Findings:
    """Judge tagger and summaries on each model's traces by a fit to the other models' alone."""
    if options.data is None:
        raise LookupError("it needs --data with traces-*.jsonl")
    kernels.warm()
    traces = annotated(options.data)
    if len(traces) < 2:
        raise LookupError(
            "it needs the annotated traces of two models at least, to fit on one and test on the other"
        )
    done = folds(traces, options.say)
    both = together(done)
    told = _Told()
    for fold in done:
        for trace in traces[fold.model]:
            told.add(trace, fold, random.Random(f"{options.seed}/{trace.trace}"))
    sections = sum(len(trace.sections) for seen in traces.values() for trace in seen)
    measured = {
        "reasoning_self_talk_f1": Measured(both.tagger.f1, sections, both.baseline.f1),
        "reasoning_plan_named_traces": Measured(
            told.named / told.traces, told.traces, told.random / told.traces
        ),
        "reasoning_leak_traces": Measured(
            told.left / max(1, told.steps), told.steps, told.bare / max(1, told.steps)
        ),
    }
    return Findings(measured, (_self_talk(done, both.tagger, both.baseline), told.table()))


class _Told:
    """What summaries tell over many traces."""

    def __init__(self) -> None:
        self.traces = self.empty = self.steps = self.left = self.bare = 0
        self.named = self.random = self.lead = self.mostly = self.random_mostly = self.lead_mostly = 0

    def add(self, trace: Annotated, fold: Fold, draw: random.Random) -> None:
        """Count one trace. Its question was not recorded; what its first sections restate stands for it."""
        text = "\n".join(section for _, section in trace.sections)
        question = " ".join(section for _, section in trace.sections[:2])
        summary = summarise(text, question, model=fold.weights)
        steps = written_in(text)
        left, number = readable(steps, summary, question)
        self.traces += 1
        self.empty += not summary
        self.steps += number
        self.left += left
        self.bare += readable(steps, text, question)[0]
        ours, lead, chance = (
            share_named(one, trace) for one in (kept(summary), first(text), drawn(text, draw))
        )
        self.named += ours > 0
        self.mostly += ours > 0.5
        self.lead += lead > 0
        self.lead_mostly += lead > 0.5
        self.random += chance > 0
        self.random_mostly += chance > 0.5

    def table(self) -> Table:
        """The same as shares of all traces; a trace without a summary names nothing."""
        number = self.traces
        rows: tuple[Row, ...] = (
            (
                "a sentence of plan or knowledge",
                self.named / number,
                self.random / number,
                self.lead / number,
            ),
            (
                "most sentences of these",
                self.mostly / number,
                self.random_mostly / number,
                self.lead_mostly / number,
            ),
            ("no summary", self.empty / number, None, None),
        )
        return Table(
            "Plans named", (f"of {number} traces", "summary", "3 sentences by chance", "first 3"), rows
        )


def _self_talk(done: list[Fold], tagger: Found, baseline: Found) -> Table:
    named = [*((fold.model, fold.tagger, fold.baseline) for fold in done), ("all", tagger, baseline)]
    rows: tuple[Row, ...] = tuple(
        (name, ours.precision, ours.recall, ours.f1, other.precision, other.recall, other.f1)
        for name, ours, other in named
    )
    columns = ("traces not fitted to", "P", "R", "F1", "first word: P", "R", "F1")
    return Table("Self-talk found, section by section", columns, rows)
