"""Sentences of a reasoning trace: where they end, whatever pieces the trace comes in."""

from __future__ import annotations

import re

_LONGEST = 400  # characters of a sentence; a longer one is dropped, so that an endless one holds no memory
_PENDING = 1024  # characters gathered before they are split: flat cost per delta
_FENCES = ("```", "~~~")
_SIGNS = (*_FENCES, "\\", "$$")
"""Without one of these no block begins."""

# Signs and what closes behind them, before white space; or a line feed. All begin with one of a set: `re` skips to these.
_END = re.compile(r"[.!?\n](?:(?<=\n)|[.!?]*[\"')\]*]*(?=\s))")


class Splitter:
    """Cuts a text that comes in pieces into sentences, the same whatever the pieces are.

    Code between fences, display maths, quoted lines and tables never come out.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._hidden = ""
        self._quoted = False
        self._too_long = False

    def feed(self, text: str) -> list[str]:
        """The sentences that ended so far; most calls give none and only keep the piece."""
        self._pieces.append(text)
        self._length += len(text)
        return self._split() if self._length >= _PENDING else []

    def flush(self) -> list[str]:
        """What is left, as if the text ended with a line."""
        self._pieces.append("\n")
        return self._split()

    def _split(self) -> list[str]:
        text = "".join(self._pieces)
        blocks = bool(self._hidden) or any(sign in text for sign in _SIGNS)
        start = 0
        found = []
        for match in _END.finditer(text):
            end = match.end()
            start = self._pass_over(text, start, end, blocks=blocks)
            sentence = text[start:end].strip()
            start = end
            if self._stands_in_prose(sentence, blocks=blocks) and sentence and not self._too_long:
                found.append(sentence)
            self._too_long = False
            self._quoted = self._quoted and match[0] != "\n"
        start = self._pass_over(text, start, len(text), blocks=blocks)
        self._pieces = [text[start:]]
        self._length = 0
        return found

    def _pass_over(self, text: str, start: int, end: int, *, blocks: bool) -> int:
        """Leave out the front of a sentence that is too long, in steps that no piece of the text moves."""
        while end - start > _LONGEST:
            self._stands_in_prose(text[start : start + _LONGEST], blocks=blocks)
            self._too_long = True
            start += _LONGEST
        return start

    def _stands_in_prose(self, sentence: str, *, blocks: bool) -> bool:
        """Whether a sentence is neither in nor at the border of a block, nor quoted; keeps track of both.

        Without `blocks` none is open, and nothing in its text begins one.
        """
        if blocks and self._stands_in_block(sentence):
            return False
        self._quoted = self._quoted or sentence.startswith((">", "|"))
        return not self._quoted

    def _stands_in_block(self, sentence: str) -> bool:
        if self._hidden:
            if self._hidden in sentence:
                self._hidden = ""
            return True
        for fence in _FENCES:
            if sentence.startswith(fence):
                self._hidden = "" if fence in sentence[len(fence) :] else fence
                return True
        for opened, closed in ((r"\[", r"\]"), ("$$", "$$"), (r"\begin{", r"\end{")):
            at = sentence.find(opened)
            if at >= 0:
                self._hidden = "" if closed in sentence[at + len(opened) :] else closed
                return True
        return False
