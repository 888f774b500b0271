"""What a copy is worth against what a flagged account's own search loses, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.redteam.pictures import Picture, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Points = Mapping[str, tuple[float, float]]


def draw(out: Path | None, points: Points) -> Picture:
    """Draw each policy's cosine of a copy over its lost nDCG into `out`; see `drawn`."""
    return drawn(out, "embeddings-copies.png", partial(_draw, points))


def _draw(points: Points, figure: Figure) -> None:
    axes = figure.subplots()
    for name, (lost, cosine) in points.items():
        axes.plot([lost], [cosine], marker="o", linestyle="")
        axes.annotate(name, (lost, cosine), textcoords="offset points", xytext=(5, 3), fontsize=8)
    axes.axhline(0.9, linewidth=0.8, linestyle="--")
    axes.set_xlabel("nDCG@10 that the account's own search loses")
    axes.set_ylabel("cosine of a copy of 16d texts to the clean vectors")
    axes.grid(visible=True, alpha=0.3)
