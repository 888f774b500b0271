"""Copies of a trace in other texts, told while the trace grows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hardening.transform.overlap import Overlap
from hardening.transform.pieces import PieceSet, hashes

_HELD_CHARS = 1 << 18  # of a trace
_PIECE = 20  # characters of it that are one too many
_RUN = 10  # half of it
_LONG_CHARS = 2048  # of a text; from here on it is compared by hashes, which is ten times as fast
_AT_ONCE = 1 << 16  # characters of such a text
_RUNS = 4096  # of a trace that one text may hold without a piece; with more it counts as a copy
_PLACES = 32  # of one run in a trace that are looked at; a run that stands oftener is searched for
_SEARCHES = 64  # of a whole trace, for one text; where these are not enough, the text counts as a copy


class Copies:
    """Finds any 20 characters of a growing trace in other texts.

    Every 20 characters in a row hold one aligned run of 10; the index tells where each run stands.
    """

    __slots__ = ("_held", "_new", "_overlap", "_places", "_set", "_trace", "chars")

    def __init__(self, overlap: Overlap | None = None) -> None:
        self._overlap = overlap
        self.chars = 0  # that came, kept or not
        self._trace = ""
        self._new: list[str] = []
        self._held = 0
        self._places: dict[str, list[int]] = {}
        self._set: PieceSet | None = None  # of all runs, from the first long text on

    def add(self, text: str) -> None:
        """Take a piece of the trace; what comes after its first 262,144 characters is not kept."""
        self.chars += len(text)
        if self._overlap is not None:
            self._overlap.learn(text)
        if self._held < _HELD_CHARS:
            self._held += len(text)
            self._new.append(text)

    def stand_in(self, text: str) -> bool:
        """Whether 20 characters in a row of the trace stand in `text`."""
        if self._new:
            self._index("".join(self._new))
            self._new.clear()
        places = self._places
        runs = searches = 0
        for at in self._likely(text) if places else ():
            found = places.get(text[at : at + _RUN])
            if found is None:
                continue
            if (runs := runs + 1) > _RUNS:
                return True
            if len(found) < _PLACES:
                if any(self._agree(text, at, place) for place in found):
                    return True
            elif (searches := searches + 1) > _SEARCHES or self._around(text, at):
                return True
        return False

    def _likely(self, text: str) -> Iterator[int]:
        """Where a run of the trace may stand in `text`: everywhere, where it is short."""
        if len(text) < _LONG_CHARS:
            yield from range(len(text) - _RUN + 1)
            return
        known = self._set or self._all_runs()
        for start in range(0, len(text), _AT_ONCE):
            asked = hashes(text[start : start + _AT_ONCE + _RUN - 1], _RUN)
            yield from (np.flatnonzero(known.holds(asked)) + start).tolist()

    def _all_runs(self) -> PieceSet:
        self._set = PieceSet(
            max(_HELD_CHARS, len(self._trace)) // _RUN
        )  # one piece may be longer than all that is held
        for _ in self._set.clear():
            pass
        self._set.add(hashes(self._trace, _RUN)[::_RUN])
        return self._set

    def _index(self, text: str) -> None:
        start = len(self._trace) // _RUN * _RUN
        self._trace += text
        if self._set is not None:
            self._set.add(hashes(self._trace[start:], _RUN)[::_RUN])
        for at in range(start, len(self._trace) - _RUN + 1, _RUN):
            found = self._places.setdefault(self._trace[at : at + _RUN], [])
            if len(found) < _PLACES and at not in found[-1:]:
                found.append(at)

    def _agree(self, text: str, at: int, place: int) -> bool:
        """Whether the run at `at` of the text and `place` of the trace grows to a whole piece."""
        return any(
            len(window := text[at - back : at - back + _PIECE]) == _PIECE
            and self._trace.startswith(window, place - back)
            for back in range(min(at, place, _PIECE - _RUN) + 1)
        )

    def _around(self, text: str, at: int) -> bool:
        first = max(0, at - (_PIECE - _RUN))
        return any(
            text[start : start + _PIECE] in self._trace
            for start in range(first, min(at, len(text) - _PIECE) + 1)
        )
