# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernel that counts the runs of words which one text shares with another; see `copies.py`."""

from __future__ import annotations

import numpy as np

from hardening.kernels.copies import (
    ASCII,
    COUNT,
    FILTER_BITS,
    FOUND,
    KIND,
    MOST_RUNS,
    NONE,
    OPEN,
    OTHER,
    RING,
    RUN,
)
from hardening.kernels.jit import kernel, part
from hardening.kernels.tagging import CRC, mix

PARTS = "07e99fdc73f00947"
"""Digest of the files of the parts, which renews numba's cache with them."""

_MASK = 0xFFFFFFFF


@part
def close(state, bits, learn):
    """The open word is over; look at the run that it ends."""
    if state[KIND] == NONE:
        return
    count = state[COUNT]
    state[RING + count % RUN] = state[OPEN]
    state[COUNT] = count + 1
    state[OPEN] = state[KIND] = 0
    if count + 1 < RUN:
        return
    mixed = np.int64(0)
    for place in range(count + 1, count + 1 + RUN):
        mixed = mix(mixed, state[RING + place % RUN])
    one, other = mixed >> (32 - FILTER_BITS), mix(mixed, 1) >> (32 - FILTER_BITS)
    known = (bits[one >> 3] >> (one & 7)) & (bits[other >> 3] >> (other & 7)) & 1
    if learn:
        if known or state[FOUND] >= MOST_RUNS:
            return
        bits[one >> 3] |= np.uint8(1 << (one & 7))
        bits[other >> 3] |= np.uint8(1 << (other & 7))
        known = 1
    state[FOUND] += known


@kernel
def take_words(text, state, bits, learn):
    """Read on in a text.

    Args:
        text: uint8, the next piece in UTF-8.
        state: int64, `copies.STATE`; moved on.
        bits: uint8, the filter, of `copies.FILTER_BYTES`.
        learn: whether runs are put into the filter, or looked up in it.
    """
    for at in range(text.size):
        byte = np.int64(text[at])
        byte += 32 * (65 <= byte <= 90)
        kind = NONE
        if 97 <= byte <= 122 or 48 <= byte <= 57 or byte == 39:
            kind = ASCII
        elif byte >= 0x80:
            kind = OTHER
        if kind != state[KIND] or byte >= 0xC0:
            close(state, bits, learn)
        if kind != NONE:
            crc = state[OPEN] ^ _MASK
            state[OPEN] = ((crc >> 8) ^ CRC[(crc ^ byte) & 255]) ^ _MASK
            state[KIND] = kind
