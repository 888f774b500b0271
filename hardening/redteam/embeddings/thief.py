"""Students that are fitted to what an account got, and judged by the vectors that the encoder gives without us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hardening.redteam.embeddings.encoder import Floats, unit

_RIDGES = 10.0 ** np.arange(-8, 3.1, 0.5)
_STEPS, _LOOK_EVERY = 150, 10
_RATE, _MOMENTUM, _SQUARES = 3e-3, 0.9, 0.999


class Lesson(NamedTuple):
    """Of texts that the thief asked for what anybody computes and what he got; the same of others, and their clean vectors."""

    given: Floats
    taught: Floats
    held: Floats
    clean: Floats


def cosine(ours: Floats, theirs: Floats) -> float:
    """The mean cosine of two vectors of the same text."""
    return float((unit(ours) * unit(theirs)).sum(axis=1).mean())


def linear(lesson: Lesson) -> float:
    """The best cosine to clean vectors of a linear student."""
    return max(cosine(rows, lesson.clean) for rows in _students(lesson))


def copied(lesson: Lesson) -> Floats:
    """What the best linear student makes of the texts that it was not taught."""
    return max(_students(lesson), key=lambda rows: cosine(rows, lesson.clean))


def _students(lesson: Lesson) -> Iterator[Floats]:
    """The vectors of linear students that are held back more and more.

    How strongly is chosen on the clean vectors themselves: no thief has more.
    """
    given, held = _with_one(lesson.given), _with_one(lesson.held)
    values, turn = np.linalg.eigh(given.T @ given)
    known, shown = turn.T @ (given.T @ lesson.taught), held @ turn
    values = np.maximum(values, 0.0)
    for ridge in _RIDGES:
        yield shown / (values + ridge * values.mean()) @ known


def layered(lesson: Lesson, *, seed: int) -> float:
    """The same of a student with a hidden layer, stopped where it is best."""
    chance = np.random.default_rng(seed)
    given, held = _with_one(lesson.given), _with_one(lesson.held)
    width = 2 * given.shape[1]
    layers = [
        chance.standard_normal((given.shape[1], width)) / np.sqrt(given.shape[1]),
        chance.standard_normal((width, lesson.taught.shape[1])) / np.sqrt(width),
    ]
    first, second = ([np.zeros_like(layer) for layer in layers] for _ in range(2))
    best = -1.0
    for step in range(1, _STEPS + 1):
        hidden = np.tanh(given @ layers[0])
        missed = (hidden @ layers[1] - lesson.taught) / len(given)
        slopes = [given.T @ (missed @ layers[1].T * (1 - hidden**2)), hidden.T @ missed]
        for at, slope in enumerate(slopes):
            first[at] += (1 - _MOMENTUM) * (slope - first[at])
            second[at] += (1 - _SQUARES) * (slope**2 - second[at])
            size = np.sqrt(second[at] / (1 - _SQUARES**step)) + 1e-12
            layers[at] -= _RATE * first[at] / (1 - _MOMENTUM**step) / size
        if step % _LOOK_EVERY == 0:
            best = max(best, cosine(np.tanh(held @ layers[0]) @ layers[1], lesson.clean))
    return best


def _with_one(rows: Floats) -> Floats:
    return np.hstack([rows, np.ones((len(rows), 1))])
