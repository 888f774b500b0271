"""Annotated traces of public data sets, read by path: sections with the part that each plays."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from hardening.transform.tagger import Part

_PARTS: dict[str, Part] = {
    "initializing": "plan",
    "deduction": "derivation",
    "adding-knowledge": "knowledge",
    "example-testing": "check",
    "uncertainty-estimation": "self_talk",
    "backtracking": "self_talk",
}
# The labels were written as ["label"], [label], [2. label] and ["2. label"].
_LABEL = rf'\["?(?:\d+\. )?({"|".join(_PARTS)}|end-section)"?\]'
_SECTION = re.compile(rf"{_LABEL}(.*?)(?={_LABEL}|\Z)", re.S)
_FILES = "traces-*.jsonl"


@dataclass(frozen=True, slots=True)
class Annotated:
    """One trace, the answer after it, and its sections in order with their parts."""

    trace: str
    answer: str
    sections: tuple[tuple[Part, str], ...]


def annotated(data: Path) -> dict[str, list[Annotated]]:
    """The annotated traces of a folder by the model that wrote them, `traces-<model>.jsonl`.

    Raises LookupError where there is no such file.
    """
    found = {path.stem.removeprefix("traces-"): _read(path) for path in sorted(data.glob(_FILES))}
    if not found:
        raise LookupError(f"no {_FILES} in {data}")
    return found


def _read(path: Path) -> list[Annotated]:
    traces = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            sections = tuple(
                (_PARTS[label], text.strip())
                for label, text, _ in _SECTION.findall(row["annotated_response"])
                if label in _PARTS and text.strip()
            )
            trace, _, answer = row["response"].removeprefix("<think>").partition("</think>")
            if sections:
                traces.append(Annotated(trace, answer, sections))
    return traces
