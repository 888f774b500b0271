"""The typed model of a policy file: its keys are the field names of these classes.

Each field says once what it is: its type what may be written, its description and examples what it is for.
The JSON Schema (`schema.py`) and docs/policy.md are made from that. Nothing here decides; `compile.py` turns a
`PolicyFile` into the prepared `Policy`. References between sections (a rule that names a group) are checked on
the file's nodes, in `references.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from hardening.facts import CountedBy, Mode, Unit, Window
from hardening.policy.mounting import HEADER, Accounts, Doors, OnFailure, RuntimeSpec, split_doors
from hardening.policy.quantities import Amount, Day, Seconds, written
from hardening.policy.settings import (
    Enforcement,
    Name,
    Patterns,
    Settings,
    Strict,
    as_tuple,
    forbid_rotation,
)
from hardening.policy.standing import RiskSpec

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
"""What a limit may count."""

_HAS_UNIT: list[JsonValue] = [{"required": [unit]} for unit in UNITS]
_STATUS = "a status from 400 to 499, or 503"


def _read_version(value: object) -> object:
    if type(value) is int and value == 1:  # True is 1 too
        return value
    raise ValueError("1")


def _read_header(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(HEADER, value):
        return value.lower()
    raise ValueError("the name of a header, such as x-tenant")


def _read_status(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and (400 <= value < 500 or value == 503):
        return value
    raise ValueError(_STATUS)


Version = Annotated[Literal[1], BeforeValidator(_read_version), written("1", {"const": 1})]
HeaderName = Annotated[
    str, BeforeValidator(_read_header), written("a header", {"type": "string", "pattern": f"^{HEADER}$"})
]
Status = Annotated[
    int,
    BeforeValidator(_read_status),
    written(_STATUS, {"type": "integer", "minimum": 400, "maximum": 499}, {"const": 503}),
]


class LimitSpec(Strict):
    """One allowance: exactly one unit, and the time it is for."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [*_HAS_UNIT, {"not": {"anyOf": _HAS_UNIT}}],
            "if": {"properties": {"window": {"const": "sliding"}}, "required": ["window"]},
            "then": {"properties": {"burst": False, "streams": False}},
            "x-whole": {
                "anyOf": [{"required": [unit] if unit == "streams" else [unit, "per"]} for unit in UNITS]
            },
        },
    )

    tokens: Amount | None = Field(
        default=None, description="Tokens of prompt and completion.", examples=["60k"]
    )
    requests: Amount | None = Field(default=None, description="Requests.", examples=[30])
    prompt: Amount | None = Field(default=None, description="Tokens of prompts.", examples=["1M"])
    completion: Amount | None = Field(
        default=None, description="Tokens of answers, reasoning included.", examples=["50k"]
    )
    reasoning: Amount | None = Field(default=None, description="Tokens of reasoning.", examples=["20k"])
    streams: Amount | None = Field(default=None, description="Streams at the same time.", examples=[4])
    logprob_values: Amount | None = Field(
        default=None,
        description="Log-probabilities: with each token of an answer as many as may leave. Where `top` bounds them the app"
        " is asked for no fewer, so these count; else as many as were asked. A value that was given before counts again.",
        examples=["100k"],
    )
    embeddings: Amount | None = Field(
        default=None,
        description="Embedding vectors: as many as are asked for, or as come where these are more. One that comes in two"
        " types counts twice.",
        examples=["10k"],
    )
    per: Seconds | None = Field(
        default=None,
        description="The time in which that many come back; only `streams` does without.",
        examples=["1m"],
    )
    burst: Amount | None = Field(
        default=None,
        description="How many may be spent at once; left out, as many as the unit says.",
        examples=["120k"],
    )
    window: Window = Field(
        default="even",
        description="How they come back: `even`, a little with each second, or `sliding`, when the time in which they"
        " were spent is `per` ago; then there is no `burst`.",
        examples=["sliding"],
    )
    by: CountedBy = Field(
        default="account",
        description="Who shares it: all callers, all accounts of an organisation, one account, one key of an account, or one account"
        " for each model that it names. Where there is no organisation or no key, the account.",
        examples=["org"],
    )
    max_debt: Amount | None = Field(
        default=None,
        description="How many an answer may owe beyond the burst under `at_limit: finish`; left out, as many as `burst`.",
        examples=["20k"],
    )

    @model_validator(mode="after")
    def _one_unit(self) -> LimitSpec:
        if len(self._units()) != 1:
            raise ValueError(f"exactly one unit of {', '.join(UNITS)}")
        if self.per is None and self.streams is None:
            raise ValueError("`per`, such as `per: 1m` (only streams may do without)")
        if self.window == "sliding" and self.burst is not None:
            raise ValueError(
                "`burst` or `window: sliding`, not both: of a sliding window all may be spent at once"
            )
        if self.window == "sliding" and self.streams is not None:
            raise ValueError("no `window: sliding` for streams: they are held, not spent")
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


class Match(Strict):
    """Which requests: all keys must hold, each by any of its patterns (globs with *)."""

    account: Patterns | None = Field(
        default=None, description="The id of the account, or of its organisation.", examples=["acct_9*"]
    )
    group: Patterns | None = Field(
        default=None,
        description="A declared group that the account is in.",
        examples=[["partner", "internal"]],
    )
    model: Patterns | None = Field(
        default=None,
        description="The model that the request names, in any case of letters.",
        examples=["glass-*"],
    )
    door: Patterns | None = Field(
        default=None,
        description="A format, a path of `doors`, or a built-in door by its own name (/chat/completions, /v1/messages).",
        examples=["openai_chat"],
    )
    header: Annotated[dict[HeaderName, Patterns], Field(min_length=1)] | None = Field(
        default=None,
        description="Headers by name, and what their value must be.",
        examples=[{"x-tenant": "red*"}],
    )
    client: Patterns | None = Field(
        default=None,
        description="The TCP peer: an address, a network, or a glob.",
        examples=["10.0.0.0/8"],
    )


class Refuse(Strict):
    """The answer of a rule that ends the walk with a no."""

    status: Status = Field(default=403, description="The status of the answer.", examples=[403])
    message: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default="this request is not allowed",
        description="What the caller reads, in the shape of the API's own errors.",
        examples=["glass is open to launch partners"],
    )


class Rule(Settings, Enforcement):
    """Settings for the requests that it matches; `exempt` and `refuse` end the walk."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"exempt": {"const": False}, "refuse": False}},
                {"properties": dict.fromkeys((*Settings.model_fields, "refuse"), False)},
                {"properties": dict.fromkeys(Settings.model_fields, False) | {"exempt": {"const": False}}},
            ]
        },
    )

    name: Name = Field(
        description="What receipts and messages call it; unique in its file.", examples=["launch"]
    )
    match: Match = Field(
        default=Match(), description="The requests it is for; left out, all.", examples=[{"model": "glass-*"}]
    )
    # "except" is a word of Python, so the field has a name of its own.
    unless: Annotated[Match, Field(json_schema_extra={"minProperties": 1})] | None = Field(
        default=None,
        alias="except",
        description="The requests it is not for, although they match.",
        examples=[{"group": "partner"}],
    )
    until: Day | None = Field(
        default=None, description="It acts through the day before, in UTC.", examples=["2027-03-31"]
    )
    exempt: bool = Field(
        default=False,
        description="Nothing is done to these requests and nothing counted; no rule after it is looked at.",
        examples=[True],
    )
    refuse: Refuse | None = Field(
        default=None,
        description="These requests are refused; no rule after it is looked at.",
        examples=[{"status": 403}],
    )

    @model_validator(mode="after")
    def _one_end(self) -> Rule:
        if self.exempt and self.refuse is not None:
            raise ValueError("`exempt` or `refuse`, not both")
        if self.unless == Match():
            raise ValueError("an `except` that names something (an empty one excepts every request)")
        beside = sorted(self.model_fields_set & set(Settings.model_fields))
        if beside and (self.exempt or self.refuse is not None):
            end = "exempt" if self.exempt else "refuse"
            named = ", ".join(f"`{key}`" for key in beside)
            raise ValueError(f"`{end}` without {named}: it ends the walk, so they would never act")
        if not self._holds_for_good():
            forbid_rotation(
                self, "in a rule that ends, acts for some or matches more than `model` and `door`"
            )
        return self

    def _holds_for_good(self) -> bool:
        """Whether the rule says the same of one model at one door, whoever asks and whenever."""
        matches = [match for match in (self.match, self.unless) if match is not None]
        fixed = all(match.model_fields_set <= {"model", "door"} for match in matches)
        return fixed and self.until is None and self.mode != "shadow" and self.enforce in (None, 1.0)


class PolicyFile(Strict):
    """A whole policy file."""

    version: Version = Field(description="The version of this language; always 1.", examples=[1])
    extends: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The parent: a preset, or a path seen from this file's folder. Maps merge, lists replace, "
        "a rule of the same name replaces in place.",
        examples=["baseline"],
    )
    name: Name | None = Field(
        default=None,
        description="What receipts call this policy; left out, the file or its folder.",
        examples=["acme-prod"],
    )
    mode: Mode = Field(
        default="enforce",
        description="`shadow` changes nothing for anybody and reports what would be. HARDENING_MODE=shadow wins.",
        examples=["shadow"],
    )
    disclose: bool = Field(
        default=True,
        description="Whether answers say in the header `x-hardening` what was done to them, and in the API's own"
        " headers what is left of the account's limits; with bands these tell what a request counts.",
        examples=[True],
    )
    accounts: Accounts = Field(default=Accounts(), description="Who asks.")
    doors: Annotated[Doors, BeforeValidator(split_doors)] = Field(
        default=Doors(), description="The paths of this app."
    )
    families: dict[Name, Patterns] = Field(
        default_factory=dict,
        description="Models that may read one another's sealed traces, by a name of your own: those between which agents change in"
        " the midst of a turn. Editions of one model need none. What one model thought another may be made to repeat: name those"
        " that guard it alike.",
        examples=[{"claude": ["claude-opus-*", "claude-sonnet-*"]}],
    )
    limits: dict[Name, LimitSpec] = Field(
        default_factory=dict,
        description="Limits by name; `defaults` and rules say who spends them.",
        examples=[{"minute": {"tokens": "60k", "per": "1m", "burst": "120k"}}],
    )
    defaults: Settings = Field(default=Settings(), description="What everybody gets.")
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="What lies over `defaults`, in order.",
        examples=[[{"name": "launch", "refuse": {"status": 403}}]],
    )
    risk: RiskSpec = Field(
        default=RiskSpec(),
        description="What standing does; it only tightens. Requests of proven accounts are scored, and an operator's word"
        " (`hardening accounts flag`) stands above that.",
    )
    on_failure: OnFailure = Field(default=OnFailure(), description="What happens when something fails.")
    runtime: RuntimeSpec = Field(default=RuntimeSpec(), description="Where it runs; no part of the digest.")
