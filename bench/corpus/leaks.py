"""How much of a hidden trace can be read out of a body, apart from what may be read there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hardening.testing import PIECE, find_leaks


@dataclass(frozen=True, slots=True)
class Found:
    """Pieces of a trace in a body: `hidden` must not be there, `repeated` are said in the open too."""

    hidden: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    repeated: int = 0

    @property
    def chars(self) -> int:
        """Characters of the pieces that must not be there."""
        return sum(map(len, self.hidden))


def find(body: bytes, traces: Iterable[str], *, spoken: str, summaries: Iterable[str] = ()) -> Found:
    """Pieces of `traces` that a client can read out of `body`.

    What the model says in its visible answer (`spoken`) is counted apart, what stands in a summary is
    allowed; everything else of 20 characters or more is `hidden`.
    """
    said = _grams(spoken)
    summaries = tuple(summaries)
    told = _grams("".join(summaries))  # one field may hold several
    told.update(gram for summary in summaries for gram in _grams(f"\n{summary}\n"))  # as between tags
    hidden: dict[str, str] = {}
    repeated: set[str] = set()
    for trace in traces:
        for leak in find_leaks(body, trace):
            for run in _runs(leak.text, said | told, inside=False):
                # Quotes and colons may be those of JSON, and white space tells nothing.
                if _grams(run.strip('": ,\r\n')) - said - told:
                    hidden[run] = leak.where
            repeated.update(_runs(leak.text, said, inside=True))
    return Found(tuple(hidden), tuple(hidden.values()), len(repeated))


def _grams(text: str) -> set[str]:
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


def _runs(text: str, grams: set[str], *, inside: bool) -> Iterator[str]:
    """The longest pieces of `text` whose every 20 characters are in `grams`, or are not."""
    start = None
    for at in range(len(text) - PIECE + 2):
        gram = text[at : at + PIECE]
        if len(gram) == PIECE and (gram in grams) is inside:
            start = at if start is None else start
        elif start is not None:
            yield text[start : at + PIECE - 1]
            start = None
