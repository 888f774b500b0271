"""A sentence in the place of each string of the recordings, one at a time: where does it pass `strict`, and may it?

What passes must stand in `planted.yaml`, which a person has read, with the reason why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from bench.corpus.checks import Finding, Result
from bench.corpus.drive import Drive
from bench.corpus.recordings import Recording
from bench.corpus.strings import places
from hardening.testing import find_leaks

POLICY = "strict"
REVIEWED = Path(__file__).with_name("planted.yaml")
SENTENCE = "A planted sentence walks slowly over seven quiet hills, and at dusk it rests beside the old stone bridge."
REFUSED = "refused."
"""Begins the path of a string in an answer whose status says that it is an error."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the reviewed list: where a sentence may pass, and why. `*` in a path stands for any keys."""

    why: str
    formats: tuple[str, ...]
    paths: tuple[str, ...]

    def allows(self, plant: Plant) -> bool:
        """Whether the sentence may pass there."""
        return any(self.names(plant, path) for path in self.paths)

    def names(self, plant: Plant, path: str) -> bool:
        """Whether one `path` of the row is that of the plant."""
        format = plant.recording.format
        return any(fnmatchcase(format, one) for one in self.formats) and fnmatchcase(plant.path, path)


@dataclass(frozen=True, slots=True)
class Plant:
    """A string of a recording that the sentence takes the place of."""

    recording: Recording
    path: str
    start: int
    end: int


def reviewed(file: Path = REVIEWED) -> tuple[Row, ...]:
    """The reviewed list."""
    rows = yaml.safe_load(file.read_text("utf-8"))
    return tuple(Row(row["why"], tuple(row["formats"]), tuple(row["paths"])) for row in rows)


def plants(recordings: Iterable[Recording]) -> list[Plant]:
    """One plant for each path of each format, whole and streamed: in the shortest recording that has it."""
    chosen: dict[tuple[str, bool, str], Plant] = {}
    for recording in sorted(recordings, key=lambda one: (len(one.body), one.id)):
        refused = REFUSED if recording.status >= 400 else ""
        for path, start, end in places(recording.body):
            key = (recording.format, recording.stream, refused + path)
            if key not in chosen:
                chosen[key] = Plant(recording, refused + path, start, end)
    return list(chosen.values())


class Planting:
    """Sends plants through the policy, each against the reviewed list."""

    def __init__(self, rows: Sequence[Row] | None = None) -> None:
        self._drive = Drive(POLICY)
        self._rows = reviewed() if rows is None else rows

    def check(self, plant: Plant) -> Result:
        """Whether the sentence passes where it may not; `planted_without` counts such places without us."""
        recording = plant.recording
        result = Result(recording.format, recording.stream, POLICY, Counter(planted=1))
        if any(row.allows(plant) for row in self._rows):
            return result
        result.figures["planted_without"] += 1
        said = json.dumps(SENTENCE).encode()
        body = recording.body[: plant.start] + said + recording.body[plant.end :]
        left = self._drive.send(replace(recording, body=body), iter((body,))).body
        if find_leaks(left, SENTENCE):
            result.figures["planted_unreviewed"] += 1
            what = f"a planted sentence passes at {plant.path}, which planted.yaml does not name"
            result.findings.append(Finding(recording.id, POLICY, "whole", what))
        return result


def unmatched(planted: Sequence[Plant], rows: Iterable[Row]) -> list[str]:
    """The paths of the list that no plant has: of what these recordings do not hold, or what nobody writes any more."""
    return [
        f"{' '.join(row.formats)}: {path}"
        for row in rows
        for path in row.paths
        if not any(row.names(plant, path) for plant in planted)
    ]
