"""What a prompt is known by: numbered features of its tokens, a skeleton, a shape: the plain twin of `prompting.py`.

Features are buckets of hashes of tokens, of pairs of tokens and of the shape; what they mean is nowhere. The
skeleton is what is left when numbers, names and quotations are masked: prompts of one template share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardening.kernels.features import mix

BUCKET_BITS = 14
"""Features fall into two to the power of this many buckets."""
BUCKETS = 1 << BUCKET_BITS
EDGE_TOKENS = 64
"""Tokens at each end of a prompt that are features, blanks left out; what stands between counts for the shape."""
SHAPES = 8
MOST_FEATURES = 4 * EDGE_TOKENS + SHAPES
MINIMA = 16
"""Values of a skeleton's MinHash: one permutation, in so many bins."""
MINIMUM_BITS = 28
EMPTY = (1 << MINIMUM_BITS) - 1
"""The minimum of a bin that nothing fell into."""
RATE_NATS = 1 / 16
"""The unit of a table of surprisal, which is bytes."""
WORD, NUMBER, QUOTE, SIGN, BLANK, LINE, NAME, OTHER = range(8)
"""Kinds of tokens: words, numbers, quotation marks, signs, blanks, line ends, capitalised words, other scripts."""

Ids = NDArray[np.int32]
Kinds = NDArray[np.uint8]
Rates = NDArray[np.uint8]
Longs = NDArray[np.int64]

MASKED = 0xFFFFFFFF
TOKEN, PAIR, SHAPE = 1, 2, 3
"""What begins the hash of a feature."""


class Prompt(NamedTuple):
    """One prompt as numbers: its buckets, ascending, and the MinHash of its skeleton under a key."""

    features: Longs
    minima: Longs


def read_kinds(tokens: Sequence[bytes]) -> Kinds:
    """The kind of each token of an encoding."""
    return np.array([_kind(token) for token in tokens], np.uint8)


def _kind(token: bytes) -> int:
    bare = token.strip(b" \t\r\n")
    if not bare:
        return LINE if b"\n" in token else BLANK
    if (bare.count(b'"') + bare.count(b"`")) % 2:
        return QUOTE
    first = bare[0]
    if first >= 0x80:
        return OTHER
    if 48 <= first <= 57:
        return NUMBER
    if 65 <= first <= 90:
        return NAME
    return WORD if 97 <= first <= 122 else SIGN


def read_prompt(ids: Ids, kinds: Kinds, rates: Rates, key: int) -> Prompt:
    """The features of a prompt, and its skeleton's MinHash under a key of 32 bits.

    Args:
        ids: the tokens.
        kinds: the kind of each token of the encoding.
        rates: the surprisal of each bucket among honest prompts, in units of `RATE_NATS`.
    """
    told = [(token, kind) for token, kind in zip(ids.tolist(), kinds[ids].tolist(), strict=True)]
    shown = [(token, kind) for token, kind in told if kind not in (BLANK, LINE)]
    found = set()
    for edge in (shown[:EDGE_TOKENS], shown[max(EDGE_TOKENS, len(shown) - EDGE_TOKENS) :]):
        last = 0
        for token, _ in edge:
            found.add(_bucket(mix(TOKEN, token)))
            found.add(_bucket(mix(mix(PAIR, last), token)))
            last = token
    if shown:
        surprisal = int(rates[sorted(found)].astype(np.int64).sum()) // (8 * len(found))
        shares = [8 * sum(is_ == kind for _, is_ in shown) // len(shown) for kind in (NAME, SIGN, NUMBER)]
        lines = sum(kind == LINE for _, kind in told)
        tells = (len(ids).bit_length(), lines.bit_length(), *shares, surprisal, shown[0][0], shown[-1][0])
        found |= {_bucket(mix(mix(SHAPE, place), tell)) for place, tell in enumerate(tells)}
    return Prompt(np.array(sorted(found), np.int64), _minima(shown, key))


def _minima(shown: Sequence[tuple[int, int]], key: int) -> Longs:
    minima = np.full(MINIMA, EMPTY, np.int64)
    before = last = 0
    quoted = False
    for token, kind in shown:
        masked = quoted or kind in (QUOTE, NUMBER, NAME)
        quoted ^= kind == QUOTE
        seen = MASKED if masked else token
        if seen == last == MASKED:
            continue
        mixed = mix(mix(mix(key, before), last), seen)
        before, last = last, seen
        place, value = mixed >> MINIMUM_BITS, mixed & EMPTY
        minima[place] = min(minima[place], value)
    return minima


def _bucket(mixed: int) -> int:
    return mixed >> (32 - BUCKET_BITS)
