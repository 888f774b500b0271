"""The part of the file model about standing: what holds for new accounts, and for bands of risk."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from hardening.policy.priors import PriorSpecs
from hardening.policy.quantities import Count, Seconds, Share, written
from hardening.policy.settings import Enforcement, Name, Settings, Strict, forbid_rotation

_RISK = "a number from 0 to 1"


def _read_risk(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(_RISK)


Risk = Annotated[
    float, BeforeValidator(_read_risk), written(_RISK, {"type": "number", "minimum": 0, "maximum": 1})
]


def _merged_new(schema: dict[str, Any]) -> None:
    """The schema of `new`: no `embeddings.rotate`, and what is required may stand in a parent."""
    schema["x-whole"] = {"required": schema.pop("required")}
    rotating = {"properties": {"embeddings": {"required": ["rotate"]}}, "required": ["embeddings"]}
    schema["not"] = rotating


def _merged_band(schema: dict[str, Any]) -> None:
    """The schema of a band: as of `new`, without `limits`."""
    del schema["properties"]["limits"]
    _merged_new(schema)


class Threshold(Strict):
    """Until when an account counts as new: until BOTH are passed."""

    model_config = ConfigDict(
        json_schema_extra={"x-whole": {"anyOf": [{"required": ["requests"]}, {"required": ["age"]}]}}
    )

    requests: Count = Field(default=0, description="Requests since it was first seen.", examples=[50])
    age: Seconds | None = Field(
        default=None, description="The time since it was first seen.", examples=["1d"]
    )

    @model_validator(mode="after")
    def _some(self) -> Threshold:
        if not self.requests and self.age is None:
            raise ValueError("`requests`, `age` or both")
        return self


class New(Settings):
    """What holds for accounts that are not known yet, on top of everything else; its `limits` are for them alone."""

    model_config = ConfigDict(json_schema_extra=_merged_new)

    until: Threshold = Field(
        description="How long an account counts as new: until both are passed. Required, here or in a parent.",
        examples=[{"requests": 50, "age": "1d"}],
    )

    @model_validator(mode="after")
    def _keeps_indexes(self) -> New:
        forbid_rotation(self, "for new accounts")
        return self


class Band(Settings, Enforcement):
    """What holds while an account's risk is in a band; it only tightens."""

    model_config = ConfigDict(json_schema_extra=_merged_band)

    enter: Risk = Field(
        description="The risk at which an account enters. Required, here or in a parent.", examples=[0.5]
    )
    leave: Risk = Field(
        description="The risk below which it leaves. Required, here or in a parent.", examples=[0.4]
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> Band:
        if self.leave > self.enter:
            raise ValueError("a `leave` that is not above `enter`")
        if self.limits is not None:
            raise ValueError("no `limits` in a band (they are charged before it is known): use `charge`")
        forbid_rotation(self, "in a band")
        return self


class RiskSpec(Strict):
    """What standing does: a prior for new accounts, and bands of risk."""

    new: New | None = Field(default=None, description="What holds for accounts that are not known yet.")
    bands: dict[Name, Band] = Field(
        default_factory=dict,
        description="Bands by name. An account in one is in all below it too.",
        examples=[{"watch": {"enter": 0.5, "leave": 0.4, "charge": "4x"}}],
    )
    priors: PriorSpecs = Field(
        default_factory=dict,
        description="How much likelier each value of an attribute makes it that an account copies; the app names attributes"
        " (`Account(id, attributes={...})`). No prior brings anybody into a band: it counts for half of the way at most.",
        examples=[{"plan": {"trial": "2x", "enterprise": "0.5x"}, "payment": {"card_9c*": "4x"}}],
    )
    max_flagged: Share = Field(
        default=0.05,
        description="The share of the accounts seen lately that may be in a band before an alarm is raised. Nobody leaves a band for it.",
        examples=["1%"],
        json_schema_extra={"x-unsaid": "5%"},
    )
    above_max: Literal["alarm", "shadow"] = Field(
        default="alarm",
        description="What happens above `max_flagged`: an alarm, or with it all bands in shadow until the share has fallen. Then a flood of"
        " accounts that get themselves flagged ends the bands for all.",
        examples=["alarm"],
    )
    retention: Seconds = Field(
        default=30 * 86400.0,
        description="How long what its requests have said is kept of an account that asks nothing any more.",
        examples=["30d"],
        json_schema_extra={"x-unsaid": "30d"},
    )
