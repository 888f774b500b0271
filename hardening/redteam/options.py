"""What every attack is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """How one run goes: `data` is a folder of public data sets, `out` takes pictures, `say` shows progress.

    The same `seed` gives the same figures. `quick` does less of everything. `resume` keeps what was found,
    for a run that is broken off.
    """

    data: Path | None
    out: Path | None
    seed: int
    quick: bool
    say: Callable[[str], None]
    resume: Path | None = None
