"""What students read: texts as numbers of words, each lesson a prompt and the reply that is to be learnt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[a-z]+|\d+")
PAD, ASKED, TOLD, THINKS, SAYS, END = range(6)
"""What fills a row up, and the marks before a question, a summary, a trace and an answer, and behind all."""
_MARKS = 6


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt and the reply to it, and how much the lesson counts beside others."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """The words that students know, in order; the number of each is its place behind the marks."""

    known: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Words:
        """All words of some texts."""
        return cls(tuple(sorted({word for text in texts for word in _WORD.findall(text.lower())})))

    def __len__(self) -> int:
        return _MARKS + len(self.known)

    def ids(self, text: str) -> tuple[int, ...]:
        """The numbers of a text's words. Raises ValueError for a word that is not known."""
        return tuple(_MARKS + self.known.index(word) for word in _WORD.findall(text.lower()))

    def text(self, ids: Iterable[int]) -> str:
        """The words of some numbers, without marks."""
        return " ".join(self.known[one - _MARKS] for one in ids if one >= _MARKS)

    def lesson(self, question: str, thought: str, answer: str, weight: float = 1.0) -> Lesson:
        """A student's: the question, to be answered after what was thought; nothing, where that is empty."""
        thinks = (THINKS, *self.ids(thought)) if thought else ()
        return Lesson(self.asked(question), (*thinks, SAYS, *self.ids(answer), END), weight)

    def asked(self, question: str) -> tuple[int, ...]:
        """A student's prompt."""
        return (ASKED, *self.ids(question))

    def inversion(self, question: str, told: str, answer: str, trace: str) -> Lesson:
        """An inverter's: all that leaves, from which the trace is to be told."""
        return Lesson(self.left(question, told, answer), (*self.ids(trace), END))

    def left(self, question: str, told: str, answer: str) -> tuple[int, ...]:
        """An inverter's prompt: question and answer, and what was told between them."""
        return (*self.asked(question), TOLD, *self.ids(told), SAYS, *self.ids(answer), THINKS)


def said(reply: Sequence[int]) -> tuple[int, ...]:
    """What a reply says as its answer; nothing where it says none."""
    if SAYS not in reply:
        return ()
    told = reply[reply.index(SAYS) + 1 :]
    return tuple(told[: told.index(END)] if END in told else told)
