# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The kernel that cuts and steps rows of log-probabilities inside their raw JSON bytes.

`cut_rows` is the entry; everything else here serves it. It writes what orjson would write for the
same value, so that its plain twin gives equal bytes. What it does not know for certain (an unknown
key, a number that floating point cannot decide) it refuses with a code, and the caller asks the twin.

`out` is large enough because no string grows, and each number written (24 bytes at most) stands for
an object of at least 24 bytes.
"""

from __future__ import annotations

import numpy as np

from hardening.kernels.atoms import (
    CLOSE,
    CLOSE_LIST,
    COMMA,
    DOT,
    FIRST,
    MINUS,
    OPEN,
    OPEN_LIST,
    QUOTE,
    ZERO,
    character,
    digits,
    put,
    put_character,
    put_string,
    skip,
    word,
)
from hardening.kernels.codes import LOW_LEVEL, MISALIGNED, NO_ROOM, NOT_UNDERSTOOD
from hardening.kernels.draws import CHAIN_WORDS, DIGEST_WORDS, KEY_WORDS
from hardening.kernels.jit import kernel, part, pointer
from hardening.kernels.keyed import BLOCK, PREFIX, follow
from hardening.kernels.levels import set_levels, set_places
from hardening.kernels.rows import (
    BYTES,
    BYTES_END,
    HEAD_BYTES,
    HEAD_LOGPROB,
    HEAD_TOKEN,
    HEAD_TOP,
    IS_BYTES,
    IS_LOGPROB,
    IS_TOKEN,
    KEPT,
    LEVEL,
    NUMBER,
    NUMBER_END,
    ORDER,
    PLACE,
    SAMPLED,
    TAIL_LOGPROB,
    TAIL_TOP,
    TOKEN,
    TOKEN_END,
    WIDTH,
    choose,
    same_token,
    scan_row,
)

PARTS = "cd1a8a683513487f"
"""Digest of the files of the parts, which renews numba's cache with them."""
PUT_LOWEST = word(b"-9999.0")
SPARE = 64 + PREFIX + BLOCK
"""Bytes beyond what is read and written, for a token's digest and the end of the list."""


@part
def put_level(count, unit, places, out, o):
    """Write `count * unit / 10**places` in fixed-point, shortest, with at least one decimal."""
    power = 1
    for _ in range(places):
        power *= 10
    if count == LOW_LEVEL or -count * unit >= 9999 * power:
        return put(PUT_LOWEST, out, o)
    rest = -count * unit
    if rest > 0:
        out[o] = MINUS
        o += 1
    whole = rest // power
    rest -= whole * power
    size = 1
    while whole >= 10**size:
        size += 1
    for j in range(size):
        out[o + size - 1 - j] = ZERO + whole % 10
        whole //= 10
    o += size
    out[o] = DOT
    o += 1
    while True:
        power //= 10
        out[o] = ZERO + (rest // power if power > 0 else 0)
        o += 1
        rest = rest % power if power > 0 else 0
        if rest == 0:
            return o


@part
def put_value(raw, spans, values, at, grid, out, o):
    """Write the value of entry `at`, on the grid if there is one; the position after it, or -1 if it is not certain."""
    step, unit, places = grid
    if step == 0.0:
        if (
            raw[spans[at * WIDTH + NUMBER]] == MINUS
            and spans[at * WIDTH + NUMBER_END] - spans[at * WIDTH + NUMBER] == 2
            and values[at] == 0.0
        ):
            return -1  # the integer -0, which the twin's parser reads as 0
        for j in range(spans[at * WIDTH + NUMBER], spans[at * WIDTH + NUMBER_END]):
            out[o] = raw[j]
            o += 1
        return o
    return put_level(spans[at * WIDTH + LEVEL], unit, places, out, o)


@part
def put_entry(raw, spans, values, at, shown, order, grid, out, o):
    """Write the members of entry `at` that `order` names, up to a list of alternatives.

    Its value is that of entry `shown`, or LOWEST if that is -1. Gives the position after it (-1 if a
    value is not certain) and what is left of `order`.
    """
    while order & 15 and order & 15 <= IS_BYTES:
        if order & 15 == IS_TOKEN:
            out[put(HEAD_TOKEN, out, o)] = QUOTE
            o = put_string(raw, spans[at * WIDTH + TOKEN], spans[at * WIDTH + TOKEN_END], out, o + 9)
            out[o] = QUOTE
            o += 1
        elif order & 15 == IS_LOGPROB:
            o = put(TAIL_LOGPROB, out, put(HEAD_LOGPROB, out, o))
            o = put(PUT_LOWEST, out, o) if shown < 0 else put_value(raw, spans, values, shown, grid, out, o)
            if o < 0:
                return -1, order
        else:
            o = put(HEAD_BYTES, out, o)
            for j in range(spans[at * WIDTH + BYTES], spans[at * WIDTH + BYTES_END]):
                if raw[j] > 32:
                    out[o] = raw[j]
                    o += 1
        order >>= 4
        if order:
            out[o] = COMMA
            o += 1
    return o, order


@part
def find_own(raw, spans, count, top, lone, stepped):
    """The alternative that the drawn token is, SAMPLED where its own value may leave, -1 where none may."""
    left = 0
    for j in range(count):
        if spans[j * WIDTH + KEPT]:
            left += 1
            if (stepped or top >= 0 or not lone) and same_token(raw, spans, SAMPLED, j):
                return np.int64(j)
    return SAMPLED if lone and not 0 <= top <= left else np.int64(-1)


@part
def put_row(raw, spans, values, count, own, grid, out, o):
    """Write the row that was noted last; the position after it, or -1 if a value is not certain."""
    left = set_places(raw, spans, values, count, grid[0] > 0.0)
    out[o] = OPEN
    o, order = put_entry(raw, spans, values, SAMPLED, own, spans[SAMPLED * WIDTH + ORDER], grid, out, o + 1)
    if o < 0:
        return -1
    if order:
        o = put(TAIL_TOP, out, put(HEAD_TOP, out, o))
        out[o] = OPEN_LIST
        o += 1
        for k in range(left):
            j = spans[k * WIDTH + PLACE]
            out[o] = OPEN
            o, _ = put_entry(raw, spans, values, j, j, spans[j * WIDTH + ORDER], grid, out, o + 1)
            if o < 0:
                return -1
            out[o], out[o + 1] = CLOSE, COMMA
            o += 2
        if out[o - 1] == COMMA:
            o -= 1
        out[o] = CLOSE_LIST
        o += 1
        if order >> 4:
            out[o] = COMMA
            o, _ = put_entry(raw, spans, values, SAMPLED, own, order >> 4, grid, out, o + 1)
            if o < 0:
                return -1
    out[o] = CLOSE
    return o + 1


@part
def spells(raw, spans, length, seen, o):
    """Where the text up to `length` goes on after the sampled token, if that stands at `seen`, else -1.

    The token's bytes count where there are any, else its string. Uses `raw` from `o` on as scratch.
    """
    i, end = spans[SAMPLED * WIDTH + BYTES], spans[SAMPLED * WIDTH + BYTES_END]
    if i >= 0 and raw[i] == OPEN_LIST:
        told = False
        i = skip(raw, i + 1, end)
        while raw[i] != CLOSE_LIST:
            value, i = digits(raw, i, end)
            if seen >= length or raw[seen] != value:
                return -1
            seen += 1
            told = True
            i = skip(raw, i, end)
            if raw[i] == COMMA:
                i = skip(raw, i + 1, end)
        if told:
            return seen
    i, end = spans[SAMPLED * WIDTH + TOKEN], spans[SAMPLED * WIDTH + TOKEN_END]
    while i < end:
        value, i = character(raw, i, end)
        last = put_character(value, raw, o)
        for j in range(o, last):
            if seen >= length or raw[seen] != raw[j]:
                return -1
            seen += 1
    return seen


@kernel
def cut_rows(room, size, length, top, lone, step, unit, places, notes, numbers, shares, words, scratch):
    """Where in `room` the cut rows end, or NOT_UNDERSTOOD, MISALIGNED, NO_ROOM.

    Args:
        room: uint8. First `size` bytes of a JSON array, then `length` bytes of UTF-8 that the rows
        must spell (-1: they need not); after them the cut rows are written.
        top: alternatives kept a row, -1 for all. lone: whether a drawn token that is none of them has a
        value where fewer are listed. step: grid in nats, 0 for the numbers' own bytes;
        it is `unit / 10**places`. notes (int64), numbers (float64): scratch, WIDTH and one item for
        each of MAX_ALTERNATIVES + 1 entries. shares (float64): of noise, none without it; then `words`
        (uint64) are its key and chain, which goes on behind the rows where they leave. scratch (uint64): SCRATCH_WORDS.
    """
    raw, spans, values, moved = pointer(room), pointer(notes), pointer(numbers), pointer(scratch)
    levels, keyed = pointer(shares), pointer(words)
    end = size + max(length, 0)
    if room.size < end + 2 * size + SPARE:
        return NO_ROOM
    grid = (step, unit, places)
    for k in range(CHAIN_WORDS):
        moved[DIGEST_WORDS + k] = keyed[KEY_WORDS + k]
    i = skip(raw, FIRST, size)
    if i >= size or raw[i] != OPEN_LIST:
        return NOT_UNDERSTOOD
    i = skip(raw, i + 1, size)
    o = end
    raw[o] = OPEN_LIST
    o += 1
    seen = size
    while not (o == end + 1 and i < size and raw[i] == CLOSE_LIST):
        count, i = scan_row(raw, i, size, spans, values)
        if i < 0 or not choose(raw, spans, values, count, top):
            return NOT_UNDERSTOOD
        if length >= 0 and seen >= 0:
            seen = spells(raw, spans, end, seen, o)
        own = find_own(raw, spans, count, top, lone, step > 0.0)
        if step > 0.0 and not set_levels(
            raw, spans, values, max(count, 0), own, step, levels, shares.size, keyed, moved, o
        ):
            return NOT_UNDERSTOOD
        o = put_row(raw, spans, values, count, own, grid, raw, o)
        if o < 0 or i >= size:
            return NOT_UNDERSTOOD
        follow(moved)
        i = skip(raw, i, size)
        if i < size and raw[i] == CLOSE_LIST:
            break
        if i >= size or raw[i] != COMMA:
            return NOT_UNDERSTOOD
        raw[o] = COMMA
        o += 1
        i = skip(raw, i + 1, size)
    raw[o] = CLOSE_LIST
    if skip(raw, i + 1, size) < size:
        return NOT_UNDERSTOOD
    if length >= 0 and seen != end:
        return MISALIGNED
    for k in range(CHAIN_WORDS):
        keyed[KEY_WORDS + k] = moved[DIGEST_WORDS + k]
    return o + 1
