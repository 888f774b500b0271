"""The byte and array work of the hot path, compiled where that has been done, plain until then.

Importing this package imports no numba and compiles nothing. `warm` does both, once, outside of any
request; until it has ended the plain twins answer, with the same results.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hardening.clock import Clock, SystemClock
from hardening.kernels import plain
from hardening.kernels.copies import Bits
from hardening.kernels.copies import State as RunState
from hardening.kernels.draws import Draws
from hardening.kernels.features import Bias, State, Weights
from hardening.kernels.grid import Grid
from hardening.kernels.normals import normals
from hardening.kernels.phrases import Phrases
from hardening.kernels.prompts import Ids, Kinds, Longs, Prompt, Rates
from hardening.kernels.sketches import Counts
from hardening.kernels.sketches import Weights as PromptWeights
from hardening.kernels.steps import Noise, step_bytes, step_doubles
from hardening.kernels.turns import Floats, Turn

__all__ = [
    "Draws",
    "Grid",
    "Noise",
    "Turn",
    "WarmReport",
    "centrality",
    "cut_rows",
    "find_nearby",
    "normals",
    "note_prompt",
    "read_kinds",
    "read_prompt",
    "ready",
    "step_bytes",
    "step_doubles",
    "step_floats",
    "step_list",
    "tag_sentences",
    "take_words",
    "turn",
    "warm",
    "weigh",
]


class Twins(Protocol):
    """What `plain` and `compiled` both offer."""

    def cut_rows(
        self,
        raw: bytes,
        visible: bytes | None,
        top: int | None,
        grid: Grid,
        draws: Draws | None = None,
        lone: bool = True,
    ) -> bytes:
        """The rows of a JSON array with at most `top` values a row, on the grid."""
        ...

    def centrality(self, sentences: Sequence[Sequence[int]]) -> list[int]:
        """Each sentence's summed likeness to the others."""
        ...

    def tag_sentences(
        self, sentences: Sequence[bytes], weights: Weights, bias: Bias, state: State
    ) -> list[list[int]]:
        """The score of each part for each sentence."""
        ...

    def take_words(self, text: bytes, state: RunState, bits: Bits, *, learn: bool) -> None:
        """Read on in a text, and learn or count its runs of words."""
        ...

    def read_kinds(self, tokens: Sequence[bytes]) -> Kinds:
        """The kind of each token."""
        ...

    def read_prompt(self, ids: Ids, kinds: Kinds, rates: Rates, key: int) -> Prompt:
        """What a prompt is known by."""
        ...

    def find_nearby(self, text: bytes, phrases: Phrases, stride: int) -> list[list[int]]:
        """How many phrases of each class stand close together."""
        ...

    def weigh(
        self, features: Longs, counts: Counts, requests: int, usual: PromptWeights, weights: PromptWeights
    ) -> tuple[list[float], float]:
        """The weights of features, each as far as it is new, summed by row; and how much is new."""
        ...

    def note_prompt(self, features: Longs, minima: Longs, counts: Counts, templates: Longs) -> bool:
        """Count a prompt; whether its template was known."""
        ...

    def step_list(self, raw: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
        """A JSON list of numbers on the grid."""
        ...

    def step_floats(self, packed: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
        """Packed binary32 values on the grid."""
        ...

    def turn(self, values: Floats, by: Turn) -> Floats:
        """A vector, rotated."""
        ...


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What warming did: the seconds it took, and how many kernels answer now."""

    seconds: float
    kernels: int


_lock = threading.Lock()
_twins: Twins = plain
_kernels = 0


def ready() -> bool:
    """Whether the compiled kernels answer."""
    return _kernels > 0


def warm(clock: Clock | None = None) -> WarmReport:
    """Compile the kernels or load them from numba's cache, and use them from here on; later calls do nothing."""
    global _twins, _kernels
    clock = clock or SystemClock()
    start = clock.monotonic()
    with _lock:
        if not _kernels:
            compiled = importlib.import_module("hardening.kernels.compiled")
            count = compiled.warm()
            _twins, _kernels = compiled, count
    return WarmReport(clock.monotonic() - start, _kernels)


def cut_rows(
    raw: bytes,
    visible: bytes | None,
    top: int | None,
    grid: Grid,
    draws: Draws | None = None,
    lone: bool = True,
) -> bytes:
    """The rows of a JSON array with at most `top` values a row, on the grid; `[]` if it is no such array.

    With `visible` (UTF-8) only rows that spell it stay: all of them, or else the shortest run up to
    the last one (before tokens that end an answer), or else none. `draws` is noise on the values, for which
    there must be a grid; it goes on behind the rows that stay. Where fewer than `top` are listed, a drawn token
    that is none of them has a value only if it may have a `lone` one.
    """
    return _twins.cut_rows(raw, visible, top, grid, draws, lone)


def centrality(sentences: Sequence[Sequence[int]]) -> list[int]:
    """Each sentence's summed likeness to the others: shared words squared over the product of the sizes.

    A sentence is the ids of its words, ascending and without repeats.
    """
    return _twins.centrality(sentences)


def tag_sentences(sentences: Sequence[bytes], weights: Weights, bias: Bias, state: State) -> list[list[int]]:
    """The score of each part for each sentence (UTF-8) of a trace, in units of the weights.

    Args:
        sentences: the next sentences of the trace.
        weights: int8, buckets by parts.
        bias: int32, parts.
        state: int64, from `features.new_state`; moved on to the next sentence.
    """
    return _twins.tag_sentences(sentences, weights, bias, state)


def take_words(text: bytes, state: RunState, bits: Bits, *, learn: bool) -> None:
    """Read on in a text (UTF-8): put its runs of words into a filter, or count those that the filter knows.

    Args:
        text: the next piece; words may go on over the border of two pieces.
        state: int64, `copies.STATE`, zeros at the start of a text; `state[copies.FOUND]` counts.
        bits: uint8, `copies.FILTER_BYTES`, zeros at the start.
        learn: whether runs are put in, and those counted that are new; else known runs are counted.
    """
    _twins.take_words(text, state, bits, learn=learn)


def read_kinds(tokens: Sequence[bytes]) -> Kinds:
    """The kind of each token of an encoding, in the order of their ids; see `prompts`."""
    return _twins.read_kinds(tokens)


def read_prompt(ids: Ids, kinds: Kinds, rates: Rates, key: int) -> Prompt:
    """The features of a prompt, and its skeleton's MinHash under a key of 32 bits.

    Args:
        ids: the tokens.
        kinds: the kind of each token of the encoding.
        rates: the surprisal of each bucket among honest prompts.
        key: what the MinHash is made under.
    """
    return _twins.read_prompt(ids, kinds, rates, key)


def find_nearby(text: bytes, phrases: Phrases, stride: int) -> list[list[int]]:
    """How many phrases of each class stand close together in a text (UTF-8, its case folded).

    There is a row for each stretch that has any. Stretches overlap: each begins `stride` characters behind the
    last one, and is twice as long.
    """
    return _twins.find_nearby(text, phrases, stride)


def weigh(
    features: Longs, counts: Counts, requests: int, usual: PromptWeights, weights: PromptWeights
) -> tuple[list[float], float]:
    """The weights of a prompt's features, each as far as it is new, summed by row; and how much of it is new, in features.

    Args:
        features: buckets.
        counts: of each coarse bucket, the prompts that had it.
        requests: the prompts that were counted.
        usual: of each coarse bucket, the share of prompts that have it.
        weights: a row for each campaign, a column for each bucket.
    """
    return _twins.weigh(features, counts, requests, usual, weights)


def note_prompt(features: Longs, minima: Longs, counts: Counts, templates: Longs) -> bool:
    """Count a prompt (its features ascending) and put its skeleton first; whether its template was known."""
    return _twins.note_prompt(features, minima, counts, templates)


def step_list(raw: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """The JSON list of numbers, with their noise, on the grid; None where `raw` is none, or one that no embedding is.

    Whole numbers, some beyond one, are values packed as bytes: they stay as they are where their own grid
    is the coarser one, else the list is empty, as it is under noise, or where `noise` has none. null, NaN and
    infinities tell nothing, and stay.
    """
    return _twins.step_list(raw, grid, noise)


def step_floats(packed: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """Little-endian binary32 values, with their noise, on the grid; None where the bytes are none, or none that an embedding is.

    NaN becomes the plain NaN, infinities stay. Nothing is left where `noise` has none for the values.
    """
    return _twins.step_floats(packed, grid, noise)


def turn(values: Floats, by: Turn) -> Floats:
    """The values (float64, D, at least one, finite), rotated: a new array; lengths and angles stay."""
    return _twins.turn(values, by)
