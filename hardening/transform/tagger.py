"""Tells the parts of a trace's sentences by weights that were fitted to annotated traces."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hardening import kernels
from hardening.kernels.features import new_state

Part = Literal["self_talk", "derivation", "check", "knowledge", "plan", "final"]

PARTS: tuple[Part, ...] = ("self_talk", "derivation", "check", "knowledge", "plan")
"""The columns of the weights. `final` stands in no set of labels; `clauses.py` tells it by its words."""
UNSURE_NATS = 0.85
"""Self-talk is told from three chances in ten on."""
SURE_NATS = 0.7
"""A plan, or knowledge, is sure where it leads every other part by this."""
FILE = "tagger.npz"
"""The weights that are shipped; `tagger.md` beside it says what they are made of."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Weights (int8, buckets by parts), bias (int32, parts), and how many of their units make a nat."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: float


class Tagger:
    """The parts of the sentences of one trace, in order; holds four numbers."""

    __slots__ = ("_model", "_state", "_sure")

    def __init__(self, model: Model) -> None:
        self._model = model
        self._sure = SURE_NATS * model.scale
        self._state = new_state()

    def parts(self, sentences: list[str]) -> list[tuple[Part, bool]]:
        """The part of each of the next sentences of the trace, and whether it is sure."""
        texts = [words_of(sentence) for sentence in sentences]
        rows = kernels.tag_sentences(texts, self._model.weights, self._model.bias, self._state)
        return [self._part(scores) for scores in rows]

    def _part(self, scores: list[int]) -> tuple[Part, bool]:
        talk, derivation, check, knowledge, plan = scores  # as PARTS has them
        hidden, told = max(talk, derivation, check), max(knowledge, plan)
        part = PARTS[scores.index(max(hidden, told))]
        return part, abs(told - hidden) >= self._sure


@cache
def shipped() -> Model:
    """The model of this package."""
    packed = files("hardening.transform").joinpath(FILE).read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        return Model(arrays["weights"], arrays["bias"], float(arrays["scale"]))


def words_of(sentence: str) -> bytes:
    """A sentence as the kernels read it."""
    return sentence.replace("\u2019", "'").encode("utf-8", "replace")
