"""What the app knows of an account beside its requests, as odds: a plan, a payment, a block of networks.

The app names attributes (`Account.attributes`), the policy says what each value is worth. It is a prior and no
evidence: what it may count for at most stands in `state/standing.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from hardening.policy.matching import Test, glob, remember
from hardening.policy.quantities import ODDS, Odds
from hardening.policy.settings import NAME, Pattern

_ORIGIN = ("citizen", "country", "ethnic", "language", "locale", "nationality", "religio")
_NAMED = "the name of an attribute, such as plan or payment"


def _read_attribute(value: str) -> str:
    """The name; never one of where somebody is from, which tells nothing of copying and hurts who is honest."""
    letters = re.sub("[^a-z]", "", value.lower())
    if any(word in letters for word in _ORIGIN):
        raise ValueError(f"{_NAMED}; never where somebody is from, what he speaks or believes")
    return value


Attribute = Annotated[str, Field(pattern=NAME), AfterValidator(_read_attribute)]
PriorSpecs = dict[Attribute, Annotated[dict[Pattern, Odds], Field(min_length=1)]]


class Priors:
    """What the attributes of an account are worth, in nats; of the values that an attribute matches the largest counts."""

    __slots__ = ("_remembered", "_values")

    def __init__(self, specs: Mapping[str, Mapping[str, float]]) -> None:
        self._values: dict[str, list[tuple[Test, float]]] = {
            name: [(glob(pattern), math.log(odds)) for pattern, odds in values.items()]
            for name, values in specs.items()
        }
        self._remembered: dict[tuple[str, str], float] = {}

    def nats(self, attributes: Mapping[str, str]) -> float:
        """The sum over attributes, no more and no less than one alone may be worth."""
        total = sum(self._worth(name, attributes[name]) for name in self._values if name in attributes)
        return min(max(total, math.log(ODDS.low)), math.log(ODDS.high))

    def _worth(self, name: str, value: str) -> float:
        known = self._remembered.get((name, value))
        if known is None:
            known = max((nats for matches, nats in self._values[name] if matches(value)), default=0.0)
            remember(self._remembered, (name, value), known)
        return known
