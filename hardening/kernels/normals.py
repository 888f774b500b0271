"""Many draws at once, as numbers of the cut normal distribution that `draws.py` has the quantiles of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.draws import CELL_BITS, QUANTILES

_DRAWS = 1 << 16
_NUMBERS = np.interp((np.arange(_DRAWS) + 0.5) / (_DRAWS >> CELL_BITS), np.arange(QUANTILES.size), QUANTILES)


def normals(drawn: NDArray[np.uint16]) -> NDArray[np.float64]:
    """The number that each draw of 16 bits stands for: of deviation 1, cut at CUT_AT."""
    return _NUMBERS.take(drawn)
