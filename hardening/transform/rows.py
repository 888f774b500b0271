"""Rows of log-probabilities cut to the policy and to the text that leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hardening.events import Event, Logprobs, Reasoning, Text, TextCopy, UsageSeen, Withheld
from hardening.transform.step import Step

_NOTHING = b"[]"


class Cutting(Protocol):
    """What cuts raw rows; see `transform.logprobs`."""

    def cut(self, raw: bytes, visible: str | bytes | None) -> bytes:
        """The rows that may leave, out of `raw`; of these only such as spell `visible`."""
        ...


class BoundedRows(Step):
    """Gives at most the policy's rows, and none for text that does not leave.

    With `aligned` the rows of a frame must spell the visible text of that frame, so that rows of
    hidden tokens go with their tokens.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self, cutter: Cutting | None, *, aligned: bool) -> None:
        self._cutter = cutter
        self._aligned = aligned
        self._visible: dict[int, str] = {}

    def start_frame(self) -> None:
        """A new frame: its rows belong to its own text."""
        self._visible.clear()

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, rows cut; nothing where no row is left."""
        if isinstance(event, Text) or (isinstance(event, TextCopy) and event.whole):
            self._visible[event.index] = self._visible.get(event.index, "") + event.text
        elif isinstance(event, Logprobs):
            yield from self._cut(event)
            return
        elif isinstance(event, Withheld) and event.kind in ("rows", "states"):
            return  # in these nothing tells the tokens of a trace from others
        yield event

    def cut(self, raw: bytes, piece: bytes) -> bytes | None:
        """`feed` for rows beside `piece`, the inside of a JSON string; None where none is left."""
        if self._cutter is None:
            return None
        rows = self._cutter.cut(raw, piece if self._aligned else None)
        return rows if rows != _NOTHING else None

    def _cut(self, event: Logprobs) -> Iterator[Event]:
        visible = self._visible.get(event.index, "") if self._aligned and event.of == "text" else None
        if self._cutter is None:
            return
        raw = self._cutter.cut(event.raw, visible)
        if raw == event.raw:
            yield event
        elif raw != _NOTHING:
            yield Logprobs(event.index, raw, event.of)
