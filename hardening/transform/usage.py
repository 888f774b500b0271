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
    exact length: until all that was asked for is over it stands as 0. After the first frame that tells
    counts only the same are told again, and none once the answer goes on, whatever was called finished.
    Some servers never say that an answer is over, or give fewer than were asked for: counts that stand in
    a frame without any of it are told as well.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(
        self, terms: Literal["round", "drop"], *, choices: int = 1, prompt: int | None = None
    ) -> None:
        """`choices` is how many answers were asked for, `prompt` what is told of a prompt in which a hidden trace stands."""
        self._rounds = terms == "round"
        self._prompt = prompt
        self._choices = choices
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._finished: set[int] = set()
        self._closed = self._spoken = self._ends = self._went_on = False
        self._speaks = self._finishes = self._tells = False  # in this frame
        self._told: set[int] = set()

    def start_frame(self) -> None:
        """A new frame begins."""
        self._speaks = self._finishes = self._tells = False

    def close(self) -> None:
        """The answer is over: what is counted now is all of it."""
        self._closed = True

    @property
    def listens(self) -> bool:
        """Whether it matters what else is said: a count has left that is none of a part, or a choice is over."""
        return bool(self._told or self._finished)

    def told(self, usage: Usage) -> Usage:
        """What may be told of the counts of a whole answer."""
        return Usage(self._of_prompt(usage), rounded(usage.completion) if self._rounds else 0)

    def running(self, event: UsageSeen) -> UsageSeen:
        """What may be told of a count while the answer goes on."""
        return replace(event, usage=Usage(self._of_prompt(event.usage)), guessed=self._prompt is not None)

    def _of_prompt(self, usage: Usage) -> int:
        return usage.prompt if self._prompt is None else self._prompt

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, unless it tells a length."""
        if isinstance(event, UsageSeen):
            over = event.usage.completion > 0 and self._may_tell(rounded(event.usage.completion))
            running = self.running(event)
            yield replace(running, usage=self.told(event.usage)) if over else running
            return
        if isinstance(event, Withheld) and event.kind == "lengths":
            return
        if isinstance(event, Text | Reasoning | Tool):
            if event.index in self._finished:
                self._finished.discard(event.index)
                self._ended.discard(event.index)
            if event.index not in self._ended:
                self._open.add(event.index)
            self._spoken = self._speaks = True
            self._went_on = bool(self._told)
        elif isinstance(event, Finish | ReasoningEnd):
            if isinstance(event, Finish):
                self._finished.add(event.index)
                self._ends = self._finishes = True
            self._ended.add(event.index)
            self._open.discard(event.index)
        yield event

    def _may_tell(self, completion: int) -> bool:
        """Whether a count, on the grid, is that of the whole answer, and says no more than one before it."""
        if self._closed:
            return True
        if self._went_on or not (self._is_over() or self._is_alone()):
            return False
        if not self._told or self._tells:
            self._told.add(completion)
            self._tells = True
        return completion in self._told

    def _is_over(self) -> bool:
        """Whether everything that was asked for has been said."""
        whole = self._finished and not self._open and len(self._ended) >= self._choices
        return bool(whole) and (self._finishes or not self._speaks)

    def _is_alone(self) -> bool:
        """Whether the frame holds no answer, of a server that may say no more than that."""
        goes_on = self._ends and self._open
        return self._spoken and not self._speaks and not self._finishes and not goes_on
