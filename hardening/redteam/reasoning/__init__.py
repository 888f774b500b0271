"""What leaves of a reasoning trace: steps, self-talk, plans, its length, and what students learn from it.

The attack has parts that run in order. A part is one module with `attack(options) -> Findings`, named here,
with its claims in `docs/claims.json`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.options import Options
from hardening.redteam.reasoning import lengths, worked
from hardening.redteam.reasoning.parts import Findings, Part, run
from hardening.redteam.report import Report

NAME = "redteam reasoning"


def attack(options: Options, parts: Sequence[Part] | None = None) -> Report:
    """Run every part, or those named; the claims of a part that was not run do not hold."""
    found = [run(part, options) for part in parts or PARTS]
    measured: dict[str, Measured] = {}
    for one in found:
        measured |= one.measured
    return Report(
        NAME,
        tuple(judge(goals(NAME), measured, seed=options.seed)),
        tables=tuple(table for one in found for table in one.tables),
        notes=tuple(note for one in found for note in one.notes),
        pictures=tuple(picture for one in found for picture in one.pictures),
    )


def _annotated(options: Options) -> Findings:
    from hardening.redteam.reasoning import annotated  # needs SciPy, of the extra `redteam`

    return annotated.attack(options)


def _distilled(options: Options) -> Findings:
    try:
        from hardening.redteam.reasoning.distil import experiment
    except ModuleNotFoundError as missing:
        raise LookupError(f"{missing.name} is not installed; pip install 'hardening[redteam]'") from None
    return experiment.attack(options)


PARTS = (
    Part("worked", worked.attack),
    Part("annotated", _annotated),
    Part("lengths", lengths.attack),
    Part("distilled", _distilled),
)
