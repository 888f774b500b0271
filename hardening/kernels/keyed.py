# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Kernels that draw keyed noise: BLAKE2b (RFC 7693) of key, chain and token, as `draws.py` has it from hashlib.

All is unsigned: with a signed number beside it a word would become a float.
"""

from __future__ import annotations

import numpy as np

from hardening.kernels.atoms import character, put_character
from hardening.kernels.draws import (
    CELL_PLACES,
    CELL_SHARE,
    CHAIN_WORDS,
    DIGEST_WORDS,
    KEY_WORDS,
    QUANTILES,
)
from hardening.kernels.jit import part

BLOCK = 128
PREFIX = 8 * (KEY_WORDS + CHAIN_WORDS)
"""Bytes of key and chain before a token."""
MESSAGE_WORDS = BLOCK // 8
NEXT = DIGEST_WORDS + CHAIN_WORDS
MESSAGE = NEXT + CHAIN_WORDS
SCRATCH_WORDS = MESSAGE + MESSAGE_WORDS
"""Of a call: a digest, the chain as far as it has come, the next one, and the block that is hashed."""

IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
PARAMETERS = np.uint64(0x01010040)
"""A digest of 64 bytes, no key of BLAKE2's own, no tree."""
ORDER = (
    MESSAGE
    + np.array(
        [
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
            [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
            [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
            [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
            [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
            [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
            [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
            [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
            [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        ],
        np.int64,
    ).ravel()
)
"""Where the rounds find the words of the message."""
ROUNDS = 12
R32, R24, R16, R63, R40, R48, R1 = map(np.uint64, (32, 24, 16, 63, 40, 48, 1))
EIGHT, LOW = np.uint64(8), np.uint64(0xFFFFFFFF)


@part
def mixed(a, b, c, d, x, y):
    """The mixing function G."""
    a = a + b + x
    d = (d ^ a) >> R32 | (d ^ a) << R32
    c = c + d
    b = (b ^ c) >> R24 | (b ^ c) << R40
    a = a + b + y
    d = (d ^ a) >> R16 | (d ^ a) << R48
    c = c + d
    b = (b ^ c) >> R63 | (b ^ c) << R1
    return a, b, c, d


@part
def compress(raw, at, length, final, h):
    """Take the block at `at` into the digest that `h` begins with, `length` bytes with it.

    `final` says that it is the last. The words of the message are kept at the end of `h`.
    """
    for i in range(MESSAGE_WORDS):
        value = np.uint64(0)
        for j in range(8):
            value |= np.uint64(raw[at + 8 * i + j]) << np.uint64(8 * j)
        h[MESSAGE + i] = value
    a0, a1, a2, a3, b0, b1, b2, b3 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    c0, c1, c2, c3 = IV[0], IV[1], IV[2], IV[3]
    d0, d1, d2, d3 = IV[4] ^ np.uint64(length), IV[5], ~IV[6] if final else IV[6], IV[7]
    for turn in range(ROUNDS):
        m = turn % 10 * MESSAGE_WORDS
        a0, b0, c0, d0 = mixed(a0, b0, c0, d0, h[ORDER[m]], h[ORDER[m + 1]])
        a1, b1, c1, d1 = mixed(a1, b1, c1, d1, h[ORDER[m + 2]], h[ORDER[m + 3]])
        a2, b2, c2, d2 = mixed(a2, b2, c2, d2, h[ORDER[m + 4]], h[ORDER[m + 5]])
        a3, b3, c3, d3 = mixed(a3, b3, c3, d3, h[ORDER[m + 6]], h[ORDER[m + 7]])
        a0, b1, c2, d3 = mixed(a0, b1, c2, d3, h[ORDER[m + 8]], h[ORDER[m + 9]])
        a1, b2, c3, d0 = mixed(a1, b2, c3, d0, h[ORDER[m + 10]], h[ORDER[m + 11]])
        a2, b3, c0, d1 = mixed(a2, b3, c0, d1, h[ORDER[m + 12]], h[ORDER[m + 13]])
        a3, b0, c1, d2 = mixed(a3, b0, c1, d2, h[ORDER[m + 14]], h[ORDER[m + 15]])
    h[0], h[1], h[2], h[3] = h[0] ^ a0 ^ c0, h[1] ^ a1 ^ c1, h[2] ^ a2 ^ c2, h[3] ^ a3 ^ c3
    h[4], h[5], h[6], h[7] = h[4] ^ b0 ^ d0, h[5] ^ b1 ^ d1, h[6] ^ b2 ^ d2, h[7] ^ b3 ^ d3


@part
def digest(raw, i, end, words, scratch, o):
    """Fill the first words of `scratch` with the digest of the token whose JSON string content is raw[i:end].

    It is that of the key in `words`, the chain in `scratch`, and the token in UTF-8, however it is
    spelled. Uses `raw` from `o` on, BLOCK bytes beyond the token's.
    """
    for j in range(KEY_WORDS + CHAIN_WORDS):
        word = words[j] if j < KEY_WORDS else scratch[DIGEST_WORDS + j - KEY_WORDS]
        for k in range(8):
            raw[o + 8 * j + k] = np.uint8(word >> np.uint64(8 * k) & np.uint64(255))
    last = o + PREFIX
    while i < end:
        value, i = character(raw, i, end)
        last = put_character(value, raw, last)
    size = last - o
    for j in range(DIGEST_WORDS):
        scratch[j] = IV[j]
    scratch[0] ^= PARAMETERS
    done = 0
    while size - done > BLOCK:
        compress(raw, o + done, done + BLOCK, False, scratch)
        done += BLOCK
    for j in range(last, o + done + BLOCK):
        raw[j] = 0
    compress(raw, o + done, size, True, scratch)


@part
def nats(scratch, shares, levels):
    """The noise of the token whose digest is in `scratch`: the sum over `levels` of their draws."""
    total = 0.0
    for j in range(levels):
        drawn = np.int64(scratch[j >> 1] >> np.uint64(32 * (j & 1)) & LOW)
        cell = drawn >> CELL_PLACES
        low = QUANTILES[cell]
        inside = (drawn & ((1 << CELL_PLACES) - 1)) * CELL_SHARE
        total += shares[j] * (low + (QUANTILES[cell + 1] - low) * inside)
    return total


@part
def follow(scratch):
    """Go on behind the token whose chain was left as the next one."""
    for j in range(CHAIN_WORDS):
        scratch[DIGEST_WORDS + j] = scratch[NEXT + j]
