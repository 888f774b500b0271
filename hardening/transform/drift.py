"""Text in places that no table knows: told from identifiers and labels, over the frames of a response.

A server that renames its reasoning, or adds a second place for it, is met here until a table knows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardening.wire.frame import Frame
from hardening.wire.unknown import Path, Span, doubtful, is_of_others, keys_before, path_of, paths_to

_LONG_CHARS = 64  # from here on a string is no label
_GROWN_CHARS = 20  # as many characters of a trace in a row count as a leak
_CHARS_PER_BLANK = 16  # of prose at most; identifiers, addresses and packed data have none
_CHARS_PER_LETTER = 3  # at most; tables of numbers have fewer letters
_NO_BLANKS_FROM = "\u0e00"  # scripts from Thai on need none between words
_SAMPLE_CHARS = 1024  # that are looked at, at both ends and in the middle of a string
_PLACES = 64  # that are told apart in one response; all further ones count as one
_TOLD = 8  # paths that are named


class Drift:
    """Finds the strings of a response that are text and that no table knows; see `text`.

    `paths` names the fields that held some: names of keys only, a few.
    """

    __slots__ = ("_places", "paths")

    def __init__(self) -> None:
        self._places: dict[bytes, _Place] = {}
        self.paths: dict[str, None] = {}

    def text(self, frame: Frame) -> list[Span]:
        """The spans of text in a frame.

        Text is what is long and reads like words; or what came in pieces, at one place, that join to
        words: a piece begins or ends with a blank, which labels do not. From then on all at that place is.
        """
        spans = doubtful(frame)
        if not spans:
            return []
        keys = keys_before(frame, spans)
        strings = [(span, key, frame.string(*span)) for span, key in zip(spans, keys, strict=True)]
        for _, key, string in strings:
            self._place(key).add(string)
        found = [span for span, key, string in strings if self._place(key).grown or is_text(string)]
        paths = paths_to(frame, found)
        own = [span for span in found if not is_of_others(paths[span])]
        for path in dict.fromkeys(paths[span] for span in own):
            self._name(path)
        return own

    def note(self, frame: Frame, copies: list[Span]) -> None:
        """Name the fields of strings that turned out to be copies of a trace."""
        for path in dict.fromkeys(paths_to(frame, copies).values()):
            self._name(path)

    def _name(self, keys: Path) -> None:
        if len(self.paths) < _TOLD:
            self.paths[path_of(keys)] = None

    def _place(self, key: bytes) -> _Place:
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _PLACES:
                key = b""
            place = self._places.setdefault(key, _Place())
        return place


@dataclass(slots=True)
class _Count:
    """What tells words from other strings, in characters."""

    all: int = 0
    blanks: int = 0
    letters: int = 0
    dense: int = 0  # letters of scripts without blanks

    def add(self, text: str) -> None:
        self.all += len(text)
        self.blanks += sum(map(str.isspace, text))
        self.letters += sum(map(str.isalpha, text))
        if not text.isascii():
            self.dense += sum(one >= _NO_BLANKS_FROM and one.isalpha() for one in text)

    @property
    def is_dense(self) -> bool:
        return self.dense * _CHARS_PER_LETTER >= self.all

    @property
    def are_words(self) -> bool:
        """Whether it reads like words, in a script with blanks or without."""
        spaced = self.blanks * _CHARS_PER_BLANK >= self.all
        return self.is_dense or (spaced and self.letters * _CHARS_PER_LETTER >= self.all)


class _Place:
    """The strings that came under one key so far: their counts, not they themselves."""

    __slots__ = ("_count", "_edges", "_last", "grown")

    def __init__(self) -> None:
        self._count = _Count()
        self._edges = False
        self._last = 0
        self.grown = False

    def add(self, text: str) -> None:
        """Take a string; one that only comes again, as names and states do, adds nothing."""
        if self.grown or not text or hash(text) == self._last:
            return
        self._last = hash(text)
        self._count.add(text[:_SAMPLE_CHARS])
        self._edges = self._edges or text[0].isspace() or text[-1].isspace()
        pieces = self._edges or self._count.is_dense
        self.grown = pieces and self._count.all >= _GROWN_CHARS and self._count.are_words


def is_text(string: str) -> bool:
    """Whether a string is long and reads like words at one of its ends or in its middle."""
    if len(string) < _LONG_CHARS:
        return False
    if len(string) <= 3 * _SAMPLE_CHARS:
        return _reads(string)
    middle = len(string) // 2
    samples = string[:_SAMPLE_CHARS], string[middle : middle + _SAMPLE_CHARS], string[-_SAMPLE_CHARS:]
    return any(map(_reads, samples))


def _reads(string: str) -> bool:
    count = _Count()
    count.add(string)
    return count.are_words
