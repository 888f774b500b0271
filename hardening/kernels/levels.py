# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Kernels that say how many steps down the grid each value of a row stands, and in which order they leave.

The order is a rule that tells nothing beyond the levels: the likeliest token first, then by level, and
tokens of one level by their own bytes.
"""

from __future__ import annotations

import math

import numpy as np

from hardening.kernels.atoms import character
from hardening.kernels.codes import LOW_LEVEL, LOWEST, SNAP
from hardening.kernels.draws import CHAIN_WORDS, DIGEST_WORDS
from hardening.kernels.jit import part
from hardening.kernels.keyed import NEXT, digest, nats
from hardening.kernels.rows import EXACT, KEPT, LEVEL, PLACE, SAMPLED, TOKEN, TOKEN_END, UNSURE, WIDTH, above


@part
def level(spans, values, at, step, noise):
    """How many steps the value of entry `at` and its noise are, downwards, and whether that is certain."""
    value = min(values[at], 0.0)
    if value <= LOWEST:
        return LOW_LEVEL, True
    value += noise
    exact = spans[at * WIDTH + EXACT] == 1
    if value >= 0.0:
        return 0, exact or value > 1e-9
    if value <= LOWEST:
        return LOW_LEVEL, exact
    steps = value / step
    steps -= steps * SNAP
    near = abs(steps - np.rint(steps)) <= 1e-13 * abs(steps)
    return int(math.floor(steps)), exact or not near


@part
def find_best(raw, spans, values, count):
    """The kept alternative of the highest value, ties by place; -1 where none is kept, -2 if it cannot be told."""
    best = -1
    for j in range(count):
        if spans[j * WIDTH + KEPT]:
            order = 1 if best < 0 else above(raw, spans, values, j, best)
            if order == UNSURE:
                return -2
            if order == 1:
                best = j
    return best


@part
def set_levels(raw, spans, values, count, own, step, shares, sizes, words, scratch, o):
    """Note the levels of the alternatives that are kept, and of the drawn token itself; False if one is not certain.

    `own` is the alternative that the drawn token is, SAMPLED where it has a value of its own, -1 where
    it has none. With noise (`sizes` of `shares` above 0) the next chain is left in `scratch`.
    """
    best = find_best(raw, spans, values, count)
    if best < -1:
        return False
    for j in range(count + 1):
        at = j if j < count else SAMPLED
        drawn = at == own or at == SAMPLED
        if (at < SAMPLED and not spans[at * WIDTH + KEPT]) or (at == SAMPLED and 0 <= own < SAMPLED):
            continue
        noise = 0.0
        if sizes > 0:
            digest(raw, spans[at * WIDTH + TOKEN], spans[at * WIDTH + TOKEN_END], words, scratch, o)
            noise = nats(scratch, shares, sizes)
            if drawn:
                for k in range(CHAIN_WORDS):
                    scratch[NEXT + k] = scratch[DIGEST_WORDS - CHAIN_WORDS + k]
        if at == SAMPLED and own < 0:
            continue
        spans[at * WIDTH + LEVEL], certain = level(spans, values, at, step, noise)
        if not certain:
            return False
    if sizes > 0:
        bound_levels(spans, count, own, best, step)
    return True


@part
def bound_levels(spans, count, own, best, step):
    """Let no value be above that of the likeliest token, nor all together be more than certain, by whole steps."""
    mass = 0.0
    for j in range(count + 1):
        at = j if j < count else SAMPLED
        if spans[at * WIDTH + KEPT] if j < count else own == SAMPLED:
            if best >= 0:
                spans[at * WIDTH + LEVEL] = min(spans[at * WIDTH + LEVEL], spans[best * WIDTH + LEVEL])
            mass += math.exp(spans[at * WIDTH + LEVEL] * step)
    if mass <= 1.0:
        return
    down = max(0, int(math.ceil(math.log(mass) / step - 1e-9)))
    for j in range(count + 1):
        at = j if j < count else SAMPLED
        if spans[at * WIDTH + LEVEL] != LOW_LEVEL:
            spans[at * WIDTH + LEVEL] -= down


@part
def precedes(raw, spans, a, b):
    """Whether alternative `a` leaves before `b`, of which neither is the first."""
    gap = spans[a * WIDTH + LEVEL] - spans[b * WIDTH + LEVEL]
    if gap != 0:
        return gap > 0
    i, end = spans[a * WIDTH + TOKEN], spans[a * WIDTH + TOKEN_END]
    j, last = spans[b * WIDTH + TOKEN], spans[b * WIDTH + TOKEN_END]
    while i < end and j < last:
        first, i = character(raw, i, end)
        other, j = character(raw, j, last)
        if first != other:
            return first < other
    return j < last


@part
def set_places(raw, spans, values, count, stepped):
    """Note in which order the kept alternatives leave; how many they are."""
    left = 0
    for j in range(count):
        if spans[j * WIDTH + KEPT]:
            spans[left * WIDTH + PLACE] = j
            left += 1
    if not stepped or left == 0:
        return left
    best = find_best(raw, spans, values, count)
    for k in range(1, left):
        j = spans[k * WIDTH + PLACE]
        to = k
        while to > 0:
            before = spans[(to - 1) * WIDTH + PLACE]
            if before == best or (j != best and not precedes(raw, spans, j, before)):
                break
            spans[to * WIDTH + PLACE] = before
            to -= 1
        spans[to * WIDTH + PLACE] = j
    return left
