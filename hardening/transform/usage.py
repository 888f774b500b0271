"""Counts of an answer made coarse: they tell how long a hidden trace was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from hardening.events import (
    Event,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningEnd,
    Text,
    Tool,
    UsageSeen,
    Withheld,
)
from hardening.facts import Usage
from hardening.transform.step import Step

LEAST = 64
"""The smallest count that is told of an answer that is not empty."""


def rounded(tokens: int) -> int:
    """The next power of two that is not below `tokens`, at least 64; 0 for none."""
    return max(LEAST, 1 << (tokens - 1).bit_length()) if tokens > 0 else 0


class CoarseUsage(Step):
    """Gives the tokens of an answer rounded up, trace included, or with `drop` as 0; takes other lengths out.

    A count that grows beside the answer would tell at which word it passes a step of the grid, and so the
    exact length: until the answer is over it stands as 0. Some servers never say that an answer is over: of
    counts that stand in frames without any of it the first is told as well.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self, terms: Literal["round", "drop"]) -> None:
        self._rounds = terms == "round"
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._finished = self._closed = self._spoken = False
        self._speaks = self._finishes = False  # in this frame
        self._alone: int | None = None

    def start_frame(self) -> None:
        """A new frame begins."""
        self._speaks = self._finishes = False

    def close(self) -> None:
        """The answer is over: what is counted now is all of it."""
        self._closed = True

    def told(self, usage: Usage) -> Usage:
        """What may be told of the counts of a whole answer."""
        return Usage(usage.prompt, rounded(usage.completion) if self._rounds else 0)

    @staticmethod
    def running(event: UsageSeen) -> UsageSeen:
        """What may be told of a count while the answer goes on."""
        return replace(event, usage=Usage(event.usage.prompt))

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, unless it tells a length."""
        if isinstance(event, UsageSeen):
            over = event.usage.completion > 0 and self._is_over(event.usage.completion)
            yield replace(event, usage=self.told(event.usage)) if over else self.running(event)
            return
        if isinstance(event, Withheld) and event.kind == "lengths":
            return
        if isinstance(event, Text | Reasoning | Tool):
            if event.index not in self._ended:
                self._open.add(event.index)
            self._spoken = self._speaks = True
        elif isinstance(event, Finish | ReasoningEnd):
            if isinstance(event, Finish):
                self._finished = self._finishes = True
            self._ended.add(event.index)
            self._open.discard(event.index)
        yield event

    def _is_over(self, completion: int) -> bool:
        """Whether a count is that of the whole answer, or stands for it."""
        if self._closed or (self._finished and not self._open and (self._finishes or not self._speaks)):
            return True
        if not self._spoken or self._speaks or self._alone not in (None, completion):
            return False
        self._alone = completion
        return True
