"""The layer's gap with and without us, and what one row is worth, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.redteam.pictures import Picture, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bars = Mapping[str, float]
_GAP, _WORTH = 1.2, 10.0
"""What the claims allow; see docs/claims.json."""
_LEAST = 0.5


def draw(out: Path | None, gaps: Bars, worths: Bars) -> Picture:
    """Draw gap ratios and the worth of rows, each by its name, into `out`; see `drawn`."""
    return drawn(out, "logprobs-rows.png", partial(_draw, gaps, worths), width=12.0)


def _draw(gaps: Bars, worths: Bars, figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    _bars(left, gaps, _GAP, "largest gap ratio near the layer's size")
    _bars(right, worths, _WORTH, "sampled tokens that one row is worth")


def _bars(axes: Axes, bars: Bars, goal: float, says: str) -> None:
    drawn_bars = axes.barh(list(bars), list(bars.values()))
    axes.bar_label(drawn_bars, fmt="{:.3g}", padding=3)
    axes.axvline(goal, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, _LEAST * (max(bars.values()) / _LEAST) ** 1.3)  # room for the figure of the longest
    axes.invert_yaxis()
    axes.set_xlabel(says)
