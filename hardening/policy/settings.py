"""The part of the file model that defaults, rules and bands share: what is done to a response."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hardening.facts import AtLimit, Inline, Mode, Show, UsageTerms
from hardening.policy.quantities import Factor, PerSecond, Share, TokenBound
from hardening.policy.terms import Terms


class Strict(BaseModel):
    """A mapping of the file: only declared keys, no coercion, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def as_tuple(value: object) -> object:
    """A tuple of a YAML list; anything else is left for the type to refuse."""
    return tuple(value) if isinstance(value, list) else value


def one_or_more(value: object) -> object:
    """A tuple of a YAML list, or of the one text that stands in its place."""
    return (value,) if isinstance(value, str) else as_tuple(value)


Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]
Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1), BeforeValidator(one_or_more)]


def _read_grid(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 16:
        return float(value)
    raise ValueError("a number from 0 to 16")


def _read_top(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:
        return value
    if value == "all":
        return "all"
    raise ValueError("a whole number from 0 to 1000, or all")


Grid = Annotated[float, BeforeValidator(_read_grid)]
Top = Annotated[int | Literal["all"], BeforeValidator(_read_top)]


class Reasoning(Strict):
    """What becomes of the reasoning trace."""

    show: Show | None = None
    max_tokens: TokenBound | None = None
    seal: bool | None = None
    inline: Inline | None = None


class Logprobs(Strict):
    """What becomes of log-probabilities: how many a position, on which grid, with which noise (nats)."""

    top: Top | None = None
    step: Grid | None = None
    noise: Grid | None = None


class Embeddings(Strict):
    """What becomes of embedding values."""

    step: Grid | None = None
    noise: Grid | None = None


class Settings(Strict):
    """What is done to a response; every field may be left out."""

    limits: Names | None = None
    reasoning: Reasoning | None = None
    logprobs: Logprobs | None = None
    embeddings: Embeddings | None = None
    usage: UsageTerms | None = None
    at_limit: AtLimit | None = None
    pace: PerSecond | None = None
    max_tokens: TokenBound | None = None
    charge: Factor | None = None

    def terms(self) -> Terms:
        """The same settings as a flat record."""
        reasoning = self.reasoning or Reasoning()
        logprobs = self.logprobs or Logprobs()
        embeddings = self.embeddings or Embeddings()
        return Terms(
            limits=self.limits,
            show=reasoning.show,
            summary_tokens=reasoning.max_tokens,
            seal=reasoning.seal,
            inline=reasoning.inline,
            top=logprobs.top,
            logprob_step=logprobs.step,
            logprob_noise=logprobs.noise,
            embedding_step=embeddings.step,
            embedding_noise=embeddings.noise,
            usage=self.usage,
            at_limit=self.at_limit,
            max_tokens=self.max_tokens,
            pace_per_s=self.pace,
            charge=self.charge,
        )


class Enforcement(Strict):
    """Whether a rule or band acts, and for which share of accounts; for the others it is in shadow."""

    mode: Mode | None = None
    enforce: Share | None = None
