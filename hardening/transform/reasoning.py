"""Traces held back and, where the policy says so, summarised when they end.

No path gives raw text back: not an unclosed trace, not a cut, not an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

from hardening.events import (
    Event,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningCopy,
    ReasoningEnd,
    Seal,
    Sealed,
    Summary,
    Text,
    TextCopy,
    Tool,
    UsageSeen,
    Withheld,
)
from hardening.transform.copies import Copies
from hardening.transform.overlap import Overlap
from hardening.transform.step import Step

_MOST_GIVEN = 256  # summaries of one text that are kept for copies of it

MOST_PIECES = 64
"""Of a trace, that are kept before anybody looks at them: per piece that would cost more than all the rest."""


class Summarising(Protocol):
    """What makes a summary: fed with the trace, asked once at its end."""

    def feed(self, text: str) -> None:
        """Take a piece of the trace."""
        ...

    def finish(self, question_values: frozenset[str]) -> str:
        """The summary; values in `question_values` may stand in it."""
        ...


class Keeping(Protocol):
    """What seals a trace: fed with it, asked once at its end."""

    def feed(self, text: str) -> None:
        """Take a piece of the trace."""
        ...

    def finish(self, members: Mapping[str, object]) -> str | None:
        """The seal, as `Sealed.finish`."""
        ...


class HeldReasoning(Step):
    """Takes Reasoning out and gives a Summary at the end of each trace, and it as `Sealed` while `sealing` says with what.

    `question_values` is asked only when a trace ends. `chars` counts what was hidden.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(
        self,
        show: Literal["summary", "none"],
        *,
        summariser: Callable[[], Summarising],
        question_values: Callable[[], frozenset[str]],
        sealing: Callable[[], Keeping] | None = None,
        overlap: Overlap | None = None,
    ) -> None:
        self.sealing = sealing
        self._overlap = overlap
        self._summariser = summariser if show == "summary" else None
        self._question_values = question_values
        self._traces: dict[int, Trace] = {}
        self._open = 0
        self._said: dict[int, str] = {}
        self._given: dict[int, str] = {}
        self._given_in_text: dict[int, list[str]] = {}
        self.summaries = 0
        self._pieces = Copies(overlap)

    @property
    def holding(self) -> bool:
        """Whether a trace is open, so that the stream is silent."""
        return self._open > 0

    @property
    def chars(self) -> int:
        """Characters that were hidden."""
        self._digest()
        return self._pieces.chars

    def take(self, index: int, text: str, tags: tuple[str, str] | None = None) -> None:
        """Hold a piece of the trace of `index`."""
        trace = self._traces.get(index)
        if trace is None or not trace.open:
            trace = self._opened(index, tags)
        trace.take(text)

    def open_trace(self, index: int) -> Trace | None:
        """The trace of `index` that is open: more of it may be put into it, as long as it is."""
        trace = self._traces.get(index)
        return trace if trace is not None and trace.open else None

    def learn(self, text: str) -> None:
        """Count text that was hidden elsewhere as a trace, and know copies of it; no summary tells of it."""
        self._pieces.add(text)

    def _opened(self, index: int, tags: tuple[str, str] | None) -> Trace:
        trace = self._traces.get(index)
        if trace is None:
            trace = self._traces[index] = Trace(self._pieces)
        trace.open = True
        self._open += 1
        if self._overlap is not None:
            self._overlap.open()
        trace.tags = tags
        trace.summary = self._summariser() if self._summariser else None
        trace.seal = self.sealing() if self.sealing is not None and tags is None else None
        return trace

    def _digest(self) -> None:
        for trace in self._traces.values():
            trace.digest()

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, unless it tells the trace; a Summary before what follows a trace."""
        if isinstance(event, Reasoning):
            self.take(event.index, event.text, event.tags)
            return
        if isinstance(event, ReasoningCopy):
            yield from self._once_more(event)
            return
        if isinstance(event, Withheld) and event.kind in ("trace", "ids"):
            return
        if isinstance(event, Logprobs) and event.of == "reasoning":
            return
        if isinstance(event, Seal) and event.index in self._traces and not event.apart:
            return
        if isinstance(event, TextCopy) and not event.whole and self._is_foreign(event):
            return
        if isinstance(event, Text):
            self._said[event.index] = event.text
        if isinstance(event, Tool | Finish | ReasoningEnd) or (isinstance(event, Text) and event.text):
            yield from self._end(event.index)
        yield event

    def _is_foreign(self, copy: TextCopy) -> bool:
        """Whether what calls itself a copy of the visible text is one of the trace."""
        return copy.text != self._said.get(copy.index) and self.repeats(copy.text)

    def flush(self) -> Iterator[Event]:
        """The summaries of traces that nothing closed."""
        for index in self._traces:
            yield from self._end(index)

    def _end(self, index: int) -> Iterator[Event]:
        trace = self._traces.get(index)
        if trace is None or not trace.open:
            return
        trace.open = False
        self._open -= 1
        trace.digest()
        summary, trace.summary = trace.summary, None
        seal, trace.seal = trace.seal, None
        if summary is not None:
            yield from self._told(index, summary, trace.tags)
        if seal is not None:
            yield Sealed(index, seal.finish)

    def _told(self, index: int, summary: Summarising, tags: tuple[str, str] | None) -> Iterator[Event]:
        text = summary.finish(self._question_values())
        if tags is None:
            self._given[index] = text
        elif len(given := self._given_in_text.setdefault(index, [])) < _MOST_GIVEN:
            given.append(text)
        if text:
            self.summaries += 1
            yield Summary(index, text, tags)

    def _once_more(self, copy: ReasoningCopy) -> Iterator[Event]:
        """The summary that was given for a trace; nothing while none was."""
        if copy.tags is None:
            text = self._given.get(copy.index, "")
        else:
            text = "".join(self._given_in_text.get(copy.index, ())[copy.number : copy.number + 1])
        if text:
            yield Summary(copy.index, text, copy.tags)

    def repeats(self, text: str) -> bool:
        """Whether `text` holds a piece of a trace seen so far that is long enough to matter."""
        self._digest()
        return self._pieces.stand_in(text)


class Trace:
    """One trace as it comes.

    `pieces` are what was put here as it stood on the wire: insides of JSON strings without an escape, at most
    MOST_PIECES of them before `digest` is called.
    """

    __slots__ = ("_all", "_new", "open", "pieces", "seal", "summary", "tags")

    def __init__(self, all_pieces: Copies) -> None:
        self._all = all_pieces
        self._new: list[str] = []
        self.pieces: list[bytes] = []
        self.open = False
        self.tags: tuple[str, str] | None = None
        self.summary: Summarising | None = None
        self.seal: Keeping | None = None

    def take(self, text: str) -> None:
        """Hold the next piece."""
        if self.pieces:
            self._read()
        new = self._new
        new.append(text)
        if len(new) >= MOST_PIECES:
            self.digest()

    def _read(self) -> None:
        self._new.append(b"".join(self.pieces).decode("utf-8", "replace"))
        self.pieces.clear()

    def digest(self) -> None:
        """Hand on what was only kept."""
        if self.pieces:
            self._read()
        if not self._new:
            return
        text = "".join(self._new)
        self._new.clear()
        if self.summary is not None:
            self.summary.feed(text)
        if self.seal is not None:
            self.seal.feed(text)
        self._all.add(text)
