"""What a copy is worth against what a flagged account's own search loses, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def draw(
    out: Path | None, points: Mapping[str, tuple[float, float]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draw each policy's cosine of a copy over its lost nDCG into `out`: files, and notes why there are none."""
    if out is None:
        return (), ()
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return (), ("no picture: matplotlib is not installed; pip install 'hardening[redteam]'",)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, (lost, cosine) in points.items():
        axes.plot([lost], [cosine], marker="o", linestyle="")
        axes.annotate(name, (lost, cosine), textcoords="offset points", xytext=(5, 3), fontsize=8)
    axes.axhline(0.9, linewidth=0.8, linestyle="--")
    axes.set_xlabel("nDCG@10 that the account's own search loses")
    axes.set_ylabel("cosine of a copy of 16d texts to the clean vectors")
    axes.grid(visible=True, alpha=0.3)
    path = out / "embeddings-copies.png"
    figure.savefig(path, dpi=120)
    return (str(path),), ()
