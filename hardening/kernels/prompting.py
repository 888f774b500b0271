# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernels that read prompts as tokens and as bytes; see `prompts.py` and `phrases.py`."""

from __future__ import annotations

import numpy as np

from hardening.kernels.jit import kernel, part
from hardening.kernels.prompts import (
    BLANK,
    BUCKET_BITS,
    EDGE_TOKENS,
    EMPTY,
    LINE,
    MASKED,
    MINIMUM_BITS,
    NAME,
    NUMBER,
    OTHER,
    PAIR,
    QUOTE,
    SHAPE,
    SIGN,
    TOKEN,
    WORD,
)
from hardening.kernels.tagging import bits, mix

PARTS = "5563dcc1c30ede00"
"""Digest of the files of the parts, which renews numba's cache with them."""


@part
def bucket(mixed):
    """The bucket of a hash."""
    return mixed >> (32 - BUCKET_BITS)


@kernel
def read_kinds(text, starts, kinds):
    """Fill `kinds` (uint8) with the kind of each token.

    Args:
        text: uint8, the tokens, one after the other.
        starts: int64, their borders, one more than there are tokens.
    """
    for place in range(kinds.size):
        marks, line, first = 0, False, np.int64(-1)
        for at in range(starts[place], starts[place + 1]):
            byte = np.int64(text[at])
            line |= byte == 10
            marks += byte == 34 or byte == 96
            if first < 0 and not (byte == 32 or byte == 9 or byte == 13 or byte == 10):
                first = byte
        if first < 0:
            kinds[place] = LINE if line else BLANK
        elif marks % 2:
            kinds[place] = QUOTE
        elif first >= 0x80:
            kinds[place] = OTHER
        elif 48 <= first <= 57:
            kinds[place] = NUMBER
        elif 65 <= first <= 90:
            kinds[place] = NAME
        else:
            kinds[place] = WORD if 97 <= first <= 122 else SIGN


@kernel
def read_prompt(ids, kinds, rates, key, seen, features, minima):
    """Fill `features` with the buckets of a prompt, ascending, and `minima`; how many buckets there are.

    Args:
        ids: int32, the tokens.
        kinds: uint8, the kind of each token of the encoding.
        rates: uint8, the surprisal of each bucket.
        key: int64, of 32 bits.
        seen: uint8, zeros, one for each bucket.
        features: int64, room for `prompts.MOST_FEATURES`.
        minima: int64, room for `prompts.MINIMA`.
    """
    minima[:] = EMPTY
    total = lines = names = signs = numbers = 0
    for at in range(ids.size):
        kind = kinds[ids[at]]
        total += kind != BLANK and kind != LINE
        lines += kind == LINE
        names += kind == NAME
        signs += kind == SIGN
        numbers += kind == NUMBER
    before = last = pair = start = np.int64(0)
    count = surprisal = np.int64(0)
    quoted = False
    place = 0
    late = max(EDGE_TOKENS, total - EDGE_TOKENS)
    for at in range(ids.size):
        token, kind = np.int64(ids[at]), kinds[ids[at]]
        if kind == BLANK or kind == LINE:
            continue
        if place == 0:
            start = token
        if place < EDGE_TOKENS or place >= late:
            if place == late:
                pair = np.int64(0)
            for found in (bucket(mix(TOKEN, token)), bucket(mix(mix(PAIR, pair), token))):
                count += seen[found] == 0
                surprisal += rates[found] * (seen[found] == 0)
                seen[found] = 1
        pair = token
        place += 1
        masked = quoted or kind == QUOTE or kind == NUMBER or kind == NAME
        quoted ^= kind == QUOTE
        shown = np.int64(MASKED) if masked else token
        if shown == MASKED and last == MASKED:
            continue
        mixed = mix(mix(mix(key, before), last), shown)
        before, last = last, shown
        slot, value = mixed >> MINIMUM_BITS, mixed & EMPTY
        minima[slot] = min(minima[slot], value)
    if total == 0:
        return 0
    tells = (
        bits(ids.size), bits(lines), 8 * names // total, 8 * signs // total, 8 * numbers // total,
        surprisal // (8 * count), start, pair,
    )  # fmt: skip
    for at in range(len(tells)):
        seen[bucket(mix(mix(SHAPE, at), np.int64(tells[at])))] = 1
    filled = 0
    eights = seen.view(np.uint64)  # hardly any of them holds a bucket that was seen
    for eight in range(eights.size):
        if eights[eight]:
            for at in range(8 * eight, 8 * eight + 8):
                if seen[at]:
                    features[filled] = at
                    filled += 1
    return filled


@kernel
def find_nearby(text, stride, letters, steps, endings, counts):
    """Fill `counts` with the phrases of each class in each stretch that has any; how many such stretches there are.

    Args:
        text: uint8, in UTF-8, its case folded.
        stride: characters from the start of one stretch to that of the next, which is half of its length.
        letters: uint8, the column of each byte; 0 where no phrase has it, and 1 for what parts words.
        steps: int16, the next state for each state and column.
        endings: uint64, the classes of the phrases that end in each state, as bits.
        counts: int64, zeros, a row for each stretch that there may be, a column for each class.
    """
    rows, start, going_on = 0, 0, True
    while going_on:
        state, characters, at, after = np.int64(steps[0, 1]), 0, start, start
        filled = going_on = False
        while at <= text.size:
            if at < text.size and text[at] & 0xC0 != 0x80:  # a character begins
                if characters == stride:
                    after = at
                going_on = characters == 2 * stride
                characters += 1
            letter = letters[text[at]] if at < text.size and not going_on else 1
            before, state = state, np.int64(steps[state, letter])
            ended = endings[state]
            if ended and state != before:
                filled = True
                for place in range(counts.shape[1]):
                    counts[rows, place] += np.int64((ended >> np.uint64(place)) & np.uint64(1))
            if going_on:
                break
            at += 1
        rows += filled
        start = after
    return rows
