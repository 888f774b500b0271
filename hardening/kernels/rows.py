# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Kernels that find and compare the parts of one row of log-probabilities in raw JSON.

A row is an object of `token`, `logprob`, `bytes` and `top_logprobs`, in any order; an alternative is
the same without `top_logprobs`. What they find is noted in `spans` (int64, WIDTH an entry, the
columns below; -1: not there) and `values` (float64). A position of -1 means "not such an object".
"""

from __future__ import annotations

import numpy as np

from hardening.kernels.atoms import (
    CLOSE,
    CLOSE_LIST,
    COMMA,
    FIRST,
    OPEN,
    OPEN_LIST,
    QUOTE,
    byte_list,
    character,
    number,
    skip,
    stands,
    string_end,
    word,
)
from hardening.kernels.codes import MAX_ALTERNATIVES
from hardening.kernels.jit import part

WIDTH = 11
TOKEN, TOKEN_END, NUMBER, NUMBER_END, BYTES, BYTES_END, ORDER, EXACT, KEPT, LEVEL, PLACE = range(WIDTH)
SAMPLED = np.int64(MAX_ALTERNATIVES)
"""The entry of the token that was drawn; those before it are its alternatives."""
IS_TOKEN, IS_LOGPROB, IS_BYTES, IS_TOP = 1, 2, 3, 4
"""Kinds of members, as ORDER packs them: four bits each, the first member lowest."""

UNSURE = 2
"""Answer of a comparison that rounding could have turned round."""
NULL = word(b"null")
# The first eight bytes of each name with its quotes and colon, and what is left of it.
HEAD_TOKEN = word(b'"token":')
HEAD_BYTES = word(b'"bytes":')
HEAD_LOGPROB = word(b'"logprob')
HEAD_TOP = word(b'"top_log')
TAIL_LOGPROB = word(b'":')
TAIL_TOP = word(b'probs":')


@part
def head(raw, i):
    """The eight bytes at `i` as a little-endian number; the compiler makes one read of it."""
    value = 0
    for j in range(8):
        value |= int(raw[i + j]) << (8 * j)
    return value


@part
def key(raw, i, n):
    """The kind of the member whose name begins at `i`, and where its value begins; 0 if unknown."""
    if i + 8 > n:
        return 0, i
    name = head(raw, i)
    if name == HEAD_TOKEN:
        return IS_TOKEN, skip(raw, i + 8, n)
    if name == HEAD_BYTES:
        return IS_BYTES, skip(raw, i + 8, n)
    if name == HEAD_LOGPROB and stands(raw, i + 8, n, TAIL_LOGPROB):
        return IS_LOGPROB, skip(raw, i + 10, n)
    if name == HEAD_TOP and stands(raw, i + 8, n, TAIL_TOP):
        return IS_TOP, skip(raw, i + 15, n)
    return 0, i


@part
def member(raw, i, n, kind, spans, values, at):
    """Note one token, logprob or bytes value of entry `at`; the position after it, or -1."""
    if kind == IS_TOKEN:
        if i >= n or raw[i] != QUOTE or spans[at * WIDTH + TOKEN] >= 0:
            return -1
        end = string_end(raw, i + 1, n)
        spans[at * WIDTH + TOKEN] = i + 1
        spans[at * WIDTH + TOKEN_END] = end
        return end + 1 if end >= 0 else -1
    if kind == IS_LOGPROB:
        if spans[at * WIDTH + NUMBER] >= 0:
            return -1
        value, exact, end = number(raw, i, n)
        spans[at * WIDTH + NUMBER] = i
        spans[at * WIDTH + NUMBER_END] = end
        spans[at * WIDTH + EXACT] = exact
        values[at] = value
        return end
    if i >= n or spans[at * WIDTH + BYTES] >= 0:
        return -1
    if raw[i] == OPEN_LIST:
        end = byte_list(raw, i, n)
    else:
        end = i + 4 if stands(raw, i, n, NULL) else -1
    spans[at * WIDTH + BYTES] = i
    spans[at * WIDTH + BYTES_END] = end
    return end


@part
def clear(spans, at):
    """Forget entry `at`."""
    spans[at * WIDTH + TOKEN] = spans[at * WIDTH + NUMBER] = spans[at * WIDTH + BYTES] = -1
    spans[at * WIDTH + ORDER] = 0


@part
def scan_alternative(raw, i, n, spans, values, at):
    """Note the alternative whose brace stands at `i`; the position after it, or -1."""
    clear(spans, at)
    if i >= n or raw[i] != OPEN:
        return -1
    shift = 0
    while True:
        kind, i = key(raw, skip(raw, i + 1, n), n)
        if kind == 0 or kind == IS_TOP:
            return -1
        i = member(raw, i, n, kind, spans, values, at)
        if i < 0:
            return -1
        i = skip(raw, i, n)
        if i >= n:
            return -1
        spans[at * WIDTH + ORDER] |= kind << shift
        shift += 4
        if raw[i] == CLOSE:
            break
        if raw[i] != COMMA:
            return -1
    return i + 1 if spans[at * WIDTH + TOKEN] >= 0 and spans[at * WIDTH + NUMBER] >= 0 else -1


@part
def scan_alternatives(raw, i, n, spans, values):
    """Note the list of alternatives at `i`; how many they are, and the position after it or -1."""
    if i >= n or raw[i] != OPEN_LIST:
        return 0, -1
    i = skip(raw, i + 1, n)
    if i < n and raw[i] == CLOSE_LIST:
        return 0, i + 1
    count = FIRST
    while count < MAX_ALTERNATIVES:
        i = scan_alternative(raw, i, n, spans, values, count)
        if i < 0:
            return 0, -1
        count += 1
        i = skip(raw, i, n)
        if i >= n:
            return 0, -1
        if raw[i] == CLOSE_LIST:
            return count, i + 1
        if raw[i] != COMMA:
            return 0, -1
        i = skip(raw, i + 1, n)
    return 0, -1


@part
def scan_row(raw, i, n, spans, values):
    """Note the row whose brace stands at `i`: number of alternatives (-1: no list), position after it or -1."""
    clear(spans, SAMPLED)
    count = -1
    if i >= n or raw[i] != OPEN:
        return count, -1
    shift = 0
    while True:
        kind, i = key(raw, skip(raw, i + 1, n), n)
        if kind == 0:
            return count, -1
        if kind != IS_TOP:
            i = member(raw, i, n, kind, spans, values, SAMPLED)
        elif count >= 0:
            return count, -1
        else:
            count, i = scan_alternatives(raw, i, n, spans, values)
        if i < 0:
            return count, -1
        i = skip(raw, i, n)
        if i >= n:
            return count, -1
        spans[SAMPLED * WIDTH + ORDER] |= kind << shift
        shift += 4
        if raw[i] == CLOSE:
            break
        if raw[i] != COMMA:
            return count, -1
    return count, i + 1 if spans[SAMPLED * WIDTH + TOKEN] >= 0 and spans[
        SAMPLED * WIDTH + NUMBER
    ] >= 0 else -1


@part
def above(raw, spans, values, a, b):
    """1 if alternative `a` has the higher value, 0 if not, UNSURE if their rounding could decide it."""
    gap = values[a] - values[b]
    if (spans[a * WIDTH + EXACT] and spans[b * WIDTH + EXACT]) or abs(gap) > 1e-14 * abs(values[a]):
        return 1 if gap > 0 else 0
    size = spans[a * WIDTH + NUMBER_END] - spans[a * WIDTH + NUMBER]
    if size != spans[b * WIDTH + NUMBER_END] - spans[b * WIDTH + NUMBER]:
        return UNSURE
    for j in range(size):
        if raw[spans[a * WIDTH + NUMBER] + j] != raw[spans[b * WIDTH + NUMBER] + j]:
            return UNSURE
    return 0


@part
def choose(raw, spans, values, count, top):
    """Mark the `top` highest of `count` alternatives, ties by place; False if it cannot be told."""
    ordered = True
    for j in range(count):
        spans[j * WIDTH + KEPT] = top < 0 or j < top
        if j > 0:
            order = above(raw, spans, values, j, j - 1)
            if order == UNSURE:
                return False
            ordered = ordered and order == 0
    if ordered or top < 0 or count <= top:
        return True
    for j in range(count):
        spans[j * WIDTH + KEPT] = False
    for _ in range(top):
        best = -1
        for j in range(count):
            if spans[j * WIDTH + KEPT]:
                continue
            order = 1 if best < 0 else above(raw, spans, values, j, best)
            if order == UNSURE:
                return False
            if order == 1:
                best = j
        spans[best * WIDTH + KEPT] = True
    return True


@part
def same_bytes(raw, i, end, j, last):
    """Whether two lists of bytes hold the same numbers, whatever white space is between them."""
    while True:
        i = skip(raw, i, end)
        j = skip(raw, j, last)
        if i >= end or j >= last:
            return i >= end and j >= last
        if raw[i] != raw[j]:
            return False
        i += 1
        j += 1


@part
def same_token(raw, spans, a, b):
    """Whether entries `a` and `b` are one token: equal strings, and equal bytes where both tell them."""
    i, end = spans[a * WIDTH + TOKEN], spans[a * WIDTH + TOKEN_END]
    j, last = spans[b * WIDTH + TOKEN], spans[b * WIDTH + TOKEN_END]
    while i < end and j < last:
        first, i = character(raw, i, end)
        other, j = character(raw, j, last)
        if first != other:
            return False
    if i < end or j < last:
        return False
    i, j = spans[a * WIDTH + BYTES], spans[b * WIDTH + BYTES]
    if i < 0 or j < 0 or raw[i] != OPEN_LIST or raw[j] != OPEN_LIST:
        return True
    return same_bytes(raw, i, spans[a * WIDTH + BYTES_END], j, spans[b * WIDTH + BYTES_END])
