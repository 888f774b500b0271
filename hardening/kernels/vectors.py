# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernels that put embedding values on a grid: in raw JSON, and as packed binary32.

They round to the nearest multiple of the step, ties to the even one, so the order of values is kept and
stepping twice changes nothing. What they do not know for certain they refuse, and the twin decides.
"""

from __future__ import annotations

import numpy as np

from hardening.kernels.atoms import (
    CLOSE_LIST,
    COMMA,
    DOT,
    EIGHT,
    FIRST,
    LETTER_E,
    MINUS,
    NINE,
    OPEN_LIST,
    POWERS,
    ZERO,
    are_digits,
    eight,
    eight_digits,
    number,
    put,
    skip,
    stands,
    word,
)
from hardening.kernels.codes import (
    BFLOAT_LEAST,
    BFLOAT_MOST,
    EXACT_POWERS,
    LARGEST,
    MOST_STEPS,
    NO_ROOM,
    NOT_UNDERSTOOD,
    PAIRED,
    SMALLEST,
    TINY_SHARE,
    WHOLE,
)
from hardening.kernels.jit import kernel, part, pointer

PARTS = "46c223060289cf3b"
"""Digest of the files of the parts, which renews numba's cache with them."""
NULL = word(b"null")
LETTER_N = 110
NUMBER_BYTES = 32  # the largest value with all its decimals, its sign and a comma, and a word beyond
SPELLED = 1024
"""As many multiples of a step, from 0 on, are spelled once and for all, where eight bytes hold them."""


@part
def decimal(raw, i, n):
    """`atoms.number` for a number that begins with `0.` and has no exponent, eight digits at a time.

    The position is -1 for any other. Digits beyond the seventeenth or so are passed over.
    """
    negative = raw[i] == MINUS
    i += negative
    if i + 2 >= n or raw[i] != ZERO or raw[i + 1] != DOT:
        return 0.0, False, -1
    i += 2
    first = i
    mantissa = 0
    for _ in range(2):
        if i + EIGHT > n:
            break
        text = eight(raw, i)
        if not are_digits(text):
            break
        mantissa = mantissa * 100_000_000 + eight_digits(text)
        i += EIGHT
    last = i
    while i < n and ZERO <= raw[i] <= NINE:
        if mantissa < 10**17:
            mantissa = mantissa * 10 + (int(raw[i]) - ZERO)
            last = i + 1
        i += 1
    power = last - first
    if i == first or power > EXACT_POWERS or (i < n and raw[i] | 32 == LETTER_E):
        return 0.0, False, -1
    value = mantissa / POWERS[power]
    return -value if negative else value, mantissa <= 1 << 53 and last == i, i


@part
def put_fixed(amount, places, out, o):
    """Write `amount / 10**places` in fixed-point, shortest, with at least one decimal.

    From the right, so that all divisions are by a constant; after a whole part of one digit, for most are.
    """
    kept = 0
    out[o + 2] = ZERO
    for j in range(places, 0, -1):
        digit = amount % 10
        amount //= 10
        out[o + 1 + j] = ZERO + digit
        if digit > 0 and kept == 0:
            kept = j
    kept = max(kept, 1)
    more = 0
    rest = amount // 10
    while rest > 0:
        rest //= 10
        more += 1
    if more > 0:
        for j in range(kept, 0, -1):
            out[o + 1 + more + j] = out[o + 1 + j]
    for j in range(more, -1, -1):
        out[o + j] = ZERO + amount % 10
        amount //= 10
    out[o + more + 1] = DOT
    return o + more + 2 + kept


@part
def put_steps(count, unit, places, texts, sizes, out, o):
    """Write `count` steps; the position after them."""
    if count < 0:
        out[o] = MINUS
        o += 1
        count = -count
    if count < SPELLED and sizes[count] > 0:
        text = texts[count]
        for j in range(EIGHT):
            out[o + j] = text >> np.uint64(8 * j) & np.uint64(255)
        return o + sizes[count]
    return put_fixed(count * unit, places, out, o)


@part
def is_fraction(raw, i, end):
    """Whether the number in raw[i:end] is written with a point or an exponent."""
    while i < end:
        if raw[i] == DOT or raw[i] | 32 == LETTER_E:
            return True
        i += 1
    return False


@part
def steps_of(value, exact, step):
    """How many steps `value` is, and whether that is certain and not too many."""
    steps = value / step
    count = np.rint(steps)
    if abs(value) > LARGEST or abs(count) > MOST_STEPS:
        return 0.0, False
    tie = abs(abs(steps - count) - 0.5) <= 1e-12 * (1.0 + abs(steps))
    return count, exact or not tie


@kernel
def read_list(source, values, spots):
    """How many numbers the list in `source` (uint8) holds; they fill `values` (float64), null is 0.

    Or NOT_UNDERSTOOD. `spots` (int64) tells where each of them ends, times two, and one more where it is exact.
    """
    raw, n = pointer(source), source.size
    i = skip(raw, FIRST, n)
    if i >= n or raw[i] != OPEN_LIST:
        return NOT_UNDERSTOOD
    count = 0
    while i < n and raw[i] != CLOSE_LIST:
        i = skip(raw, i + 1, n)
        if i < n and raw[i] == CLOSE_LIST and count == 0:
            return 0
        if i >= n or count >= values.size:
            return NOT_UNDERSTOOD
        if raw[i] == LETTER_N:
            value, exact, end = 0.0, True, i + 4 if stands(raw, i, n, NULL) else -1
        else:
            value, exact, end = decimal(raw, i, n)
            if end < 0:
                value, exact, end = number(raw, i, n)
        if end < 0:
            return NOT_UNDERSTOOD
        values[count] = value
        spots[count] = 2 * end + exact
        count += 1
        i = skip(raw, end, n)
        if i < n and raw[i] != COMMA and raw[i] != CLOSE_LIST:
            return NOT_UNDERSTOOD
    return count


@kernel
def step_list(source, target, step, unit, places, texts, sizes, noise, values, spots):
    """How many bytes of `target` (uint8) hold the list in `source` (uint8), with its noise, on the grid.

    Or NOT_UNDERSTOOD, NO_ROOM, or WHOLE where it holds nothing but whole numbers, some beyond one. `step`
    is `unit / 10**places`. `texts` (uint64) and `sizes` (int64) spell the first SPELLED multiples of it.
    `noise` (float64) is added to the values; empty where there is none. With it `values` and `spots` are what
    `read_list` found.
    """
    raw, out, words, lengths = pointer(source), pointer(target), pointer(texts), pointer(sizes)
    n, room = source.size, target.size - NUMBER_BYTES
    i = skip(raw, FIRST, n)
    if room < 0 or i >= n or raw[i] != OPEN_LIST:
        return NOT_UNDERSTOOD
    i = skip(raw, i + 1, n)
    out[0] = OPEN_LIST
    o = 1
    at = 0
    fraction = beyond = False
    while not (o == 1 and i < n and raw[i] == CLOSE_LIST):
        if o > room:
            return NO_ROOM
        if i < n and raw[i] == LETTER_N:
            if not stands(raw, i, n, NULL):
                return NOT_UNDERSTOOD
            i += 4
            o = put(NULL, out, o)
        elif i < n:
            if noise.size:
                value, exact, end = values[at], spots[at] & 1 == 1, spots[at] >> 1
            else:
                value, exact, end = decimal(raw, i, n)
                if end < 0:
                    value, exact, end = number(raw, i, n)
            if end < 0:
                return NOT_UNDERSTOOD
            count, certain = steps_of(value + (noise[at] if noise.size else 0.0), exact, step)
            if not certain or abs(value) > LARGEST:
                return NOT_UNDERSTOOD
            fraction = fraction or is_fraction(raw, i, end)
            beyond = beyond or abs(value) > 1.0
            o = put_steps(int(count), unit, places, words, lengths, out, o)
            i = end
        at += 1
        i = skip(raw, i, n)
        if i < n and raw[i] == CLOSE_LIST:
            break
        if i >= n or raw[i] != COMMA:
            return NOT_UNDERSTOOD
        out[o] = COMMA
        o += 1
        i = skip(raw, i + 1, n)
    out[o] = CLOSE_LIST
    if skip(raw, i + 1, n) < n:
        return NOT_UNDERSTOOD
    return WHOLE if beyond and not fraction else o + 1


@kernel
def step_floats(values, words, step, unit, scale, noise, out):
    """Fill `out` (float32, D) with `values` (float32, D) on the grid; 0, or NOT_UNDERSTOOD if they are none.

    `noise` (float64, D or 0) is added to them. `words` (uint32, D) are their bits. NaN becomes the plain NaN, infinities stay. Too large a value, too many
    that are smaller than an embedding's, or pairs in the bits tell that the bytes are packed in another way.
    """
    some = tiny = bfloats = firsts = seconds = 0
    for j in range(values.size):
        value = float(values[j])
        word = words[j]
        exponent = word >> np.uint32(7) & np.uint32(255)  # of the lower half, read as bfloat16
        bfloats += BFLOAT_LEAST <= exponent <= BFLOAT_MOST
        if word << np.uint32(1) & np.uint32(0xFFFFFFFF) != np.uint32(0):
            seconds += j & 1
            firsts += 1 - (j & 1)
        if value != value:
            out[j] = np.nan
        elif abs(value) == np.inf:
            out[j] = values[j]
        else:
            count, certain = steps_of(value + (noise[j] if noise.size else 0.0), True, step)
            if not certain or abs(value) > LARGEST:
                return NOT_UNDERSTOOD
            some += value != 0.0
            tiny += 0.0 < abs(value) < SMALLEST
            out[j] = (count + 0.0) * unit / scale  # no negative zero: it would tell a sign
    if TINY_SHARE * tiny > some:
        return NOT_UNDERSTOOD
    if values.size >= PAIRED and (2 * bfloats > values.size or (seconds > 0 and firsts == 0)):
        return NOT_UNDERSTOOD
    return 0
