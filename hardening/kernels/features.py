"""What a sentence is known by: numbered features of its words, the plain twin of `tagging.py`.

Runs of words, where they stand, counts of signs, the start of the sentence before, and the place in the
trace. Each feature is a bucket of a hash; what a word means is nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKET_BITS = 14
"""Features of sentences fall into two to the power of this many buckets."""
MOST_WORDS = 160
"""Words of a sentence that are looked at."""
TRACE_STATE = 4
"""Numbers that tell the features of a sentence what stood before it."""
START, END, NUMBER, EQUALS, ASKS = 1, 2, crc32(b"#"), crc32(b"="), crc32(b"?")
"""What stands for the borders of a sentence, for every number, and two signs that are counted."""

Weights = NDArray[np.int8]
Bias = NDArray[np.int32]
State = NDArray[np.int64]

_WORD = re.compile(rb"[a-z'\x80-\xff]+|[0-9][0-9.,]*|[^ \t\n\r\f\v]")
_MASK = 0xFFFFFFFF


def feature_ids(sentences: Sequence[bytes], state: State) -> list[list[int]]:
    """The buckets of each sentence's features, repeats included.

    `state` (int64, 4) is the trace so far: the first two words of the last sentence, whether it asked,
    and how many sentences there were; zeros at its start.
    """
    return [_ids(_words(sentence), state) for sentence in sentences]


def tag_sentences(sentences: Sequence[bytes], weights: Weights, bias: Bias, state: State) -> list[list[int]]:
    """The score of each part for each sentence; `weights` are buckets by parts. Moves `state` on."""
    return [
        (bias + weights[ids].sum(axis=0, dtype=np.int32)).tolist() for ids in feature_ids(sentences, state)
    ]


def new_state() -> State:
    """The state at the start of a trace."""
    return np.zeros(TRACE_STATE, np.int64)


def _words(sentence: bytes) -> list[int]:
    found = _WORD.findall(sentence.lower())[:MOST_WORDS]
    return [NUMBER if 48 <= word[0] <= 57 else crc32(word) for word in found]


def _ids(words: list[int], state: State) -> list[int]:
    ids = []
    told = [START, *words, END]
    last = before = 0
    for word in told:
        ids.append(_bucket(mix(1, word)))
        ids.append(_bucket(mix(mix(2, last), word)))
        ids.append(_bucket(mix(mix(mix(3, before), last), word)))
        before, last = last, word
    lead = mix(4, 0)
    for word in words[:4]:
        lead = mix(lead, word)
        ids.append(_bucket(lead))
    asks = words.count(ASKS)
    signs = (words.count(NUMBER), words.count(EQUALS), asks)
    ids += [_bucket(mix(5 + kind, min(count, 3))) for kind, count in enumerate(signs)]
    ids.append(_bucket(mix(8, len(words).bit_length())))
    ids.append(_bucket(mix(9, min(int(state[3]).bit_length(), 6))))
    ids.append(_bucket(mix(10, int(state[0]))))
    ids.append(_bucket(mix(mix(11, int(state[0])), int(state[1]))))
    ids.append(_bucket(mix(12, int(state[2]))))
    state[0] = words[0] if words else 0
    state[1] = words[1] if len(words) > 1 else 0
    state[2] = asks > 0
    state[3] += 1
    return ids


def mix(seed: int, value: int) -> int:
    """A hash of two hashes; its upper bits are the good ones."""
    mixed = ((seed * 0x85EBCA6B) & _MASK) ^ value
    return ((mixed ^ (mixed >> 15)) * 0xC2B2AE35) & _MASK


def _bucket(mixed: int) -> int:
    return mixed >> (32 - BUCKET_BITS)
