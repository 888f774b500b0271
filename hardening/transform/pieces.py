"""Hashes of pieces of texts, and a set of them that is filled and asked many at a time, in steps that are short however large it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Marks = NDArray[np.uint32]

_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(_BASE)
_FEWEST = 10  # bits of a place
_CLEARED = (
    1 << 16
)  # marks that are set to 0 in one go: memory that is new costs most when it is first touched
_FULL = 0.75  # of the places; beyond, all that is asked counts as held


class PieceSet:
    """Hashes of 64 bits, of which a place and a mark of 32 bits are kept: eight bytes for each that was promised.

    One that is not held is taken for one in a thousand million times.
    """

    def __init__(self, most: int) -> None:
        """For `most` hashes."""
        self._bits = max(_FEWEST, (2 * most).bit_length())
        self._marks: Marks = np.empty(1 << self._bits, np.uint32)
        self._held = 0

    def clear(self) -> Iterator[None]:
        """Make all places empty, step by step, before anything is added."""
        for start in range(0, len(self._marks), _CLEARED):
            self._marks[start : start + _CLEARED] = 0
            yield

    @property
    def _full(self) -> bool:
        return self._held > _FULL * len(self._marks)

    def add(self, hashes: Hashes) -> None:
        """Hold these too; how many at once says how long it takes."""
        self._held += len(hashes)
        if self._full:
            return
        table = self._marks
        places, marks = self._of(hashes)
        while len(places):
            free = table[places] == 0
            table[places[free]] = marks[free]
            left = table[places] != marks  # another stood there, or was put there just now
            places, marks = self._next(places[left]), marks[left]

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Of each hash, whether it is held."""
        found = np.full(len(hashes), self._full)
        if self._full:
            return found
        asked = np.arange(len(hashes))
        places, marks = self._of(hashes)
        while len(asked):
            there = self._marks[places]
            same = there == marks
            found[asked[same]] = True
            on = (there != 0) & ~same
            asked, places, marks = asked[on], self._next(places[on]), marks[on]
        return found

    def _of(self, hashes: Hashes) -> tuple[NDArray[np.int64], Marks]:
        """The place of each hash, and its mark, which is not 0."""
        mixed = hashes * _MIX
        places = (mixed >> np.uint64(64 - self._bits)).astype(np.int64)
        return places, mixed.astype(np.uint32) | np.uint32(1)

    def _next(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        following: NDArray[np.int64] = (places + 1) & (len(self._marks) - 1)
        return following


def hashes(text: str, size: int) -> Hashes:
    """A hash of each piece of `size` characters, by where it begins; what is the same in two texts has the same."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    count = len(codes) - size + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    found, done = np.zeros(count, np.uint64), 0
    wide, width = codes, 1  # hashes of pieces of 1, 2, 4, ... characters
    while done < size:
        if size & width:
            found = found * _power(width) + wide[done : done + count]
            done += width
        if done < size:
            wide = wide[:-width] * _power(width) + wide[width:]
            width *= 2
    return found


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))
