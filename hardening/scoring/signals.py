"""Signals: what one request says for or against its account, each a number in nats.

Positive is likelier in a campaign that mixes a tenth of its requests into honest ones, negative among honest
users. Signs that honest programs share, such as prompts of one template, say nothing by themselves: they
count as far as the account's requests also make demands that hardly anybody makes by chance (`gate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hardening import kernels
from hardening.scoring.request import Facts, Read
from hardening.scoring.sketch import Sketch
from hardening.state.standing import LEAST_NATS, MOST_NATS

MIXED = 0.02
"""The share of a campaign's requests among an account's that evidence is stated for: the least that is looked for."""
_DAY_S = 86_400.0
_FEW = 5  # alternatives that evaluations ask for
_HIDDEN_NATS = 1.0
_GATE_NATS = 3.0
_STALE, _FRESH = 0.8, 0.95  # prompts of one honest template stay below .8, those of people above .97
_MOST_PHRASED = 0.7  # nats: by wording too it takes three requests that nobody sends by chance


class Signal(Protocol):
    """One signal, calibrated."""

    @property
    def name(self) -> str:
        """The slot of its sum."""
        ...

    @property
    def gated(self) -> bool:
        """Whether it counts only as far as the gate is open."""
        ...

    @property
    def opens(self) -> bool:
        """Whether it opens the gate."""
        ...

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """What the request says; before the gate, where there is one."""
        ...


def mixture(llr: float) -> float:
    """What a request says of an account that mixes, by its own log-likelihood ratio."""
    return min(max(math.log(1.0 - MIXED + MIXED * math.exp(min(llr, 20.0))), LEAST_NATS), MOST_NATS)


def gate(sketch: Sketch) -> float:
    """0..1: how far an account's requests make demands that hardly anybody makes by chance."""
    return min(max((sketch.pattern - _HIDDEN_NATS) / _GATE_NATS, 0.0), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Phrasing:
    """Words, pairs of words and shape, weighed as they were in campaigns and among honest users.

    A program with one template says what its template says once, not a thousand times: a prompt speaks against
    an account only where it is fresh. It is not as far as its features came more often than in any set of the
    reference, so prompts of a template that campaigns were seen with stay fresh, and those of an honest
    program do not.

    Args:
        weights: nats of each bucket, a row for each campaign that was fitted; `biases` those of a prompt without any.
        usual: of each coarse bucket the largest share of prompts with it, over the sets of the reference.
    """

    weights: NDArray[np.float32]
    biases: NDArray[np.float64]
    usual: NDArray[np.float32]
    name: str = "phrasing"
    gated: bool = False
    opens: bool = False

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """The mixture of the likelihoods of all campaigns, from what is new in the prompt."""
        features = read.prompt.features
        if not features.size or not len(self.biases):
            return 0.0
        sums, new = kernels.weigh(features, sketch.counts, sketch.requests, self.usual, self.weights)
        fresh = new / features.size
        nats = min(mixture(self._ratio(sums, fresh)), _MOST_PHRASED)
        return nats if nats < 0.0 else nats * min(max((fresh - _STALE) / (_FRESH - _STALE), 0.0), 1.0)

    def _ratio(self, sums: list[float], fresh: float) -> float:
        """The log-likelihood ratio of what is new in a prompt: the mean over campaigns."""
        ratios = [total + bias * fresh for total, bias in zip(sums, self.biases.tolist(), strict=True)]
        return math.log(sum(math.exp(min(one, 20.0)) for one in ratios) / len(ratios))


@dataclass(frozen=True, slots=True)
class Said:
    """Phrases of `lexicon`, by the level that they reach: elicitation, grading or synthesis."""

    name: str
    levels: tuple[float, ...]
    gated: bool = False
    opens: bool = True

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """What the level says."""
        level: int = getattr(read, self.name)
        return self.levels[level]


@dataclass(frozen=True, slots=True)
class Harvesting:
    """Log-probabilities of many alternatives, or of chosen tokens: by levels, asked at all, many, with bias or bans.

    Evaluations ask for log-probabilities all day, so only the last level says something.
    """

    levels: tuple[float, ...]
    name: str = "harvesting"
    gated: bool = False
    opens: bool = True

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """What the level says."""
        if facts.top_logprobs is None:
            return self.levels[0]
        return self.levels[3 if facts.switches else 2 if facts.top_logprobs > _FEW else 1]


@dataclass(frozen=True, slots=True)
class Templates:
    """Prompts of one template: travel agencies, agents and evaluations have them too, so it is gated."""

    most: float
    name: str = "templates"
    gated: bool = True
    opens: bool = False

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """In proportion to how often a template comes again."""
        return self.most * sketch.repetition


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Requests in even steps of time, as no person sends them; programs do, so it is gated."""

    most: float
    name: str = "rhythm"
    gated: bool = True
    opens: bool = False

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """All of it where gaps differ by less than a fifth, none where they differ by twice themselves."""
        return self.most * min(max((0.7 - sketch.unrest) / 0.5, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Probing:
    """Requests that go on against limits until one is let through; busy programs do that too, so it is gated."""

    most: float
    name: str = "probing"
    gated: bool = True
    opens: bool = False

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """In proportion to the refusals before, up to four."""
        return self.most * min(facts.refused, 4) / 4


@dataclass(frozen=True, slots=True)
class Switch:
    """Half of the traffic on a model that the account has used for less than a day: launches do that too, so it is gated."""

    most: float
    name: str = "switch"
    gated: bool = True
    opens: bool = False

    def nats(self, read: Read, facts: Facts, sketch: Sketch) -> float:
        """All of it while the newest of several models is new and has half of the requests."""
        first, share = sketch.models.get(facts.model, (facts.at, 0.0))
        older = any(before < first for before, _ in sketch.models.values())
        return self.most if older and share >= 0.4 and facts.at - first < _DAY_S else 0.0
