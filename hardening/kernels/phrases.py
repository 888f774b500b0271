"""Phrases of several classes, found in passes over the bytes of a text: the plain twin of `prompting.find_nearby`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PARTING = frozenset(b" \t\r\n-_.,;:!?()[]{}<>/|*#\"'`")
"""Bytes that part words; any run of them is one."""
_COLUMNS = 256


class Phrases(NamedTuple):
    """An automaton after Aho and Corasick: `letters` are its columns, `steps` its table, `endings` classes as bits."""

    letters: NDArray[np.uint8]
    steps: NDArray[np.int16]
    endings: NDArray[np.uint64]
    classes: int


def compiled(classes: Sequence[Sequence[str]]) -> Phrases:
    """The automaton that finds the phrases of each class; words of spaced scripts are found whole, from their start.

    A phrase that ends in `*` ends anywhere in a word.
    """
    spelled = [(place, _spelled(phrase)) for place, group in enumerate(classes) for phrase in group]
    letters = np.zeros(_COLUMNS, np.uint8)
    letters[list(PARTING)] = 1
    for place, byte in enumerate(sorted({byte for _, text in spelled for byte in text} - PARTING)):
        letters[byte] = place + 2
    branches: list[dict[int, int]] = [{}]
    ends = [0]
    for place, text in spelled:
        state = 0
        for byte in text:
            state = branches[state].setdefault(int(letters[byte]), len(branches))
            if state == len(branches):
                branches.append({})
                ends.append(0)
        ends[state] |= 1 << place
    steps, endings = _table(branches, ends, int(letters.max()) + 1)
    return Phrases(letters, steps, endings, len(classes))


def _spelled(phrase: str) -> bytes:
    """A phrase as bytes: parted from what stands before it if its script parts words."""
    text = phrase.removesuffix("*").encode()
    spaced = ord(phrase[0]) < 0x2E80
    before, after = b" " if spaced else b"", b" " if spaced and not phrase.endswith("*") else b""
    return before + text + after


def _table(
    branches: Sequence[Mapping[int, int]], ends: list[int], columns: int
) -> tuple[NDArray[np.int16], NDArray[np.uint64]]:
    steps = np.zeros((len(branches), columns), np.int16)
    back = [0] * len(branches)
    for letter, state in branches[0].items():
        steps[0, letter] = state
    waiting = deque(branches[0].values())
    while waiting:
        state = waiting.popleft()
        ends[state] |= ends[back[state]]
        steps[state] = steps[back[state]]
        for letter, after in branches[state].items():
            back[after] = int(steps[back[state], letter])
            steps[state, letter] = after
            waiting.append(after)
    # A run of what parts words is one: it leads back to where it came from.
    for state in range(len(branches)):
        after = steps[state, 1]
        if after:
            steps[after, 1] = after
    return steps, np.array(ends, np.uint64)


def find_phrases(text: bytes, phrases: Phrases) -> list[int]:
    """How many phrases of each class stand in a text (UTF-8, its case folded)."""
    counts = [0] * phrases.classes
    state = int(phrases.steps[0, 1])
    for byte in (*text, 0x20):
        before, state = state, int(phrases.steps[state, phrases.letters[byte]])
        if state != before:
            ended = int(phrases.endings[state])
            for place in range(phrases.classes):
                counts[place] += ended >> place & 1
    return counts


def find_nearby(text: bytes, phrases: Phrases, stride: int) -> list[list[int]]:
    """How many phrases of each class stand close together: a row for each stretch of a text that has any.

    Stretches overlap: each begins so many characters behind the last one, and is twice as long.
    """
    begins = [at for at, byte in enumerate(text) if byte & 0xC0 != 0x80]
    borders = (0, *begins[1:], *[len(text)] * (2 * stride + 1))
    firsts = range(0, max(1, len(begins) - stride), stride)
    counts = [find_phrases(text[borders[at] : borders[at + 2 * stride]], phrases) for at in firsts]
    return [found for found in counts if any(found)]
