"""Traces that were put back into a request, and copies of them in what the server says: an error may quote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hardening.transform.folded import folded

_PIECE = 20  # letters and digits in a row that are looked for
_STEP = 2  # between those that are remembered: any 21 are found, and no 19
_SEARCHED_CHARS = 1 << 20  # of the texts of one frame; with more they count as copies
_BASE = 0x9E3779B97F4A7C15
_BETWEEN = "\0" * _PIECE  # stands in no folded text

Hashes = NDArray[np.uint64]


class Restored:
    """Finds pieces of restored traces in other texts, whatever these were escaped by.

    One index over all of them, made when first asked; to ask takes as long as the texts are, however many traces there are.
    """

    def __init__(self, traces: Iterable[str]) -> None:
        self.traces = tuple(dict.fromkeys(traces))

    @cached_property
    def _index(self) -> Hashes:
        """The hashes of every second piece, in order: four bytes a character, so 16 MiB at most."""
        found = [_hashes(folded(trace) or "")[::_STEP] for trace in self.traces]
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.uint64)  # a tenth of `unique`

    def repeats(self, text: str) -> bool:
        """Whether a piece of a trace stands in `text`."""
        return self.among([text])[0]

    def among(self, texts: Sequence[str]) -> list[bool]:
        """Of each text, whether a piece of a trace stands in it."""
        if sum(map(len, texts)) > _SEARCHED_CHARS:
            return [len(text) >= _PIECE for text in texts]
        plain = [folded(text) for text in texts]
        found = [text is None for text in plain]
        long = [at for at, text in enumerate(plain) if text is not None and len(text) >= _PIECE]
        if not long:
            return found
        starts = np.cumsum([0] + [len(plain[at] or "") + _PIECE for at in long])
        asked = _hashes(_BETWEEN.join(plain[at] or "" for at in long))
        for hit in np.flatnonzero(_within(asked, self._index)):
            found[long[int(np.searchsorted(starts, hit, side="right")) - 1]] = True
        return found


def _hashes(text: str) -> Hashes:
    """A hash of each piece of `text`, by where it begins."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < _PIECE:
        return np.empty(0, np.uint64)
    four = _twice(_twice(codes, 1), 2)
    sixteen = _twice(_twice(four, 4), 8)
    return sixteen[: len(codes) - _PIECE + 1] * _power(4) + four[16:]


def _twice(hashes: Hashes, size: int) -> Hashes:
    """The hashes of pieces twice as long as those of `size` characters."""
    return hashes[:-size] * _power(size) + hashes[size:]


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))


def _within(asked: Hashes, index: Hashes) -> NDArray[np.bool_]:
    if not len(index):
        return np.zeros(len(asked), np.bool_)
    at = np.minimum(np.searchsorted(index, asked), len(index) - 1)
    found: NDArray[np.bool_] = index[at] == asked
    return found
