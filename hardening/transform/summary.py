"""A summary of a reasoning trace that leaves out what a student would learn from.

Extractive: sentences that tell a plan, common knowledge or a conclusion, with every value masked that
the question does not hold; never derivation, checks or self-talk, and never raw text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hardening import kernels
from hardening.facts import ReasoningTerms
from hardening.transform import cues
from hardening.transform.clauses import clause, is_conclusion, is_goal, may_leave
from hardening.transform.masking import MASK, masked
from hardening.transform.sentences import Splitter
from hardening.transform.tagger import Model, Part, Tagger

BUDGETS = (40, 80, 160)
"""Tokens of a summary. Few and fixed: a share of the trace would tell the trace's length."""
_MOST: dict[Part, int] = {"final": 1, "knowledge": 2, "plan": 3}
"""Sentences of each part, in the order in which they are told: the conclusion first."""
_FIRST_KEPT, _LAST_KEPT, _UNSURE_KEPT = 48, 16, 8
_WORD = re.compile(r"[a-z]{4,}")
_FEWEST_WORDS = 2  # that say something; a sentence with less stands only where there is no other
_OPENING = 8  # sentences, among which a trace says what is to be found
_ALIKE = 2  # of two sentences with one half of the shorter's words in common, one is enough


def budget(terms: ReasoningTerms) -> int:
    """The tokens of a summary under these terms."""
    longest = BUDGETS[0] if terms.detail == "brief" else BUDGETS[-1]
    return max((size for size in BUDGETS if size <= min(terms.max_tokens, longest)), default=terms.max_tokens)


@dataclass(frozen=True, slots=True)
class _Candidate:
    place: int
    part: Part
    text: str
    words: frozenset[str]


class Summariser:
    """Summarises one trace that comes in pieces; the same text whatever the pieces are.

    Holds a bounded number of candidate sentences and less than fifteen hundred characters beside them.
    """

    def __init__(self, max_tokens: int, count_tokens: Callable[[str], int], model: Model) -> None:
        self._budget = max_tokens
        self._count_tokens = count_tokens
        self._splitter = Splitter()
        self._tagger = Tagger(model)
        self._places = 0
        self._first: dict[str, _Candidate] = {}
        self._unsure: list[_Candidate] = []
        self._last: deque[_Candidate] = deque(maxlen=_LAST_KEPT)

    def feed(self, text: str) -> None:
        """Take the next piece of the trace."""
        if sentences := self._splitter.feed(text):
            self._consider(sentences)

    def finish(self, question_values: frozenset[str]) -> str:
        """The summary; empty if nothing is safe to tell.

        `question_values` are the numbers of the question, as digits or words; they may stay.
        """
        self._consider(self._splitter.flush())
        sure = [*self._first.values(), *self._last]
        chosen = self._within_budget(_ranked(sure), question_values)
        chosen = chosen or self._within_budget(_telling(self._unsure), question_values)[:1]
        order = tuple(_MOST)
        chosen.sort(key=lambda pair: (order.index(pair[0].part), pair[0].place))
        return " ".join(text for _, text in chosen)

    def _consider(self, sentences: list[str]) -> None:
        for sentence, (told, sure) in zip(sentences, self._tagger.parts(sentences), strict=True):
            self._places += 1
            if is_conclusion(sentence):
                self._keep(sentence, "final", sure=True)
            elif self._places <= _OPENING and told not in ("self_talk", "check") and is_goal(sentence):
                self._keep(sentence, "plan", sure=True)
            elif told in _MOST:
                self._keep(sentence, told, sure=sure)

    def _keep(self, sentence: str, part: Part, *, sure: bool) -> None:
        text = clause(sentence, part)
        if not text or text in self._first or not may_leave(sentence, text, part):
            return
        words = frozenset(_WORD.findall(text.lower())) - cues.HOLLOW
        found = _Candidate(self._places, part, text, words)
        if len(words) < _FEWEST_WORDS or not sure:
            self._unsure = [*self._unsure[: _UNSURE_KEPT - 1], found]
        elif len(self._first) < _FIRST_KEPT:
            self._first[text] = found
        else:
            self._last.append(found)

    def _within_budget(
        self, ranked: list[_Candidate], question_values: frozenset[str]
    ) -> list[tuple[_Candidate, str]]:
        """The best of each part that fit together, with what may be shown of them."""
        chosen: list[tuple[_Candidate, str]] = []
        left = self._budget
        room = dict(_MOST)
        for candidate in ranked:
            if not room[candidate.part] or any(_alike(candidate, other) for other, _ in chosen):
                continue
            text = masked(candidate.text, question_values)
            if not text or (candidate.part != "plan" and MASK in text):
                continue  # a statement lives by its values, a plan does not
            cost = self._count_tokens(text) + 1  # the space before it
            if cost <= left:
                left -= cost
                room[candidate.part] -= 1
                chosen.append((candidate, text))
        return chosen


def _ranked(candidates: list[_Candidate]) -> list[_Candidate]:
    """Those that share most with the others first."""
    if not candidates:
        return []
    ids = {word: at for at, word in enumerate(sorted(set().union(*(one.words for one in candidates))))}
    scores = kernels.centrality([sorted(ids[word] for word in one.words) for one in candidates])
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: (-pair[0], pair[1].place))
    return [candidate for _, candidate in ranked]


def _telling(candidates: list[_Candidate]) -> list[_Candidate]:
    """Those that say something, the ones that say enough first."""
    return sorted((one for one in candidates if one.words), key=lambda one: len(one.words) < _FEWEST_WORDS)


def _alike(one: _Candidate, other: _Candidate) -> bool:
    fewer = min(len(one.words), len(other.words))
    return len(one.words & other.words) * _ALIKE > fewer
