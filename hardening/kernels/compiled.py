"""The compiled kernels behind plain Python signatures; importing this module imports numba."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardening.kernels import plain
from hardening.kernels.atoms import EIGHT
from hardening.kernels.codes import MAX_ALTERNATIVES, NO_ROOM, WHOLE
from hardening.kernels.copies import FILTER_BYTES, STATE, Bits
from hardening.kernels.copies import State as RunState
from hardening.kernels.copying import take_words as _take_words
from hardening.kernels.draws import CHAIN_WORDS, KEY_WORDS, Draws
from hardening.kernels.features import BUCKET_BITS, MOST_WORDS, Bias, State, Weights, new_state
from hardening.kernels.grid import Grid
from hardening.kernels.keyed import SCRATCH_WORDS
from hardening.kernels.logprobs import SPARE
from hardening.kernels.logprobs import cut_rows as _cut_rows
from hardening.kernels.phrases import Phrases
from hardening.kernels.phrases import compiled as compiled_phrases
from hardening.kernels.prompting import find_nearby as _find_nearby
from hardening.kernels.prompting import read_kinds as _read_kinds
from hardening.kernels.prompting import read_prompt as _read_prompt
from hardening.kernels.prompts import BUCKETS, MINIMA, MOST_FEATURES, Ids, Kinds, Prompt, Rates
from hardening.kernels.ranking import centrality as _centrality
from hardening.kernels.rows import WIDTH
from hardening.kernels.sketches import COARSE, Counts
from hardening.kernels.sketches import Weights as PromptWeights
from hardening.kernels.sketching import note_prompt as _note_prompt
from hardening.kernels.sketching import weigh as _weigh
from hardening.kernels.steps import Noise, spell, whole
from hardening.kernels.tagging import tag_sentences as _tag_sentences
from hardening.kernels.turning import turn as _turn
from hardening.kernels.turns import Turn, block
from hardening.kernels.vectors import NUMBER_BYTES, SPELLED
from hardening.kernels.vectors import read_list as _read_list
from hardening.kernels.vectors import step_floats as _step_floats
from hardening.kernels.vectors import step_list as _step_list

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
ROOM_BYTES = 1 << 16
ENTRIES = MAX_ALTERNATIVES + 1
_NO_SHARES = np.empty(0, np.float64)
_NO_NOISE = np.empty(0, np.float64)
_NO_SPOTS = np.empty(0, np.int64)


class Arrays(NamedTuple):
    """Buffers of one call of `cut_rows`; `view` is that of `room`, `unkeyed` stands where there is no noise."""

    view: memoryview
    room: Bytes
    notes: Longs
    numbers: Floats
    moved: Words
    unkeyed: Words

    @classmethod
    def of(cls, size: int) -> Arrays:
        """Buffers with a room of `size` bytes."""
        room = np.empty(size, np.uint8)
        return cls(
            room.data,
            room,
            np.empty(ENTRIES * WIDTH, np.int64),
            np.empty(ENTRIES, np.float64),
            np.empty(SCRATCH_WORDS, np.uint64),
            np.empty(KEY_WORDS + CHAIN_WORDS, np.uint64),
        )


class Scratch(threading.local):
    """Buffers of one thread; what is in them matters only during one call."""

    def __init__(self) -> None:
        self.arrays = Arrays.of(ROOM_BYTES)


_scratch = Scratch()


def cut_rows(
    raw: bytes,
    visible: bytes | None,
    top: int | None,
    grid: Grid,
    draws: Draws | None = None,
    lone: bool = True,
) -> bytes:
    """What `plain.cut_rows` gives, by one kernel call where the rows are in common form."""
    size = len(raw)
    end = size if visible is None else size + len(visible)
    arrays = _scratch.arrays
    if end + 2 * size + SPARE > ROOM_BYTES:
        arrays = Arrays.of(end + 2 * size + SPARE)
    view, room, notes, numbers, moved, words = arrays
    shares = _NO_SHARES
    if draws is not None:
        shares, words = draws.shares, draws.words
    view[:end] = raw + visible if visible else raw
    length = -1 if visible is None else end - size
    kept = -1 if top is None else top
    stepped = (grid.step, grid.unit, grid.places)
    last = _cut_rows(room, size, length, kept, lone, *stepped, notes, numbers, shares, words, moved)
    if last < 0:
        return plain.cut_rows(raw, visible, top, grid, draws, lone)
    return view[end:last].tobytes()


def centrality(sentences: Sequence[Sequence[int]]) -> list[int]:
    """What `plain.centrality` gives."""
    scores = np.empty(len(sentences), np.int64)
    words = np.fromiter(itertools.chain.from_iterable(sentences), np.int64)
    starts = np.zeros(len(sentences) + 1, np.int64)
    np.cumsum([len(sentence) for sentence in sentences], out=starts[1:])
    _centrality(words, starts, scores)
    found: list[int] = scores.tolist()
    return found


def tag_sentences(sentences: Sequence[bytes], weights: Weights, bias: Bias, state: State) -> list[list[int]]:
    """What `plain.tag_sentences` gives, by one kernel call."""
    starts = np.zeros(len(sentences) + 1, np.int64)
    np.cumsum([len(sentence) for sentence in sentences], out=starts[1:])
    scores = np.empty((len(sentences), bias.size), np.int32)
    scores[:] = bias
    text = np.frombuffer(b"".join(sentences), np.uint8)
    _tag_sentences(text, starts, weights, state, np.empty(MOST_WORDS, np.int64), scores)
    found: list[list[int]] = scores.tolist()
    return found


def take_words(text: bytes, state: RunState, bits: Bits, *, learn: bool) -> None:
    """What `plain.take_words` does, by one kernel call."""
    _take_words(np.frombuffer(text, np.uint8), state, bits, learn)


def read_kinds(tokens: Sequence[bytes]) -> Kinds:
    """What `plain.read_kinds` gives, by one kernel call."""
    starts = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum([len(token) for token in tokens], out=starts[1:])
    kinds = np.empty(len(tokens), np.uint8)
    _read_kinds(np.frombuffer(b"".join(tokens), np.uint8), starts, kinds)
    return kinds


def read_prompt(ids: Ids, kinds: Kinds, rates: Rates, key: int) -> Prompt:
    """What `plain.read_prompt` gives, by one kernel call."""
    features, minima = np.empty(MOST_FEATURES, np.int64), np.empty(MINIMA, np.int64)
    count = _read_prompt(ids, kinds, rates, key, np.zeros(BUCKETS, np.uint8), features, minima)
    return Prompt(features[:count], minima)


def find_nearby(text: bytes, phrases: Phrases, stride: int) -> list[list[int]]:
    """What `plain.find_nearby` gives, by one kernel call."""
    letters, steps, endings, classes = phrases
    counts = np.zeros((len(text) // stride + 1, classes), np.int64)
    rows = _find_nearby(np.frombuffer(text, np.uint8), stride, letters, steps, endings, counts)
    found: list[list[int]] = counts[:rows].tolist() if rows else []
    return found


def weigh(
    features: Longs, counts: Counts, requests: int, usual: PromptWeights, weights: PromptWeights
) -> tuple[list[float], float]:
    """What `plain.weigh` gives, by one kernel call."""
    sums = np.zeros(len(weights))
    fresh = float(_weigh(features, counts, requests, usual, weights, sums))
    found: list[float] = sums.tolist()
    return found, fresh


def note_prompt(features: Longs, minima: Longs, counts: Counts, templates: Longs) -> bool:
    """What `plain.note_prompt` does, by one kernel call."""
    return bool(_note_prompt(features, minima, counts, templates))


@lru_cache(maxsize=64)
def _spelled(grid: Grid) -> tuple[NDArray[np.uint64], Longs]:
    """The first multiples of a step as text, eight bytes each, and how many of them count; 0 if too few."""
    texts = [spell(count * grid.unit, grid.places).encode() for count in range(SPELLED)]
    sizes = [len(text) if len(text) <= EIGHT else 0 for text in texts]
    words = [int.from_bytes(text[:EIGHT], "little") for text in texts]
    return np.array(words, np.uint64), np.array(sizes, np.int64)


def step_list(raw: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """What `plain.step_list` gives, by one kernel call where the list is in common form, by two with noise."""
    source = np.frombuffer(raw, np.uint8)
    added: Floats | None = _NO_NOISE
    values, spots = _NO_NOISE, _NO_SPOTS
    if noise is not None:
        most = len(raw) // 2  # numbers, of a digit and a comma each; what is not written to costs no memory
        values, spots = np.empty(most, np.float64), np.empty(most, np.int64)
        count = _read_list(source, values, spots)
        added = noise(values[:count]) if count >= 0 else None
        if added is None:
            return plain.step_list(raw, grid, noise)
    for room in (len(raw) + 2 * NUMBER_BYTES, (len(raw) + 2) * NUMBER_BYTES):
        target = np.empty(room, np.uint8)
        spelled = _spelled(grid)
        last = _step_list(source, target, grid.step, grid.unit, grid.places, *spelled, added, values, spots)
        if last != NO_ROOM:
            break
    if last == WHOLE:
        return whole(raw, grid) if noise is None else b"[]"
    return target.data[:last].tobytes() if last >= 0 else plain.step_list(raw, grid, noise)


def step_floats(packed: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """What `plain.step_floats` gives, by one kernel call."""
    if len(packed) % 4:
        return None
    values = np.frombuffer(packed, "<f4")
    stepped = np.empty(values.size, np.float32)
    words = np.frombuffer(packed, "<u4")
    added = _NO_NOISE if noise is None else noise(values.astype(np.float64))
    if added is None:
        return plain.step_floats(packed, grid, noise)
    done = _step_floats(values, words, grid.step, grid.unit, 10**grid.places, added, stepped)
    return stepped.tobytes() if done == 0 else None


def turn(values: Floats, by: Turn) -> Floats:
    """What `plain.turn` gives, by one kernel call."""
    turned = np.empty(values.size, np.float64)
    _turn(values, by.signs, by.places, block(values.size), np.empty_like(turned), turned)
    return turned


def warm() -> int:
    """Run each kernel once with the types of production; how many they are."""
    grid = Grid.of(0.25)
    cut_rows(b'[{"token":"a","logprob":-0.1}]', visible=b"a", top=1, grid=grid)
    centrality([[1, 2], [2]])
    step_list(b"[0.5]", grid, np.zeros_like)
    step_floats(bytes(4), grid)
    weights = np.zeros((1 << BUCKET_BITS, 1), np.int8)
    tag_sentences([b"a 1"], weights, np.zeros(1, np.int32), new_state())
    take_words(b"a", np.zeros(STATE, np.int64), np.zeros(FILTER_BYTES, np.uint8), learn=True)
    turn(np.ones(3), Turn.of(b"", 3))
    kinds = read_kinds([b"a"])
    prompt = read_prompt(np.zeros(1, np.int32), kinds, np.zeros(BUCKETS, np.uint8), 1)
    counts = np.zeros(BUCKETS >> COARSE, np.uint8)
    weigh(prompt.features, counts, 1, np.zeros(counts.size, np.float32), np.zeros((1, BUCKETS), np.float32))
    note_prompt(*prompt, counts, np.zeros((1, MINIMA), np.int64))
    find_nearby(b"a", compiled_phrases([["a"]]), 1)
    return 13
