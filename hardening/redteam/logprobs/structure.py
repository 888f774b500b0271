"""Attacks on the output layer itself: its size, and the space that it spans, from what a caller is told.

Sources: Carlini et al. 2024 (2403.06634) for singular values; 2606.04459 for rankings.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from hardening.redteam.logprobs.client import Caller
from hardening.redteam.logprobs.dialects import Values
from hardening.redteam.logprobs.model import Floats, Model, ToyModel

_BATCH = 19
"""Tokens that one question tells of with 20 alternatives, beside one that all are compared with."""
_BIAS = 100.0
_WIDEST = 80.0
"""Nats by which a token can be below the likeliest one and still be found."""
_PROBES = 24
_NEAR = 2
"""Rows without a reference show the gap one place later."""


class Layer(NamedTuple):
    """What was found of a layer: the gap ratio, the questions it took, the values that were known and their share."""

    gap: float
    questions: int
    values: int
    known: float


def gap_ratio(rows: Floats, hidden: int) -> float:
    """The largest quotient of neighbouring singular values near the true size; 1 where nothing is known."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    values = np.linalg.svd(centred, compute_uv=False)
    if not values[0] > 0:
        return 1.0
    floor = values[0] * 1e-12
    first, last = max(hidden - _NEAR - 1, 0), min(hidden + _NEAR, len(values) - 1)
    near = np.maximum(values[first : last + 1], floor)
    return float((near[:-1] / near[1:]).max())


def _known(rows: Floats, columns: int) -> Floats:
    """The columns of which most is known, with the least known value of a row in place of what is not."""
    counts = np.sum(~np.isnan(rows), axis=0)
    best = rows[:, np.argsort(-counts, kind="stable")[:columns]]
    lowest = np.nanmin(np.where(np.isnan(rows).all(axis=1, keepdims=True), 0.0, rows), axis=1, keepdims=True)
    return np.where(np.isnan(best), lowest, best)


def _layer(gap: float, questions: int, found: Floats) -> Layer:
    known = ~np.isnan(found)
    return Layer(gap, questions, int(known.sum()), float(known.mean()))


def _number(word: str) -> int:
    return int(word.strip().removeprefix("w"))


def _take(row: Floats, values: Values, reference: float = 0.0) -> None:
    for word, value in values.items():
        row[_number(word)] = value - reference


def through_bias(caller: Caller, model: Model, *, rows: int, seed: int, columns: int = 0) -> Layer:
    """Rows of chosen tokens, twenty a question: all are lifted above the others by `logit_bias`."""
    before, columns = caller.asked, columns or 2 * model.hidden
    found = np.full((rows, model.vocabulary), np.nan)
    for row, prompt in zip(found, model.prompts(rows, seed), strict=True):
        for start in range(1, columns, _BATCH):
            tokens = [0, *range(start, min(start + _BATCH, columns))]
            bias = {str(token): _BIAS for token in tokens}
            values = caller.first(prompt, top_logprobs=len(tokens), logit_bias=bias, temperature=0)
            _take(row, values, values.get(model.word(0), 0.0))
    gap = gap_ratio(_known(found, columns), model.hidden)
    return _layer(gap, caller.asked - before, found[:, :columns])


def from_alternatives(caller: Caller, model: Model, *, rows: int, seed: int) -> Layer:
    """Rows as the server gives them, where it gives all alternatives to who asks for them."""
    before = caller.asked
    found = np.full((rows, model.vocabulary), np.nan)
    for row, prompt in zip(found, model.prompts(rows, seed), strict=True):
        _take(row, caller.first(prompt, top_logprobs=-1, temperature=0))
    gap = gap_ratio(_known(found, 4 * model.hidden), model.hidden)
    return _layer(gap, caller.asked - before, found)


def by_bisection(caller: Caller, model: Model, *, rows: int, seed: int) -> Layer:
    """Rows without any log-probability: how much bias makes a token the answer."""
    before, columns = caller.asked, model.hidden + 8
    found = np.full((rows, columns), np.nan)
    for row, prompt in zip(found, model.prompts(rows, seed), strict=True):
        for token in range(columns):
            low, high = 0.0, _WIDEST
            if not _wins(caller, model, prompt, token, high):
                continue
            for _ in range(_PROBES):
                middle = (low + high) / 2
                if _wins(caller, model, prompt, token, middle):
                    high = middle
                else:
                    low = middle
            row[token] = -(low + high) / 2
    return _layer(gap_ratio(_known(found, columns), model.hidden), caller.asked - before, found)


def _wins(caller: Caller, model: Model, prompt: str, token: int, bias: float) -> bool:
    messages = [{"role": "user", "content": prompt}]
    answer = caller.ask(messages=messages, temperature=0, logit_bias={str(token): bias})
    return bool(answer.texts) and answer.texts[0] == model.word(token)


class Ranking(NamedTuple):
    """How much of the layer's space the order of tokens gives: 1 all of it, `chance` what a guess does."""

    overlap: float
    chance: float


def from_rankings(caller: Caller, model: ToyModel, *, rows: int, seed: int, first: int = -1) -> Ranking:
    """The space of the layer from the order of alternatives alone, whatever their values; of the `first` ones."""
    found = np.zeros((rows, model.vocabulary))
    for row, prompt in zip(found, model.prompts(rows, seed), strict=True):
        values = caller.first(prompt, top_logprobs=-1, temperature=0)
        order = [_number(word) for word in values][: None if first < 0 else first]
        # Places as normal scores: most tokens are unlikely, and each is compared with all others.
        places = np.arange(len(order)) + 0.5
        row[order] = _normal_scores(1 - places / model.vocabulary)
    chance = model.hidden / model.vocabulary
    return Ranking(_overlap(found, model) if found.any() else chance, chance)


def _overlap(found: Floats, model: ToyModel) -> float:
    """The share of the layer's space in as many of the main directions of `found` as it has."""
    centred = found - found.mean(axis=1, keepdims=True)
    squares, directions = np.linalg.eigh(centred @ centred.T)
    main = directions[:, -model.hidden :].T @ centred / np.sqrt(squares[-model.hidden :])[:, None]
    true, _ = np.linalg.qr(model.layer - model.layer.mean(axis=0))
    return float(np.mean(np.sum((main @ true) ** 2, axis=1)))


def _normal_scores(shares: Floats) -> Floats:
    return np.array([NormalDist().inv_cdf(share) for share in shares])
