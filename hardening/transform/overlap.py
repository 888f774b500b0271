"""How much of a hidden trace the visible answer repeats, counted while it passes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hardening import kernels
from hardening.events import Event, Logprobs, Reasoning, Text, UsageSeen
from hardening.kernels.copies import FILTER_BYTES, FOUND, STATE, Bits, State
from hardening.transform.step import Step
from hardening.wire.shapes import text_of

MANY_RUNS = 300
"""Runs of eight words that an answer repeats of its trace: nobody's conclusion is that long."""
FEWEST_RUNS, SHARE = 100, 0.5
"""So few are too many where they are half of the trace. Of 649 recorded answers none has 100."""
_PIECES_AT_ONCE = 32


class Overlap(Step):
    """Remembers the runs of words of traces, and counts those that the answer has too.

    Holds 64 KiB, from the first trace on. Text of all indices counts together; a run lies within one.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self) -> None:
        self._bits: Bits | None = None
        self._trace = _start()
        self._heard: dict[int, _Heard] = {}

    @property
    def listens(self) -> bool:
        """Whether there is a trace that may be repeated."""
        return self._bits is not None

    def open(self) -> None:
        """A trace begins."""
        if self._bits is None:
            self._bits = np.zeros(FILTER_BYTES, np.uint8)

    def learn(self, text: str) -> None:
        """Take the next piece of a trace."""
        self.open()
        assert self._bits is not None
        kernels.take_words(text.encode("utf-8", "replace"), self._trace, self._bits, learn=True)

    def hear(self, index: int, piece: bytes) -> None:
        """Take the next piece of the answer, as it stood on the wire: the inside of a JSON string."""
        heard = self._heard.get(index)
        if heard is None:
            heard = self._heard[index] = _Heard()
        heard.pieces.append(piece)
        if len(heard.pieces) >= _PIECES_AT_ONCE:
            self._count(heard)

    def feed(self, event: Event) -> Iterator[Event]:
        """The event; text is heard."""
        if isinstance(event, Text) and event.text and self._bits is not None:
            heard = self._heard.setdefault(event.index, _Heard())
            self._count(heard)
            kernels.take_words(event.text.encode("utf-8", "replace"), heard.state, self._bits, learn=False)
        yield event

    @property
    def repeats(self) -> bool:
        """Whether the answer repeats so much of a trace that no honest one does, as far as it was counted."""
        found = sum(int(heard.state[FOUND]) for heard in self._heard.values())
        return found >= MANY_RUNS or (found >= FEWEST_RUNS and found >= SHARE * int(self._trace[FOUND]))

    def close(self) -> None:
        """Count what was only heard."""
        for heard in self._heard.values():
            self._count(heard)

    def _count(self, heard: _Heard) -> None:
        if heard.pieces and self._bits is not None:
            piece = b"".join(heard.pieces)
            heard.pieces.clear()
            text = text_of(
                piece
            )  # None where half of a surrogate pair stands alone: then read as it was written
            told = piece if text is None else text.encode("utf-8", "replace")
            kernels.take_words(told, heard.state, self._bits, learn=False)


class _Heard:
    """What was heard of the answer at one index."""

    __slots__ = ("pieces", "state")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.state = _start()


def _start() -> State:
    return np.zeros(STATE, np.int64)
