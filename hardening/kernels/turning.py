# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernel that rotates a vector; see `turns.py`."""

from __future__ import annotations

import numpy as np

from hardening.kernels.jit import kernel, part

PARTS = "21d397cdd4817abd"
"""Digest of the files of the parts, which renews numba's cache with them."""


@part
def transform(values, scale):
    """The Walsh-Hadamard transform of as many values as a power of two, in place."""
    half = 1
    while half < values.size:
        for start in range(0, values.size, 2 * half):
            low, high = values[start : start + half], values[start + half : start + 2 * half]
            for j in range(half):
                one, other = low[j], high[j]
                low[j] = one + other
                high[j] = one - other
        half *= 2
    for j in range(values.size):
        values[j] *= scale


@kernel
def turn(values, signs, places, width, spare, out):
    """Fill `out` (float64, D) with `values` (float64, D), rotated.

    `signs` (float64) and `places` (int32) are those of each round, by D; `width` is that of the transforms.
    `spare` (float64, D) is overwritten.
    """
    scale = 1.0 / np.sqrt(width)
    size = values.size
    out[:] = values
    for each in range(signs.shape[0]):
        for j in range(size):
            spare[j] = out[j] * signs[each, j]
        transform(spare[:width], scale)
        if width < size:
            transform(spare[size - width :], scale)
        for j in range(size):
            out[j] = spare[places[each, j]]
