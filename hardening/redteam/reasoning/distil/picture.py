"""The curve over the data budget, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hardening.redteam.reasoning.distil.shares import Spread


def draw(
    out: Path | None, curves: Mapping[str, Sequence[tuple[int, Spread]]], *, chance: float
) -> tuple[str, ...]:
    """Draw each curve into `out` with its intervals; nothing without a place."""
    if out is None:
        return ()
    figure = Figure(figsize=(7, 4.5), layout="constrained")
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
    path = out / "reasoning-students.png"
    figure.savefig(path, dpi=120)
    return (str(path),)
