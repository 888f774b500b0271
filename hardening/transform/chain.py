"""The transforms of one response, made once from its Decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardening.events import Event, Text
from hardening.facts import Decision
from hardening.transform.inline import FIRST_BYTES, InlineTraces
from hardening.transform.reasoning import HeldReasoning, Summarising
from hardening.transform.rows import BoundedRows, Cutting

_TRIANGLE = "◁".encode()


@dataclass(frozen=True, slots=True)
class Makers:
    """How the parts are made that need kernels or a tokenizer."""

    cutter: Callable[[int | None, float], Cutting]
    summariser: Callable[[int], Summarising]


class Chain:
    """Events through tags, traces and rows, in that order; each of them only where it acts."""

    __slots__ = ("_terms", "hidden", "inline", "rows")

    def __init__(
        self, decision: Decision, makers: Makers, question_values: Callable[[], frozenset[str]]
    ) -> None:
        reasoning, logprobs = decision.reasoning, decision.logprobs
        self._terms = reasoning
        self.hidden: HeldReasoning | None = None
        self.inline: InlineTraces | None = None
        self.rows: BoundedRows | None = None
        if decision.acts and reasoning.show != "full":
            self.hidden = HeldReasoning(
                reasoning.show,
                summariser=lambda: makers.summariser(reasoning.max_tokens),
                question_values=question_values,
            )
            self.read_inline(whole=False)
        bounded = decision.acts and logprobs.top is not None
        if bounded or self.hidden is not None:
            cutter = None if bounded and logprobs.top == 0 else makers.cutter(logprobs.top, logprobs.step)
            self.rows = BoundedRows(cutter, aligned=self.hidden is not None)

    def read_inline(self, *, whole: bool) -> None:
        """Look for tags from here on; with `whole` each event holds all of its text."""
        if self.hidden is not None and self._terms.inline != "never":
            self.inline = InlineTraces(self._terms.inline, whole=whole)

    def start_frame(self) -> None:
        """A new frame begins."""
        if self.rows is not None:
            self.rows.start_frame()

    def feed(self, event: Event) -> list[Event]:
        """What becomes of an event: itself, others, or nothing."""
        return self._through(event, 0)

    def flush(self) -> list[Event]:
        """What is left at the end; never a trace."""
        left = [out for one in (self.inline.flush() if self.inline else ()) for out in self._through(one, 1)]
        return left + list(self.hidden.flush() if self.hidden else ())

    def _through(self, event: Event, first: int) -> list[Event]:
        events = [event]
        for step in (self.inline, self.hidden, self.rows)[first:]:
            if step is not None:
                events = [out for one in events for out in step.feed(one)]
        return events

    @property
    def settled(self) -> bool:
        """Whether text without a tag in it passes through unchanged."""
        return self.inline is None or self.inline.idle

    @property
    def holding(self) -> bool:
        """Whether a trace is open, so that the stream is silent."""
        return self.hidden is not None and self.hidden.holding

    def untagged(self, piece: bytes) -> bool:
        """Whether no tag can begin in UTF-8 `piece`, or no tag matters."""
        if self.inline is None:
            return True
        less, bracket, triangle = FIRST_BYTES
        return not (less in piece or bracket in piece or (triangle in piece and _TRIANGLE in piece))

    def passes(self, index: int, text: str) -> bool:
        """Whether the visible `text` leaves at once and as it is, where no trace is open."""
        return self.inline is None or self.inline.passes(index, text)

    def follows(self, index: int, last: str) -> None:
        """What comes next stands after the character `last`, which left without passing through here."""
        if self.inline is not None:
            self.inline.follows(index, last)

    def spoken(self, index: int, text: str) -> str | None:
        """The text that leaves for `text` where no trace is open; None, and nothing done, where a tag acts."""
        if self.inline is None:
            return text
        if not self.inline.spares(index, text):
            return None
        return "".join(out.text for out in self.feed(Text(index, text)) if isinstance(out, Text))

    def repeats(self, text: str) -> bool:
        """Whether `text` holds a piece of a hidden trace."""
        return self.hidden is not None and self.hidden.repeats(text)
