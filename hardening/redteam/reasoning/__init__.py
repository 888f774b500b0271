"""What leaves of a reasoning trace: steps, self-talk, plans, its length.

The attack has parts that run in order. A part is one module with `attack(options) -> Findings`, named here,
with its claims in `docs/claims.json`.
"""

from __future__ import annotations

from pathlib import Path

from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.options import Options
from hardening.redteam.reasoning import lengths, worked
from hardening.redteam.reasoning.parts import Findings, Part, run
from hardening.redteam.report import Report

NAME = "redteam reasoning"


def attack(options: Options, resume: Path | None = None) -> Report:
    """Run every part; `resume` is a folder that keeps what each part found, for a run that is broken off."""
    found = [run(part, options, resume) for part in PARTS]
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


PARTS = (Part("worked", worked.attack), Part("annotated", _annotated), Part("lengths", lengths.attack))
