"""How much of a hidden trace the answer repeats, in words or in what it hands to tools, counted while it passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

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
_WAITING_CHARS = 512  # that are counted before the next frame
_escapes = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_ESCAPE_CHARS = 6  # of the longest of them


class Overlap(Step):
    """Remembers the runs of words of traces, and counts those that the answer has too.

    Holds 64 KiB, from the first trace on. Text of all indices, and what tools are given, count together; a run lies
    within one of them. What a frame says is counted after it, for some tell their trace last.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self) -> None:
        self._bits: Bits | None = None
        self._trace = _start()
        self._heard: dict[int, _Heard] = {}
        self._given: dict[int, _Given] = {}
        self._waiting_chars = 0

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
        if heard.texts:
            self._count(heard)
        heard.pieces.append(piece)
        if len(heard.pieces) >= _PIECES_AT_ONCE:
            self._count(heard)

    def hear_given(self, index: int, text: str) -> None:
        """Take the next piece of what tools are given: a JSON text, or strings in one."""
        self._keep(self._given.get(index) or self._given.setdefault(index, _Given()), text)

    def feed(self, event: Event) -> Iterator[Event]:
        """The event; text is heard."""
        if isinstance(event, Text) and event.text and self._bits is not None:
            index = event.index
            self._keep(self._heard.get(index) or self._heard.setdefault(index, _Heard()), event.text)
        yield event

    def _keep(self, heard: _Heard, text: str) -> None:
        if heard.pieces:
            self._count(heard)
        heard.texts.append(text)
        self._waiting_chars += len(text)
        if len(heard.texts) >= _PIECES_AT_ONCE:
            self._count(heard)

    def start_frame(self) -> None:
        """Count what earlier frames said at length."""
        if self._waiting_chars >= _WAITING_CHARS:
            self.close()

    def flush(self) -> Iterator[Event]:
        """Nothing; what was only heard is counted."""
        self.close()
        return iter(())

    @property
    def repeats(self) -> bool:
        """Whether the answer repeats so much of a trace that no honest one does, as far as it was counted."""
        found = sum(int(heard.state[FOUND]) for heard in self._all())
        return found >= MANY_RUNS or (found >= FEWEST_RUNS and found >= SHARE * int(self._trace[FOUND]))

    def close(self) -> None:
        """Count what was only heard."""
        self._waiting_chars = 0
        for heard in self._all():
            self._count(heard)

    def _all(self) -> Iterator[_Heard]:
        return chain(self._heard.values(), self._given.values())

    def _count(self, heard: _Heard) -> None:
        if self._bits is not None and (heard.pieces or heard.texts):
            kernels.take_words(heard.taken(), heard.state, self._bits, learn=False)


class _Heard:
    """What was heard of the answer at one index: pieces as they stood on the wire, or texts."""

    __slots__ = ("pieces", "state", "texts")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.texts: list[str] = []
        self.state = _start()

    def taken(self) -> bytes:
        """What is kept of either, taken out."""
        piece = b"".join(self.pieces)
        self.pieces.clear()
        # None where half of a surrogate pair stands alone: then read as it was written
        text = text_of(piece) if piece else self._text()
        return piece if text is None else text.encode("utf-8", "replace")

    def _text(self) -> str:
        text = "".join(self.texts)
        self.texts.clear()
        return text


class _Given(_Heard):
    """What was heard of what tools are given at one index, in which texts stand with escapes of their own."""

    __slots__ = ()

    def _text(self) -> str:
        text = super()._text()
        cut = text.find("\\", max(0, len(text) - _ESCAPE_CHARS))  # an escape may go on in the next piece
        if cut > 0:
            self.texts.append(text[cut:])
            text = text[:cut]
        return _escapes.sub(_told, text)


def _told(escape: re.Match[str]) -> str:
    """The letter that is escaped; a blank for any other sign, for those are blanks and quotes."""
    return chr(int(escape[1], 16)) if escape[1] else " "


def _start() -> State:
    return np.zeros(STATE, np.int64)
