"""A small language model: a true distribution over the next token, and a seeded choice from it.

Given the lesson's acts, the probability of the next token is a mixture: most of it comes from the
phrasings that still agree with what was said (each weighed by a softmax of keyed scores), the
rest from a bigram model of the whole phrasebook, or, where a number is due, of its neighbours.
Choices are made among the phrasings only, so text stays well-formed, while the reported
log-probabilities are those of the full mixture. Same seed and question: same tokens.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

from teacher.phrases import PHRASEBOOK, Act
from teacher.tokens import split

Part = Literal["reasoning", "answer"]

TAIL = 0.2
"""Largest share of probability that lies outside the phrasings."""
TOP = 20
"""Alternatives kept for each position."""


@dataclass(frozen=True, slots=True)
class Token:
    """One emitted token: its log-probability in nats and the `TOP` likeliest ones, best first."""

    part: Part
    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


def unit(*key: object) -> float:
    """A number in [0, 1) that depends on nothing but the key."""
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def speak(acts: Sequence[Act], part: Part, seed: str, temperature: float) -> Iterator[Token]:
    """The tokens of one phrasing of each act, in order."""
    before = "\n"
    for place, act in enumerate(acts):
        phrasings = weigh(act, f"{seed}/{part}/{place}")
        spoken = 0
        while phrasings:
            support = next_tokens(phrasings, spoken)
            full = mixture(support, before, f"{seed}/{part}/{place}/{spoken}")
            text = choose(support, unit(seed, part, place, spoken), temperature)
            top = sorted(full.items(), key=lambda item: (-item[1], item[0]))[:TOP]
            yield Token(part, text, math.log(full[text]), tuple((t, math.log(p)) for t, p in top))
            before, spoken = text, spoken + 1
            phrasings = {p: w for p, w in phrasings.items() if len(p) > spoken and p[spoken - 1] == text}


def weigh(act: Act, key: str) -> dict[tuple[str, ...], float]:
    """The phrasings of an act as token rows, each with its softmax weight."""
    scores = {split(phrase): math.exp(2.5 * unit(key, phrase)) for phrase in act}
    return {row: score / sum(scores.values()) for row, score in scores.items()}


def next_tokens(phrasings: dict[tuple[str, ...], float], place: int) -> dict[str, float]:
    """The distribution of the token at `place` among the phrasings; sums to 1."""
    found: dict[str, float] = defaultdict(float)
    for row, weight in phrasings.items():
        found[row[place]] += weight
    total = sum(found.values())
    return {token: weight / total for token, weight in found.items()}


def mixture(support: dict[str, float], before: str, key: str) -> dict[str, float]:
    """The full distribution: the phrasings' share and the tail's; sums to 1."""
    share = TAIL * (0.02 + 0.98 * unit("tail", key) ** 3)
    tail = dict(background(before))
    best = max(support, key=lambda token: support[token])
    if best.strip().isdecimal():
        tail = {token: weight * 0.3 for token, weight in tail.items()}
        for token, weight in neighbours(best).items():
            tail[token] = tail.get(token, 0.0) + 0.7 * weight
    full = {token: share * weight for token, weight in tail.items()}
    for token, weight in support.items():
        full[token] = full.get(token, 0.0) + (1 - share) * weight
    return full


@cache
def bigrams() -> dict[str, Counter[str]]:
    """How often each token of the phrasebook follows each other one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for phrase in PHRASEBOOK:
        row = ("\n", *split(re.sub(r"\{\w+\}", "", phrase)))
        for first, second in pairwise(row):
            counts[first][second] += 1
    return dict(counts)


@cache
def background(before: str) -> dict[str, float]:
    """The bigram distribution after a token, smoothed over the whole vocabulary; sums to 1."""
    seen = bigrams().get(before, Counter())
    vocabulary = sorted({token for row in bigrams().values() for token in row})
    weights = {t: (1 + 40 * seen[t]) * math.exp(3 * unit("bigram", before, t)) for t in vocabulary}
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def neighbours(digits: str) -> dict[str, float]:
    """The distribution of slips around a number: near ones, and ten times more or less; sums to 1."""
    lead, n = digits[: -len(digits.strip())], int(digits)
    slips = {k: math.exp(-abs(k - n) / 3) for k in range(max(0, n - 9), n + 10)}
    slips |= {k: 0.3 for k in (n * 10, n // 10) if k < 1000}
    total = sum(slips.values())
    return {f"{lead}{k}": weight / total for k, weight in slips.items()}


def choose(support: dict[str, float], lot: float, temperature: float) -> str:
    """The token that the lot in [0, 1) falls on; the likeliest one at temperature 0."""
    ranked = sorted(support, key=lambda token: (-support[token], token))
    if temperature <= 0:
        return ranked[0]
    best = support[ranked[0]]
    weights = [(support[token] / best) ** (1 / temperature) for token in ranked]
    mark = lot * sum(weights)
    for token, weight in zip(ranked, weights, strict=True):
        mark -= weight
        if mark < 0:
            return token
    return ranked[-1]
