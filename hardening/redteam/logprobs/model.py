"""What attacks need of a model, and a small one whose output layer is known: so an attack can be told from a guess."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WORD = re.compile(r"w(\d+)")
_SPREAD = 5.0
"""Standard deviation of logits: a few tokens share most of the probability, as in models of language."""
_KEPT_ROWS = 512


class Model(ABC):
    """A language model whose tokens are written `w0`, `w1`, ..., so that an attacker knows each by its number."""

    def __init__(self, hidden: int, vocabulary: int, *, rows: int = _KEPT_ROWS) -> None:
        """`rows` are kept, those that were asked for last."""
        self.hidden = hidden
        self.vocabulary = vocabulary
        self.logits = lru_cache(maxsize=rows)(self._logits)

    @abstractmethod
    def _logits(self, tokens: tuple[int, ...]) -> Floats:
        """What the last layer gives for each token that could follow."""

    @abstractmethod
    def prompts(self, count: int, seed: int, words: int = 6) -> list[str]:
        """Questions of so many of its words."""

    def row(self, tokens: tuple[int, ...]) -> Floats:
        """The true log-probabilities of what follows."""
        return log_softmax(self.logits(tokens))

    def tokens(self, text: str) -> tuple[int, ...]:
        """The words of a text."""
        return tuple(int(number) for number in _WORD.findall(text) if int(number) < self.vocabulary)

    def word(self, token: int) -> str:
        """A word as it stands in an answer."""
        return f" w{token}"


class ToyModel(Model):
    """Words after words; what is no such word changes nothing.

    So two questions that differ in such a word have exactly the same values, which is the best that an
    attacker can hope for of questions that are nearly the same.
    """

    def __init__(self, *, hidden: int = 64, vocabulary: int = 4096, seed: int = 7) -> None:
        super().__init__(hidden, vocabulary)
        random = np.random.default_rng(seed)
        self.layer = random.standard_normal((vocabulary, hidden)) * (_SPREAD / np.sqrt(0.5 * hidden))
        self._words = random.standard_normal((vocabulary, hidden))

    def prompts(self, count: int, seed: int, words: int = 6) -> list[str]:
        """Questions of any of its words."""
        drawn = np.random.default_rng(seed).integers(self.vocabulary, size=(count, words))
        return [" ".join(f"w{token}" for token in row) for row in drawn]

    def _logits(self, tokens: tuple[int, ...]) -> Floats:
        state = np.zeros(self.hidden)
        for token in tokens[-16:]:
            state = np.tanh(0.5 * np.roll(state, 1) + self._words[token])
        return np.asarray(self.layer @ state)


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities of logits, of which some may be -inf."""
    top = logits.max()
    return np.asarray(logits - top - np.log(np.exp(logits - top).sum()))
