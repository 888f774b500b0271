"""Traces inside the visible text: told apart by the tags that models and templates write.

Tags come split over any boundary and in any case. What stands between them becomes Reasoning;
an unclosed trace is never given back as text. A tag in quotes or backticks on both sides is
honest text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from hardening.events import (
    Event,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningCopy,
    ReasoningEnd,
    Text,
    TextCopy,
    UsageSeen,
)
from hardening.transform.step import Step
from hardening.wire.tags import (
    ANY_CLOSE,
    MARK,
    TAGS,
    begins,
    begun,
    closing_of,
    ends_begun,
    is_without_tag,
    may_open,
    opened_by,
    opening_of,
)

_STARTS_OPEN = ("<think>", "</think>")  # the pair that templates open for the model
_closes = dict(reversed(TAGS))  # by the opening tag, the first that closes it

_QUOTES = "\"'`"

FIRST_BYTES = b"<[\xe2"  # what the first byte of every tag is, for a quick look at raw text


class InlineTraces(Step):
    """Splits the visible text of each index into Text and Reasoning.

    `starts_open` is for models whose template writes the opening tag: all is trace until a tag
    closes it. `alarms` names what looked wrong: a closing tag that nothing had opened.
    """

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self, mode: Literal["tagged", "starts_open"], *, whole: bool = False) -> None:
        """With `whole` an event holds all of its text: then a bare closing tag hides what precedes it."""
        self._starts_open = mode == "starts_open"
        self._whole = whole
        self._choices: dict[int, _Choice] = {}
        self._busy: set[int] = set()  # where a trace is open or text is held back
        self.alarms: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether text without the first character of a tag passes through unchanged."""
        return not self._busy

    def passes(self, index: int, text: str) -> bool:
        """Whether `text` leaves at once and as it is."""
        return not self._choice(index).fresh and not self.may_hide(index, text)

    def may_hide(self, index: int, text: str) -> bool:
        """Whether `text` is of a trace, or may begin one."""
        choice = self._choice(index)
        if choice.tags is not None or choice.held:
            return True
        if choice.fresh and text.strip() and (opened_by(text) is not None or may_open(text)):
            return True
        return begins(text) and (MARK.search(text) is not None or begun(text) > 0)

    def follows(self, index: int, last: str) -> None:
        """The text of `index` goes on after the character `last`."""
        self._choice(index).before = last

    def open_tags(self, index: int) -> tuple[str, str] | None:
        """The tags of a trace that is open and goes on in any text without a tag's first character."""
        choice = self._choice(index)
        return None if choice.held or choice.is_without_tag else choice.tags

    def stays_inside(self, index: int, text: str) -> bool:
        """Whether a trace is open and goes on in all of `text`, no end of which may become its closing tag."""
        choice = self._choice(index)
        if choice.tags is None or choice.held or choice.is_without_tag:
            return False
        return choice.closing.search(text) is None and not begun(text)

    def spares(self, index: int, text: str) -> bool:
        """Whether no trace is open or opens with `text`; an end of it may still be held back."""
        choice = self._choice(index)
        return choice.tags is None and not choice.fresh and not MARK.search(choice.held + text)

    def feed(self, event: Event) -> Iterator[Event]:
        """The event's text apart from the traces in it; every other event as it is."""
        if isinstance(event, Text):
            choice = self._choice(event.index)
            choice.whole = self._whole or event.whole
            yield from choice.feed(event, self)
            if choice.whole:
                yield from choice.rest(event.index)
            self._note(event.index, choice)
        elif isinstance(event, TextCopy) and event.whole:
            yield from self._once_more(event)
        elif isinstance(event, TextCopy):
            choice = self._choice(event.index)
            if not choice.hid and not MARK.search(event.text):
                yield event
        elif isinstance(event, Finish | ReasoningEnd):
            choice = self._choice(event.index)
            yield from choice.rest(event.index)
            self._note(event.index, choice)
            yield event
        else:
            yield event

    def _once_more(self, copy: TextCopy) -> Iterator[Event]:
        """All of a text as its pieces left: apart from its traces, each of which is told by its number."""
        first = self._choices.get(copy.index)
        if (
            first is not None
            and first.tags is not None
            and not MARK.search(copy.text.partition(first.tags[1])[0])
        ):
            # Some servers call each piece the message: in the midst of a trace it is no copy of what was said before.
            yield from first.feed(Text(copy.index, copy.text), self)
            self._note(copy.index, first)
            return
        choice = _Choice(_STARTS_OPEN if self._starts_open else None, whole=first is None or first.whole)
        text = Text(copy.index, copy.text)
        number, told = 0, False
        for event in (*choice.feed(text, self), *choice.rest(copy.index)):
            if isinstance(event, Reasoning):
                if not told:
                    yield ReasoningCopy(copy.index, event.tags, number)
                told = True
                continue
            number, told = number + told, False
            if isinstance(event, Text):
                yield copy if event.text == copy.text else TextCopy(copy.index, event.text, whole=True)
        if first is not None and MARK.search(copy.text):
            first.tags = choice.tags
            self._note(copy.index, first)

    def flush(self) -> Iterator[Event]:
        """Text held back because it could have become a tag."""
        for index in sorted(self._busy):
            yield from self._choices[index].rest(index)

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            opened = _STARTS_OPEN if self._starts_open else None
            choice = self._choices[index] = _Choice(opened, whole=self._whole)
            self._note(index, choice)
        return choice

    def _note(self, index: int, choice: _Choice) -> None:
        if choice.tags is None and not choice.held and not (choice.fresh and choice.before):
            self._busy.discard(index)
        else:
            self._busy.add(index)

    def bare(self) -> None:
        """Note a closing tag without its opening."""
        self.alarms.add("bare_closing_tag")


class _Choice:
    """The text of one index: in a trace or not, and what is held back at the end of a piece; `fresh` until it has said a word."""

    __slots__ = ("before", "fresh", "held", "hid", "tags", "whole")

    def __init__(self, tags: tuple[str, str] | None, *, whole: bool) -> None:
        self.tags = tags
        self.whole = whole  # then the text before a bare closing tag has not left, and goes too
        self.held = ""
        self.hid = tags is not None
        self.fresh = tags is None
        self.before = ""  # the last character that left, to tell a quoted tag

    @property
    def is_without_tag(self) -> bool:
        """Whether a trace is open that no tag has opened."""
        return self.tags is not None and is_without_tag(self.tags[0])

    @property
    def closing(self) -> re.Pattern[str]:
        """What closes the trace that is open."""
        tags = self.tags or _STARTS_OPEN
        return ANY_CLOSE if tags is _STARTS_OPEN else closing_of(tags[0])

    def feed(self, event: Text, traces: InlineTraces) -> Iterator[Event]:
        text, at = self.held + event.text, 0
        if self.fresh and text.strip():
            opened = opened_by(text)
            if opened is None and not self.whole and may_open(text):
                self.held = text
                return
            self.fresh = False
            if opened is not None:
                (at, self.tags), self.hid = opened, True
        if not self.held and self.tags is None and not MARK.search(text) and not begun(text):
            self.before = text[-1:] or self.before
            yield event
            return
        self.held = ""
        while at < len(text):
            step = self._in_trace if self.tags else self._in_text
            at, found = step(event.index, text, at, traces)
            yield from found

    def _in_trace(self, index: int, text: str, at: int, traces: InlineTraces) -> tuple[int, list[Event]]:
        tags = self.tags or _STARTS_OPEN
        closed = self.closing.search(text, at)
        left = ends_begun(tags[0], text) if self.is_without_tag else begun(text)
        end = closed.start() if closed else max(at, len(text) - left)
        found: list[Event] = [Reasoning(index, text[at:end], tags)] if end > at else []
        if closed is None:
            self.held = text[end:]
            return len(text), found
        self.tags = None
        return closed.end(), [*found, ReasoningEnd(index)]

    def _in_text(self, index: int, text: str, at: int, traces: InlineTraces) -> tuple[int, list[Event]]:
        start = at
        while mark := MARK.search(text, at):
            if not self._quoted(text, start, mark):
                return self._at_mark(index, text, start, mark, traces)
            if mark.end() == len(text):
                break  # the closing quote may be next
            at = mark.end()
        end = mark.start() if mark else max(at, len(text) - begun(text))
        self.held = text[end:]
        return len(text), self._visible(index, text[start:end])

    def _at_mark(
        self, index: int, text: str, start: int, mark: re.Match[str], traces: InlineTraces
    ) -> tuple[int, list[Event]]:
        opening = opening_of(mark[0])
        before = text[start : mark.start()]
        if opening is None:
            traces.bare()
            if not self.whole:
                return mark.end(), self._visible(index, text[start : mark.end()])
        self.hid = True
        if opening is not None:
            found = self._visible(index, before)
            self.tags = opening, _closes[opening]
            return mark.end(), found
        return mark.end(), [Reasoning(index, before, _STARTS_OPEN), ReasoningEnd(index)]

    def _quoted(self, text: str, start: int, mark: re.Match[str]) -> bool:
        before = text[mark.start() - 1] if mark.start() > start else self.before
        if not before or before not in _QUOTES:
            return False
        return mark.end() == len(text) or text[mark.end()] == before

    def _visible(self, index: int, text: str) -> list[Event]:
        if not text:
            return []
        self.before = text[-1]
        return [Text(index, text)]

    def rest(self, index: int) -> Iterator[Event]:
        """What was held back at the end: text outside a trace, never text inside one."""
        held, self.held = self.held, ""
        if not held:
            return
        if self.tags:
            yield Reasoning(index, held, self.tags)
        else:
            yield from self._visible(index, held)
