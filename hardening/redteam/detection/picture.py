"""How well campaigns are told for how many honest accounts, and how true the risk is, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.redteam.detection.figures import Bin
from hardening.redteam.pictures import Picture, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[tuple[float, float]]]


def draw(out: Path | None, curves: Curves, bins: Sequence[Bin]) -> Picture:
    """Draw both into `out`; see `drawn`."""
    return drawn(out, "detection.png", partial(_draw, curves, bins), width=11.0)


def _draw(curves: Curves, bins: Sequence[Bin], figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    for name, points in curves.items():
        left.plot([100 * false for false, _ in points], [100 * true for _, true in points], label=name)
    left.set_xscale("symlog", linthresh=0.5)
    left.set_xlabel("accounts of the worst honest kind that are told, %")
    left.set_ylabel("accounts of the campaign that are told, %")
    left.set_title("100 requests, a tenth of them the campaign's")
    left.legend(fontsize=8)
    right.plot([0, 1], [0, 1], linewidth=0.8, linestyle="--")
    sizes = [20 + 400 * one.weight for one in bins]
    right.scatter([one.told for one in bins], [one.true for one in bins], s=sizes)
    right.set_xlabel("risk")
    right.set_ylabel("share of accounts that copy")
    right.set_title("Calibration, one account in ten copying")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
