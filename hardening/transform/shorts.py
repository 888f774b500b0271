"""Short strings that no table knows: what they say in a row, a list of the tokens of a trace for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hardening.wire.frame import Frame
from hardening.wire.unknown import Span, keys_before

_PIECE = 20  # characters of a trace that are one too many
_SHORT_CHARS = 40  # that may hold less than a piece, signs apart
_AT_ONCE = 4096  # characters that are looked at together
_PLACES = 64  # that are told apart in one response; all further ones count as one


class Shorts:
    """The last short strings of a response, by the key that they stand under: as many as could begin a piece of a trace."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[bytes, list[str]] = {}

    def copies(
        self, frame: Frame, repeats: Callable[[str], bool], stays: Callable[[str, bytes], bool]
    ) -> Iterator[Span]:
        """The short strings of a frame that, with those before them, say a piece of a trace; but for what `stays`.

        One that only comes again, as names and states do, adds nothing.
        """
        came: dict[bytes, list[tuple[Span, str]]] = {}
        for span, key in zip(frame.strings, keys_before(frame, frame.strings), strict=True):
            text = frame.string(*span)
            if 0 < len(text) < _SHORT_CHARS and not stays(text, key):
                key = key if key in self._rows or len(self._rows) + len(came) < _PLACES else b""
                came.setdefault(key, []).append((span, text))
        for key, pairs in came.items():
            row = [*self._rows.get(key, ())]
            if len(pairs) > 1 or row[-1:] != [pairs[0][1]]:
                yield from self._in_a_row(key, row, pairs, repeats)

    def _in_a_row(
        self, key: bytes, row: list[str], pairs: list[tuple[Span, str]], repeats: Callable[[str], bool]
    ) -> Iterator[Span]:
        spans: list[Span] = []
        chars = _chars(row)
        for place, (span, text) in enumerate(pairs, 1):
            row.append(text)
            spans.append(span)
            chars += len(text)
            if chars < _AT_ONCE and place < len(pairs):
                continue
            if chars >= _PIECE and (repeats("".join(row)) or repeats(" ".join(row))):
                yield from spans
            row, spans = _last(row), []
            chars = _chars(row)
        self._rows[key] = row


def _last(row: list[str]) -> list[str]:
    """The last strings of a row, as many as may begin a piece."""
    chars = 0
    for place in range(len(row) - 1, -1, -1):
        chars += len(row[place])
        if chars >= _PIECE - 1:
            return row[place:]
    return row


def _chars(row: list[str]) -> int:
    return sum(map(len, row))
