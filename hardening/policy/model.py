"""The typed model of a policy file: its keys are the field names of these classes.

Nothing here decides; `compile.py` turns a `PolicyFile` into the prepared `Policy`. References between
sections (a rule that names a group) are checked on the file's nodes, in `references.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from hardening.facts import Mode, Unit
from hardening.policy.mounting import Accounts, Doors, OnFailure, RuntimeSpec, split_doors
from hardening.policy.quantities import Amount, Count, Day, Seconds
from hardening.policy.settings import Enforcement, Name, Patterns, Settings, Strict, as_tuple


def _read_version(value: object) -> object:
    if type(value) is int and value == 1:  # True is 1 too
        return value
    raise ValueError("1")


def _read_header(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", value):
        return value.lower()
    raise ValueError("the name of a header, such as x-tenant")


def _read_status(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and (400 <= value < 500 or value == 503):
        return value
    raise ValueError("a status from 400 to 499, or 503")


class LimitSpec(Strict):
    """One allowance: exactly one unit, and the time it is for."""

    tokens: Amount | None = None
    requests: Amount | None = None
    prompt: Amount | None = None
    completion: Amount | None = None
    reasoning: Amount | None = None
    streams: Amount | None = None
    logprob_values: Amount | None = None
    embeddings: Amount | None = None
    per: Seconds | None = None
    burst: Amount | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> LimitSpec:
        if len(self._units()) != 1:
            raise ValueError(f"exactly one unit of {', '.join(UNITS)}")
        if self.per is None and self.streams is None:
            raise ValueError("`per`, such as `per: 1m` (only streams may do without)")
        return self

    def _units(self) -> list[Unit]:
        return [unit for unit in UNITS if getattr(self, unit) is not None]

    @property
    def unit(self) -> Unit:
        """What this limit counts."""
        return self._units()[0]

    @property
    def amount(self) -> float:
        """How many units there are in `per`."""
        return float(getattr(self, self.unit))


UNITS: tuple[Unit, ...] = (
    "tokens",
    "requests",
    "prompt",
    "completion",
    "reasoning",
    "streams",
    "logprob_values",
    "embeddings",
)


HeaderName = Annotated[str, BeforeValidator(_read_header)]


class Match(Strict):
    """Which requests: all keys must hold, each by any of its patterns (globs with *)."""

    account: Patterns | None = None
    group: Patterns | None = None
    model: Patterns | None = None
    door: Patterns | None = None
    header: Annotated[dict[HeaderName, Patterns], Field(min_length=1)] | None = None
    client: Patterns | None = None


class Refuse(Strict):
    """The answer of a rule that ends the walk with a no."""

    status: Annotated[int, BeforeValidator(_read_status)] = 403
    message: Annotated[str, Field(min_length=1, max_length=500)] = "this request is not allowed"


class Rule(Settings, Enforcement):
    """Settings for the requests that it matches; `exempt` and `refuse` end the walk."""

    name: Name
    match: Match = Match()
    # "except" is a word of Python, so the field has a name of its own.
    unless: Match | None = Field(default=None, alias="except")
    until: Day | None = None
    exempt: bool = False
    refuse: Refuse | None = None

    @model_validator(mode="after")
    def _one_end(self) -> Rule:
        if self.exempt and self.refuse is not None:
            raise ValueError("`exempt` or `refuse`, not both")
        if self.unless == Match():
            raise ValueError("an `except` that names something (an empty one excepts every request)")
        return self


class Threshold(Strict):
    """Until when an account counts as new: until BOTH are passed."""

    requests: Count = 0
    age: Seconds | None = None

    @model_validator(mode="after")
    def _some(self) -> Threshold:
        if not self.requests and self.age is None:
            raise ValueError("`requests`, `age` or both")
        return self


class New(Settings):
    """What holds for accounts that are not known yet, on top of everything else."""

    until: Threshold

    @model_validator(mode="after")
    def _after_admission(self) -> New:
        _refuse_early(self)
        return self


def _read_risk(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError("a number from 0 to 1")


Risk = Annotated[float, BeforeValidator(_read_risk)]


class Band(Settings, Enforcement):
    """What holds while an account's risk is in a band; it only tightens."""

    enter: Risk
    leave: Risk

    @model_validator(mode="after")
    def _hysteresis(self) -> Band:
        if self.leave > self.enter:
            raise ValueError("a `leave` that is not above `enter`")
        if self.limits is not None:
            raise ValueError("no `limits` in a band (they are charged before it is known): use `charge`")
        return self


def _refuse_early(settings: Settings) -> None:
    if settings.limits is not None or settings.charge is not None:
        raise ValueError(
            "no `limits` and no `charge` here: both are settled before the account's age is read"
        )


class RiskSpec(Strict):
    """What standing does: a prior for new accounts, and bands of risk."""

    new: New | None = None
    bands: dict[Name, Band] = Field(default_factory=dict)


class PolicyFile(Strict):
    """A whole policy file."""

    version: Annotated[Literal[1], BeforeValidator(_read_version)]
    extends: Annotated[str, Field(min_length=1)] | None = None
    name: Name | None = None
    mode: Mode = "enforce"
    disclose: bool = True
    accounts: Accounts = Accounts()
    doors: Annotated[Doors, BeforeValidator(split_doors)] = Doors()
    limits: dict[Name, LimitSpec] = Field(default_factory=dict)
    defaults: Settings = Settings()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()
    risk: RiskSpec = RiskSpec()
    on_failure: OnFailure = OnFailure()
    runtime: RuntimeSpec = RuntimeSpec()
