"""The price of an answer against the share of a campaign that is flagged, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.redteam.pictures import Picture, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[tuple[float, float]]]


def draw_curve(out: Path | None, curves: Curves) -> Picture:
    """Draw each curve into `out`; see `drawn`."""
    return drawn(out, "quotas-price.png", partial(_draw, curves))


def _draw(curves: Curves, figure: Figure) -> None:
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(
            [100 * share for share, _ in points], [price for _, price in points], marker="o", label=name
        )
    axes.set_yscale("log")
    axes.set_xlabel("accounts of the campaign that are flagged, %")
    axes.set_ylabel("price of a useful answer, times that without flags")
    axes.axhline(100.0, linewidth=0.8, linestyle="--")
    axes.legend()
    axes.grid(visible=True, which="both", alpha=0.3)
