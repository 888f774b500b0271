"""Many draws at once, as numbers of the normal distribution of which one at a time is `Draws.nats`'s."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.draws import CELL_PLACES, CELL_SHARE, QUANTILES


def normals(drawn: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The number that each draw of 32 bits stands for: of deviation 1, cut at CUT_AT."""
    cells = drawn >> CELL_PLACES
    low = QUANTILES[cells]
    found: NDArray[np.float64] = low + (QUANTILES[cells + 1] - low) * (
        (drawn & ((1 << CELL_PLACES) - 1)) * CELL_SHARE
    )
    return found
