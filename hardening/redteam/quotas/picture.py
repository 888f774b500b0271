"""The price of an answer against the share of a campaign that is flagged, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Picture(NamedTuple):
    """What was drawn, and why not."""

    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def draw_curve(out: Path | None, curves: Mapping[str, Sequence[tuple[float, float]]]) -> Picture:
    """Draw each curve into `out`; nothing without a place, and a note without the extra `redteam`."""
    if out is None:
        return Picture()
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return Picture(notes=("no picture: matplotlib is not installed; pip install 'hardening[redteam]'",))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
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
    path = out / "quotas-price.png"
    figure.savefig(path, dpi=120)
    return Picture((str(path),))
