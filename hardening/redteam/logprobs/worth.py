"""What one row is worth: in tokens sampled of the same context, and to a user who ranks his own texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hardening.redteam.logprobs.client import Caller
from hardening.redteam.logprobs.dialects import Values
from hardening.redteam.logprobs.model import Floats, Model

_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1200)
_PRIORS = (0.5, 1, 2, 4, 8, 16, 32, 64)
_MIXED = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_POWERS = (0.4, 0.55, 0.7, 0.85, 1.0)
_WORDS = 64


class Scale:
    """How far sampled tokens bring a reader to the truth, who knows what the model says on average."""

    def __init__(self, model: Model, *, contexts: int, seed: int) -> None:
        self.model = model
        self.prompts = model.prompts(contexts, seed)
        self.truth = [np.exp(model.row(model.tokens(prompt))) for prompt in self.prompts]
        others = [np.exp(model.row(model.tokens(prompt))) for prompt in model.prompts(4 * contexts, seed + 1)]
        self.prior = 0.95 * np.mean(others, axis=0) + 0.05 / model.vocabulary
        self._curve = self._sampled(np.random.default_rng(seed))

    def _sampled(self, random: np.random.Generator) -> list[float]:
        """The divergence after so many tokens, at the best weight of the prior."""
        curve = []
        for count in _COUNTS:
            counts = [random.multinomial(count, true / true.sum()) for true in self.truth]
            curve.append(
                min(
                    float(
                        np.mean(
                            [
                                _apart(true, (seen + weight * self.prior) / (count + weight))
                                for true, seen in zip(self.truth, counts, strict=True)
                            ]
                        )
                    )
                    for weight in _PRIORS
                )
            )
        return curve

    def equivalents(self, told: Sequence[Values], step: float) -> tuple[float, float]:
        """Sampled tokens that a row of `told` is worth at its best reading, and the divergence that is left."""
        left = min(
            float(
                np.mean(
                    [
                        _apart(true, self._read(row, step, power, mixed))
                        for true, row in zip(self.truth, told, strict=True)
                    ]
                )
            )
            for power in _POWERS
            for mixed in _MIXED
        )
        return float(np.exp(np.interp(-left, [-one for one in self._curve], np.log(_COUNTS)))), left

    def _read(self, row: Values, step: float, power: float, mixed: float) -> Floats:
        """What a reader makes of one row: the tokens told, put back by half a step, the rest as the prior has it."""
        tokens = [int(word.strip()[1:]) for word in row]
        values = np.exp(power * np.minimum(np.array(list(row.values())) + step / 2, -1e-6))
        values *= min(1.0, 0.98 / values.sum()) if len(values) else 1.0
        found = self.prior.copy()
        found[tokens] = 0.0
        found *= (1.0 - values.sum()) / found.sum()
        found[tokens] = values
        return np.asarray((1 - mixed) * found + mixed * self.prior)


def _apart(true: Floats, found: Floats) -> float:
    return float(np.sum(true * np.log(np.maximum(true, 1e-300) / np.maximum(found, 1e-12))))


class Honest(NamedTuple):
    """What a user keeps: how often the likeliest token comes first, and how well his texts keep their ranks."""

    first: float
    ranks: float
    ranks_sampled: float


def honest(bare: Caller, mounted: Caller, model: Model, *, seed: int, texts: int) -> Honest:
    """Answers to the same questions with and without us, by the mean value of their tokens.

    At temperature 0, as scores of answers are made; and sampled, where a drawn token that is not told counts as
    one step below the last one that is.
    """
    first, means, sampled = [], [], []
    for number, prompt in enumerate(model.prompts(texts, seed)):
        ask: dict[str, Any] = {
            "messages": [{"role": "user", "content": prompt}],
            "logprobs": True,
            "top_logprobs": 5,
            "max_tokens": _WORDS,
        }
        clean, ours = (caller.ask(**ask, temperature=0) for caller in (bare, mounted))
        first += [next(iter(a)) == next(iter(b)) for a, b in zip(clean.rows[0], ours.rows[0], strict=True)]
        means.append((_mean(clean.texts[0], clean.rows[0]), _mean(ours.texts[0], ours.rows[0])))
        clean, ours = (caller.ask(**ask, temperature=1, seed=number) for caller in (bare, mounted))
        sampled.append((_mean(clean.texts[0], clean.rows[0]), _mean(ours.texts[0], ours.rows[0])))
    return Honest(float(np.mean(first)), _spearman(means), _spearman(sampled))


def _mean(text: str, rows: Sequence[Values]) -> float:
    words = [f" {word}" for word in text.split()]
    return float(
        np.mean([row.get(word, min(row.values()) - 1.0) for word, row in zip(words, rows, strict=True)])
    )


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """The correlation of ranks; equal values share theirs."""
    ranks = np.array([_ranks(np.array(column)) for column in zip(*pairs, strict=True)])
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])
