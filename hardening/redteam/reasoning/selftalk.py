"""How well self-talk is found in traces of a model that the tagger has not seen, beside a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from hardening.redteam.reasoning.fit import fit
from hardening.redteam.reasoning.labels import Annotated
from hardening.transform.tagger import Model, Tagger

_FIRST_WORD = re.compile(r"(?:wait|hmm+|but|alternatively)\b", re.IGNORECASE)
"""The best of seven such lists that were tried on these very traces: a baseline that was not made weak."""


class Found(NamedTuple):
    """Sections told as self-talk that are, that are not, and those that were missed."""

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of what was told that is self-talk."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def recall(self) -> float:
        """The share of self-talk that was told."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)


class Judged(NamedTuple):
    """What the weights find, and what the regular expression does."""

    tagger: Found
    baseline: Found


class Fold(NamedTuple):
    """One model's traces, judged by weights that were fitted without it."""

    model: str
    weights: Model
    tagger: Found
    baseline: Found


def together(folds: Sequence[Fold]) -> Judged:
    """All folds as one."""
    return Judged(
        Found(*map(sum, zip(*(fold.tagger for fold in folds), strict=True))),
        Found(*map(sum, zip(*(fold.baseline for fold in folds), strict=True))),
    )


def folds(traces: dict[str, list[Annotated]], say: Callable[[str], None] = lambda _: None) -> list[Fold]:
    """Each model's traces, judged by a fit to all the others."""
    done = []
    for name, unseen in traces.items():
        say(f"fitting the tagger without {name}")
        weights = fit([trace for other, seen in traces.items() if other != name for trace in seen])
        found = _found(unseen, partial(by_weights, weights=weights))
        done.append(Fold(name, weights, found, _found(unseen, by_first_word)))
    return done


def by_weights(texts: Sequence[str], weights: Model) -> list[bool]:
    """Which sections of one trace the tagger takes for self-talk."""
    return [part == "self_talk" for part, _ in Tagger(weights).parts(list(texts))]


def by_first_word(texts: Sequence[str]) -> list[bool]:
    """Which sections begin with a word of doubt."""
    return [_FIRST_WORD.match(text) is not None for text in texts]


def _found(traces: Sequence[Annotated], judge: Callable[[Sequence[str]], list[bool]]) -> Found:
    hits = false = missed = 0
    for trace in traces:
        told = judge([text for _, text in trace.sections])
        for (part, _), is_told in zip(trace.sections, told, strict=True):
            is_talk = part == "self_talk"
            hits += is_talk and is_told
            false += is_told and not is_talk
            missed += is_talk and not is_told
    return Found(hits, false, missed)
