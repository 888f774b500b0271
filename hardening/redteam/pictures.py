"""Pictures of what an attack found, where there is a place for them and the extra `redteam` is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """What was drawn, and why not."""

    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def drawn(out: Path | None, name: str, draw: Callable[[Figure], None], *, width: float = 7.0) -> Picture:
    """`draw` on a figure that is written into `out`; nothing without a place, and a note without matplotlib."""
    if out is None:
        return Picture()
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return Picture(notes=("no picture: matplotlib is not installed; pip install 'hardening[redteam]'",))
    figure = Figure(figsize=(width, 4.5), layout="constrained")
    draw(figure)
    path = out / name
    figure.savefig(path, dpi=120)
    return Picture((str(path),))
