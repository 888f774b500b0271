# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernel that scores the sentences of a trace by the features of `features.py`."""

from __future__ import annotations

import numpy as np

from hardening.kernels.features import ASKS, BUCKET_BITS, END, EQUALS, MOST_WORDS, NUMBER, START
from hardening.kernels.jit import kernel, part, pointer

PARTS = "ced65c53380d5363"
"""Digest of the files of the parts, which renews numba's cache with them."""

_MASK = 0xFFFFFFFF


def _crc_table():
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0xEDB88320, table >> 1)
    return table


CRC = _crc_table()


@part
def mix(seed, value):
    """A hash of two hashes."""
    mixed = ((seed * 0x85EBCA6B) & _MASK) ^ value
    return ((mixed ^ (mixed >> 15)) * 0xC2B2AE35) & _MASK


@part
def add(table, mixed, sums, start, parts):
    """Add the weights of one feature to the scores from `start`."""
    first = (mixed >> (32 - BUCKET_BITS)) * parts
    for column in range(parts):
        sums[start + column] += table[first + column]


@part
def words_of(text, at, end, words):
    """Fill `words` with the hashes of the words in `text[at:end]`; how many they are."""
    count = 0
    while at < end and count < MOST_WORDS:
        byte = text[at]
        at += 1
        if byte == 32 or 9 <= byte <= 13:
            continue
        if 48 <= byte <= 57:
            while at < end and (48 <= text[at] <= 57 or text[at] == 46 or text[at] == 44):
                at += 1
            words[count] = NUMBER
            count += 1
            continue
        inside = True
        crc = np.int64(_MASK)
        while inside:
            lower = np.int64(byte) + 32 * (65 <= byte <= 90)
            crc = (crc >> 8) ^ CRC[(crc ^ lower) & 255]
            inside = (97 <= lower <= 122 or lower == 39 or lower >= 128) and at < end
            if inside:
                byte = text[at]
                inside = 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 39 or byte >= 128
                at += inside
        words[count] = crc ^ _MASK
        count += 1
    return count


@part
def bits(number):
    """How many binary digits a whole number has."""
    count = 0
    while number:
        number >>= 1
        count += 1
    return count


@kernel
def tag_sentences(text, starts, weights, state, words, scores):
    """Add to `scores` (int32, N by parts, filled with the bias) the weights of each sentence's features.

    Args:
        text: uint8, the sentences in UTF-8, one after the other.
        starts: int64, N + 1 borders of the sentences in `text`.
        weights: int8, buckets by parts.
        state: int64, see `features.feature_ids`; moved on.
        words: int64, room for `MOST_WORDS`.
    """
    table, sums, parts = pointer(weights), pointer(scores), scores.shape[1]
    for place in range(starts.size - 1):
        start = place * parts
        count = words_of(text, starts[place], starts[place + 1], words)
        before, last = np.int64(0), np.int64(0)
        numbers = equals = asks = 0
        for at in range(count + 2):
            word = np.int64(START) if at == 0 else np.int64(END) if at > count else words[at - 1]
            numbers += word == NUMBER
            equals += word == EQUALS
            asks += word == ASKS
            add(table, mix(1, word), sums, start, parts)
            add(table, mix(mix(2, last), word), sums, start, parts)
            add(table, mix(mix(mix(3, before), last), word), sums, start, parts)
            before, last = last, word
        lead = mix(4, 0)
        for at in range(min(count, 4)):
            lead = mix(lead, words[at])
            add(table, lead, sums, start, parts)
        add(table, mix(5, min(numbers, 3)), sums, start, parts)
        add(table, mix(6, min(equals, 3)), sums, start, parts)
        add(table, mix(7, min(asks, 3)), sums, start, parts)
        add(table, mix(8, bits(count)), sums, start, parts)
        add(table, mix(9, min(bits(state[3]), 6)), sums, start, parts)
        add(table, mix(10, state[0]), sums, start, parts)
        add(table, mix(mix(11, state[0]), state[1]), sums, start, parts)
        add(table, mix(12, state[2]), sums, start, parts)
        state[0] = words[0] if count else 0
        state[1] = words[1] if count > 1 else 0
        state[2] = asks > 0
        state[3] += 1
