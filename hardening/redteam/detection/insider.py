"""What somebody learns who reads the store: which prompt was asked, and whether one was.

He sees an account's sums before and after a request, knows the reference, all code and a list of prompts of
which one was asked; not the installation's key.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hardening.redteam.detection.runs import Runner
from hardening.scoring.evidence import evidence
from hardening.scoring.reference import Reference
from hardening.scoring.request import Facts, Read
from hardening.scoring.sketch import Sketch


class Learnt(NamedTuple):
    """How often the first guess among `prompts` is right, of one request and of twenty summed; `bits` of each request."""

    prompts: int
    bits: float
    first_guess: float
    exact_first_guess: float
    member_auc: float


def learnt(reference: Reference, runner: Runner, texts: Sequence[str], seed: int) -> Learnt:
    """Match differences of sums with a list of prompts; `exact_first_guess` is the same without rounding."""
    draw = random.Random(seed)
    reads = [runner.read(text) for text in texts]
    signals = reference.signals()
    fresh = [tuple(evidence(read, Facts(0.0), Sketch(), signals).values()) for read in reads]
    exact = [_exact(reference, read) for read in reads]
    return Learnt(
        len(reads),
        _entropy(fresh),
        _first_guess(fresh),
        _first_guess(exact),
        _member_auc([sum(one) for one in fresh], draw),
    )


def _exact(reference: Reference, read: Read) -> tuple[float, ...]:
    return tuple(
        signal.nats(read, Facts(0.0), Sketch()) for signal in reference.signals() if not signal.gated
    )


def _entropy(seen: Sequence[tuple[float, ...]]) -> float:
    counts = Counter(seen)
    return -sum(count / len(seen) * math.log2(count / len(seen)) for count in counts.values())


def _first_guess(seen: Sequence[tuple[float, ...]]) -> float:
    """The chance to name the prompt from what it added: one of those that add the same."""
    return len(set(seen)) / len(seen)


def _member_auc(nats: Sequence[float], draw: random.Random, *, rounds: int = 2000, others: int = 19) -> float:
    """How well a sum over twenty requests tells whether one given prompt is among them (.5 is chance)."""
    right, mean = 0.0, sum(nats) / len(nats)
    for _ in range(rounds):
        member = draw.choice(nats)
        signed = member - mean
        with_it, without_it = (
            sum(draw.choices(nats, k=others)) + member,
            sum(draw.choices(nats, k=others + 1)),
        )
        right += (signed * with_it > signed * without_it) + 0.5 * (with_it == without_it)
    return right / rounds
