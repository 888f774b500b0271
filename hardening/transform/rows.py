"""Rows of log-probabilities cut to the policy and to the text that leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hardening.events import Event, Logprobs, Reasoning, Text, TextCopy, UsageSeen, Withheld
from hardening.kernels import Draws
from hardening.transform.noise import RowNoise
from hardening.transform.step import Step

_NOTHING = b"[]"


class Cutting(Protocol):
    """What cuts raw rows; see `transform.logprobs`."""

    def cut(
        self, raw: bytes, visible: str | bytes | None, draws: Draws | None = None, *, lone: bool = True
    ) -> bytes:
        """The rows that may leave, out of `raw`; of these only such as spell `visible`."""
        ...


class BoundedRows(Step):
    """Gives at most the policy's rows, and none for text that does not leave.

    With `aligned` the rows of a frame must spell the visible text, or the refusal, of that frame, so that rows of
    hidden tokens go with their tokens. With `noise` no row leaves without it. Where nobody has `asked` for
    rows, the app was not told how many to list: a drawn token that is not among them, of which every answer may
    have another, then has no value.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(
        self, cutter: Cutting | None, *, aligned: bool, noise: RowNoise | None = None, asked: bool = True
    ) -> None:
        self._cutter = cutter
        self._asked = asked
        self._aligned = aligned
        self._noise = noise
        self._visible: dict[int, str] = {}
        self._whole: set[int] = set()

    def start_frame(self) -> None:
        """A new frame: its rows belong to its own text."""
        self._visible.clear()
        self._whole.clear()
        if self._noise is not None:
            self._noise.start_frame()

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, rows cut; nothing where no row is left."""
        if isinstance(event, Text) or (isinstance(event, TextCopy) and event.whole):
            self._visible[event.index] = self._visible.get(event.index, "") + event.text
            if event.whole:
                self._whole.add(event.index)
        elif isinstance(event, Logprobs):
            yield from self._cut(event)
            return
        elif isinstance(event, Withheld) and event.kind in ("rows", "states"):
            return  # in these nothing tells the tokens of a trace from others
        yield event

    def cut(self, index: int, raw: bytes, piece: bytes) -> bytes | None:
        """`feed` for rows of a text beside `piece`, the inside of a JSON string; None where none is left."""
        cutter, noise, draws = self._cutter, self._noise, None
        if cutter is None:
            return None
        if noise is not None:  # as `_rows`, without its call: this is what most chunks need
            draws = noise.draws(index, "text", whole=False)
            if draws is None:
                return None
        rows = cutter.cut(raw, piece if self._aligned else None, draws, lone=self._asked)
        return rows if rows != _NOTHING else None

    def _cut(self, event: Logprobs) -> Iterator[Event]:
        index, of = event.index, event.of
        visible = self._visible.get(index, "") if self._aligned and of != "reasoning" else None
        raw = self._rows(index, of, event.raw, visible, whole=index in self._whole)
        if raw == event.raw:
            yield event
        elif raw != _NOTHING:
            yield Logprobs(index, raw, of)

    def _rows(self, index: int, of: str, raw: bytes, visible: str | bytes | None, *, whole: bool) -> bytes:
        if self._cutter is None:
            return _NOTHING
        if self._noise is None:
            return self._cutter.cut(raw, visible, lone=self._asked)
        draws = self._noise.draws(index, of, whole=whole)
        return _NOTHING if draws is None else self._cutter.cut(raw, visible, draws, lone=self._asked)
