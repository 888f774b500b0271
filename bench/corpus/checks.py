"""One recording under one policy: what must hold of what leaves, counted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from bench.corpus.clients import Clients
from bench.corpus.dialects import read_answer
from bench.corpus.drive import Drive, Outcome, pieces_of
from bench.corpus.leaks import find
from bench.corpus.lengths import counts_left
from bench.corpus.reading import (
    Answer,
    is_tagged,
    names_tokens,
    on_one_line,
    rows_beyond,
    usage_of,
    without_trace,
)
from bench.corpus.recordings import Recording
from bench.corpus.vectors import are_near, off_grid, scores_of, vectors_of

_sentence_end = re.compile(r"[.!?。！？](?:\s|$)|\n|$")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold, with the recording to look at."""

    recording: str
    policy: str
    split: str
    what: str


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of one recording under one policy."""

    format: str
    stream: bool
    policy: str
    figures: Counter[str]
    findings: list[Finding] = field(default_factory=list)


class Checks:
    """The checks of one run; made once in each process."""

    def __init__(self, policies: tuple[str, ...], splits: tuple[str, ...], seed: int) -> None:
        self._drives = [Drive(name) for name in policies]
        self._clients = Clients()
        self._splits = splits
        self._seed = seed

    def check(self, recording: Recording) -> list[Result]:
        """The figures of a recording under each policy."""
        return [self._under(drive, recording) for drive in self._drives]

    def _under(self, drive: Drive, recording: Recording) -> Result:
        result = Result(recording.format, recording.stream, drive.name, Counter(exchanges=1))
        note = _Notes(result, recording.id)
        first: Outcome | None = None
        for split in self._splits:
            for pieces in pieces_of(recording.body, split, f"{self._seed}:{recording.id}"):
                outcome = drive.send(recording, pieces())
                result.figures["runs"] += 1
                if drive.name == "observe":
                    self._same(recording, outcome, note, split)
                if first is None:
                    first = outcome
                    self._judge(drive, recording, outcome, note)
                else:
                    self._resplit(recording, first, outcome, note, split)
        return result

    def _same(self, recording: Recording, outcome: Outcome, note: _Notes, split: str) -> None:
        note.result.figures["shadowed"] += 1
        if outcome.body != recording.body:
            note.miss("identity_changed", split, "not the bytes that came")

    def _resplit(
        self, recording: Recording, first: Outcome, outcome: Outcome, note: _Notes, split: str
    ) -> None:
        """Another split of what was judged already: the same bytes, or judged for leaks as well."""
        note.result.figures["resplit"] += 1
        if outcome.body != first.body:
            note.miss("splits_differ", split, f"other bytes than under {self._splits[0]}")
            if note.result.policy != "observe":
                self._leaks(recording, outcome, note, split)

    def _judge(self, drive: Drive, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        figures = note.result.figures
        figures["read" if outcome.read else "unreadable"] += 1
        self._usage(recording, outcome, note)
        if drive.name == "observe":
            self._unknown(outcome, note)
            return
        self._leaks(recording, outcome, note, self._splits[0])
        self._rows(drive, recording, outcome, note)
        self._vectors(drive, recording, outcome, note)
        self._lengths(drive, recording, outcome, note)
        self._answer(recording, outcome, note)
        if not outcome.withheld:
            figures["sdk_checked"] += 1
            for failure in self._clients.failures(recording, outcome.body):
                note.miss("sdk_failures", self._splits[0], failure)

    def _leaks(self, recording: Recording, outcome: Outcome, note: _Notes, split: str) -> None:
        if not recording.traces:
            return
        figures = note.result.figures
        spoken = _spoken(recording)
        found = find(outcome.body, recording.traces, spoken=spoken, summaries=outcome.summaries)
        figures["hidden"] += found.chars
        for piece, where in zip(found.hidden, found.where, strict=True):
            note.add(split, f"{len(piece)} hidden characters in {where}: {piece[:60]!r}")
        if split != self._splits[0]:
            return
        figures["traced"] += 1
        figures["hidden_without"] += find(recording.body, recording.traces, spoken=spoken).chars
        figures["repeated"] += found.repeated
        figures["summaries"] += sum(map(_sentences, outcome.summaries))
        figures["summary_chars"] += sum(map(len, outcome.summaries))
        figures["trace_chars"] += sum(map(len, recording.traces))

    def _unknown(self, outcome: Outcome, note: _Notes) -> None:
        """Count an alarm of text that no table knows; here each is one too many, or a row that a table lacks."""
        note.result.figures["unknown_looked"] += 1
        if told := outcome.settlement.unknown:
            note.miss("unknown_text", self._splits[0], f"text that no table knows in {', '.join(told)}")

    def _rows(self, drive: Drive, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        terms = drive.decision(drive.facts(recording)).logprobs
        without = rows_beyond(recording.body, terms.top, terms.step)
        note.result.figures["rows_without"] += without
        note.result.figures["rowed"] += bool(without)
        if without and (left := rows_beyond(outcome.body, terms.top, terms.step)):
            note.result.figures["rows_beyond"] += left
            note.add(self._splits[0], f"{left} rows of log-probabilities beyond the policy")

    def _vectors(self, drive: Drive, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        facts = drive.facts(recording)
        decision, told = drive.decision(facts), scores_of if facts.scores else vectors_of
        before = [] if facts.speaks else told(recording.body)
        if not before:
            return
        figures, step = note.result.figures, (decision.scores if facts.scores else decision.embeddings).step
        after = told(outcome.body)
        figures["vectored"] += 1
        figures["answers"] += 1
        figures["vectors_without"] += off_grid(before, step)
        if left := off_grid(after, step):
            figures["vectors_beyond"] += left
            note.add(self._splits[0], f"{left} vectors or scores beyond the grid")
        if not are_near(before, after, step):
            note.miss("answers_changed", self._splits[0], "vectors or scores that are others than before")

    def _lengths(self, drive: Drive, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        """Under a policy that lets no exact count out: none leaves."""
        if drive.decision(drive.facts(recording)).usage == "keep" or not counts_left(
            recording, recording.body
        ):
            return
        note.result.figures["counted"] += 1
        if counts_left(recording, outcome.body):
            note.miss("counts_left", self._splits[0], "the exact number of tokens left")

    def _answer(self, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        before = read_answer(recording.format, recording.body)
        if not (before.texts or before.calls):
            return
        note.result.figures["answers"] += 1
        after = read_answer(recording.format, outcome.body)
        tagged = any(map(is_tagged, before.texts.values()))
        shown = zip(
            ("text", "tool calls", "end"),
            _shown(before, tagged=tagged),
            _shown(after, tagged=tagged),
            strict=True,
        )
        changed = [name for name, one, other in shown if one != other]
        if changed:
            note.miss("answers_changed", self._splits[0], f"{' and '.join(changed)} changed")

    def _usage(self, recording: Recording, outcome: Outcome, note: _Notes) -> None:
        if not recording.usage or not names_tokens(recording.usage):
            return
        settlement = outcome.settlement
        note.result.figures["usage_expected"] += 1
        if settlement.source != "usage":
            note.add(self._splits[0], f"usage not found, source {settlement.source}")
            return
        note.result.figures["usage_found"] += 1
        told: tuple[int | None, int] = (settlement.usage.prompt, settlement.usage.completion)
        expected = usage_of(recording.usage)
        if not expected[0]:  # left out: then it is estimated from the request
            told = (0, told[1])
        if not read_answer(recording.format, recording.body).ends:  # cut off: a first count is only a floor
            told = (told[0], min(told[1], expected[1]))
        if expected[0] is None:
            told = (None, told[1])
        if told != expected:
            note.miss("usage_differs", self._splits[0], f"usage {told}, expected {expected}")


class _Notes:
    """Adds what does not hold to a result."""

    def __init__(self, result: Result, recording: str) -> None:
        self.result = result
        self._recording = recording

    def miss(self, figure: str, split: str, what: str) -> None:
        self.result.figures[figure] += 1
        self.add(split, what)

    def add(self, split: str, what: str) -> None:
        self.result.findings.append(Finding(self._recording, self.result.policy, split, what))


def _spoken(recording: Recording) -> str:
    """What the model says in the open; a trace between tags is none of it."""
    answer = read_answer(recording.format, recording.body)
    texts = [recording.answer, *answer.texts.values()]
    return "\n".join([*map(without_trace, texts), answer.called()])


def _shown(answer: Answer, *, tagged: bool) -> tuple[object, object, object]:
    """Texts, calls and ends in a form that may be compared; with `tagged` the texts apart from traces."""
    texts = answer.texts
    if tagged:
        texts = {index: on_one_line(without_trace(text)) for index, text in texts.items()}
    calls = {place: (call.name, call.arguments) for place, call in answer.calls.items()}
    return {index: text for index, text in texts.items() if text}, calls, answer.ends


def _sentences(summary: str) -> int:
    return sum(1 for piece in _sentence_end.split(summary) if piece.strip())
