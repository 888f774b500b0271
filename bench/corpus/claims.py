"""Figures of a run as claims: a value, the goal it is held to, and the same without us."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.corpus.checks import Result

CLAIMS_FILE = Path(__file__).resolve().parents[2] / "docs" / "claims.json"
REPORT = "corpus"

_OPS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure beside its goal. `control` is the figure without us and must miss the goal."""

    name: str
    value: float
    goal: float
    op: str
    control: float | None
    n: int
    seed: int

    @property
    def holds(self) -> bool:
        """Whether the value meets the goal, over something, and the control does not."""
        meets = _OPS[self.op]
        fails_without = self.control is None or not meets(self.control, self.goal)
        return self.n > 0 and meets(self.value, self.goal) and fails_without

    def as_json(self) -> dict[str, object]:
        """The claim as reports write it."""
        return {
            "name": self.name,
            "value": self.value,
            "goal": self.goal,
            "op": self.op,
            "holds": self.holds,
            "control": self.control,
            "n": self.n,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class _Measured:
    value: float
    n: int
    control: float | None = None


def claims_of(
    results: Iterable[Result], *, seed: int, partial: bool, file: Path = CLAIMS_FILE
) -> list[Claim]:
    """The claims that `docs/claims.json` names for this report, with what the run measured.

    A `partial` run leaves out those that it had nothing for; in a whole run they fail.
    """
    sums: Counter[str] = Counter()
    for result in results:
        sums += result.figures
    measured = _measured(sums)
    rows = [row for row in json.loads(file.read_text("utf-8"))["claims"] if row["report"] == REPORT]
    claims = []
    for row in rows:
        found = measured[row["name"]]
        if found.n or not partial:
            claims.append(
                Claim(row["name"], found.value, row["goal"], row["op"], found.control, found.n, seed)
            )
    return claims


def _measured(sums: Counter[str]) -> dict[str, _Measured]:
    usage = sums["usage_found"] / sums["usage_expected"] if sums["usage_expected"] else 0.0
    return {
        "corpus_leaks": _Measured(sums["hidden"], sums["traced"], sums["hidden_without"]),
        "corpus_logprobs_beyond": _Measured(sums["rows_beyond"], sums["rowed"], sums["rows_without"]),
        "corpus_vectors_beyond": _Measured(sums["vectors_beyond"], sums["vectored"], sums["vectors_without"]),
        "corpus_counts_left": _Measured(sums["counts_left"], sums["counted"], sums["counted"]),
        "corpus_answers_changed": _Measured(sums["answers_changed"], sums["answers"]),
        "corpus_sdk_failures": _Measured(sums["sdk_failures"], sums["sdk_checked"]),
        "corpus_usage_found": _Measured(usage, sums["usage_expected"]),
        "corpus_usage_differs": _Measured(sums["usage_differs"], sums["usage_found"]),
        "corpus_splits_differ": _Measured(sums["splits_differ"], sums["resplit"]),
        "corpus_planted_unreviewed": _Measured(
            sums["planted_unreviewed"], sums["planted"], sums["planted_without"]
        ),
        "corpus_unknown_text": _Measured(
            sums["unknown_text"] / sums["unknown_looked"] if sums["unknown_looked"] else 0.0,
            sums["unknown_looked"],
        ),
        "corpus_identity": _Measured(sums["identity_changed"], sums["shadowed"]),
    }
