"""Traces that were put back into a request, and copies of them in what the server says: an error may quote it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from hardening.transform.folded import folded
from hardening.transform.pieces import PieceSet, hashes

_PIECE = 20  # letters and digits in a row that are looked for
_STEP = 2  # between those that are remembered: any 21 are found, and no 19
_AT_ONCE = 4096  # characters of a trace that are learnt in one go: a tenth of a millisecond, a whole one where all are escapes
_BLANK_WITHIN = 64  # characters before the end of those, so that no escape is cut
_SEARCHED_CHARS = 1 << 20  # of the texts of one frame; with more they count as copies
_BETWEEN = "\0" * _PIECE  # stands in no folded text


class Restored:
    """Finds pieces of restored traces in other texts, whatever these were escaped by.

    One index over all of them, four bytes a character; to ask takes as long as the texts are, however many traces there are.
    It is learnt piece by piece, and to its end when first asked. `also` is given each piece.
    """

    def __init__(self, traces: Iterable[str], also: Callable[[str], None] | None = None) -> None:
        self.traces = tuple(dict.fromkeys(traces))
        self._also = also
        self._index = PieceSet(sum(map(len, self.traces)) // _STEP)
        self._work: Iterator[None] | None = self._learnt()

    def learn(self) -> bool:
        """Learn a little, in no more than a millisecond; whether there is more."""
        if self._work is not None and next(self._work, self) is self:
            self._work = None
        return self._work is not None

    def _learnt(self) -> Iterator[None]:
        for _ in self._index.clear():
            yield
        for trace in self.traces:
            last = ""
            for text in _slices(trace):
                if self._also is not None:
                    self._also(text)
                plain = last + (folded(text) or "")
                self._index.add(hashes(plain, _PIECE)[::_STEP])
                last = plain[-(_PIECE - 1) :]
                yield

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
        while self.learn():
            pass
        starts = np.cumsum([0] + [len(plain[at] or "") + _PIECE for at in long])
        asked = hashes(_BETWEEN.join(plain[at] or "" for at in long), _PIECE)
        for hit in np.flatnonzero(self._index.holds(asked)):
            found[long[int(np.searchsorted(starts, hit, side="right")) - 1]] = True
        return found


def _slices(trace: str) -> Iterator[str]:
    """The trace in pieces that end at a blank, where one is near."""
    at = 0
    while at < len(trace):
        end = at + _AT_ONCE
        if end < len(trace):
            blank = max(trace.rfind(sign, end - _BLANK_WITHIN, end) for sign in " \n")
            end = end if blank < 0 else blank + 1
        yield trace[at:end]
        at = end
