"""The curve over the data budget, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.redteam.pictures import Picture, drawn
from hardening.redteam.reasoning.distil.shares import Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[tuple[int, Spread]]]


def draw(out: Path | None, curves: Curves, *, chance: float) -> Picture:
    """Draw each curve into `out` with its intervals; see `drawn`."""
    return drawn(out, "reasoning-students.png", partial(_draw, curves, chance))


def _draw(curves: Curves, chance: float, figure: Figure) -> None:
    axes = figure.subplots()
    for name, points in curves.items():
        budgets = [budget for budget, _ in points]
        axes.plot(budgets, [100 * right.mean for _, right in points], marker="o", label=name)
        ends = ([100 * min(1.0, max(0.0, end)) for end in (right.low, right.high)] for _, right in points)
        low, high = zip(*ends, strict=True)
        axes.fill_between(budgets, low, high, alpha=0.15)
    axes.axhline(100 * chance, linewidth=0.8, linestyle="--", label="a guess")
    axes.set_xscale("log")
    axes.set_xlabel("questions that the thief had answered")
    axes.set_ylabel("held-out questions that the student answers, %")
    axes.legend()
    axes.grid(visible=True, which="both", alpha=0.3)
