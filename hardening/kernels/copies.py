"""Runs of eight words that one text shares with another, counted piece by piece: the plain twin of `copying.py`.

A run is remembered as two bits of a filter of fixed size. A filter that is full to the bound takes one run in
fifty for known that is not.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.features import mix

RUN = 8
"""Words of a run. What two people would say alike of one thing is shorter, nearly always."""
FILTER_BITS = 19
FILTER_BYTES = (1 << FILTER_BITS) // 8
MOST_RUNS = 40_000
"""Runs that a filter is given; a trace of more words is known by its first ones."""
OPEN, KIND, COUNT, FOUND, RING = 0, 1, 2, 3, 4
"""Of a state: the word that may go on, what it is made of, the words before it, the runs found, the last words."""
STATE = RING + RUN
NONE, ASCII, OTHER = 0, 1, 2

Bits = NDArray[np.uint8]
State = NDArray[np.int64]

_WORD = re.compile(rb"[a-z0-9']+|[\xc0-\xff][\x80-\xbf]*|[\x80-\xbf]+")


def take_words(text: bytes, state: State, bits: Bits, *, learn: bool) -> None:
    """Read on in a text; count in `state[FOUND]` the runs that are new to the filter and now in it, or else those it knows."""
    lower = text.lower()
    at = 0
    for match in _WORD.finditer(lower):
        first = lower[match.start()]
        kind = ASCII if first < 0x80 else OTHER
        goes_on = match.start() == at == 0 and state[KIND] == kind and not first >= 0xC0
        if not goes_on:
            _close(state, bits, learn=learn)
        state[OPEN] = crc32(match[0], int(state[OPEN]))
        state[KIND] = kind
        at = match.end()
    if lower and at < len(lower):
        _close(state, bits, learn=learn)


def _close(state: State, bits: Bits, *, learn: bool) -> None:
    """The open word is over; look at the run that it ends."""
    if state[KIND] == NONE:
        return
    count = int(state[COUNT])
    state[RING + count % RUN] = state[OPEN]
    state[COUNT] = count + 1
    state[OPEN] = state[KIND] = 0
    if count + 1 < RUN:
        return
    mixed = 0
    for place in range(count + 1, count + 1 + RUN):
        mixed = mix(mixed, int(state[RING + place % RUN]))
    one, other = mixed >> (32 - FILTER_BITS), mix(mixed, 1) >> (32 - FILTER_BITS)
    known = bool(bits[one >> 3] & (1 << (one & 7)) and bits[other >> 3] & (1 << (other & 7)))
    if learn and (known or state[FOUND] >= MOST_RUNS):
        return
    if learn:
        bits[one >> 3] |= 1 << (one & 7)
        bits[other >> 3] |= 1 << (other & 7)
    state[FOUND] += known or learn
