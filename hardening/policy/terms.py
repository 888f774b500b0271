"""Terms: the settings that defaults, rules and bands share, each with its order of strictness.

`overlay` is what a rule does (it replaces what it names), `stricter` is what a band does (each
field becomes the stricter of both). None means that nothing is said about a field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from hardening.facts import AtLimit, Detail, Inline, Pins, Repeats, Resent, Sampling, Show, UsageTerms

ALL: Literal["all"] = "all"
"""The value of `logprobs.top` that keeps every alternative the server sent."""


def _by(pick: Callable[[Any, Any], Any], order: str) -> dict[str, Any]:
    """The note at a field that `pick` gives the stricter of two values; `order` says so to people."""
    return {"pick": pick, "order": order}


def _ranked(*from_loose_to_strict: object) -> dict[str, Any]:
    """The note at a field whose values are strict in the order given."""
    order = {value: rank for rank, value in enumerate(from_loose_to_strict)}
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in from_loose_to_strict]
    return _by(lambda a, b: max(a, b, key=order.__getitem__), f"{', '.join(words)} (from loose to strict)")


def _smaller() -> dict[str, Any]:
    return _by(min, "smaller is stricter")


def _larger() -> dict[str, Any]:
    return _by(max, "larger is stricter")


def _fewer(a: int | str, b: int | str) -> int | str:
    return min(a, b, key=lambda value: float("inf") if value == ALL else float(value))


def _both(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return a + tuple(name for name in b if name not in a)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator said about one field each; None where nothing was said."""

    limits: tuple[str, ...] | None = field(
        default=None, metadata=_by(_both, "both lists together are stricter")
    )
    show: Show | None = field(default=None, metadata=_ranked("full", "summary", "none"))
    summary_tokens: int | None = field(default=None, metadata=_smaller())
    detail: Detail | None = field(default=None, metadata=_ranked("outline", "brief"))
    overlap: Repeats | None = field(default=None, metadata=_ranked("ignore", "report", "stop"))
    seal: bool | None = field(default=None, metadata=_ranked(True, False))
    resent: Resent | None = field(default=None, metadata=_ranked("any", "sealed"))
    inline: Inline | None = field(default=None, metadata=_ranked("never", "tagged", "starts_open"))
    top: int | Literal["all"] | None = field(
        default=None, metadata=_by(_fewer, "smaller is stricter, `all` is the loosest")
    )
    logprob_step: float | None = field(default=None, metadata=_larger())
    logprob_noise: float | None = field(default=None, metadata=_larger())
    sampling: Sampling | None = field(default=None, metadata=_ranked("any", "plain"))
    embedding_step: float | None = field(default=None, metadata=_larger())
    embedding_noise: float | None = field(default=None, metadata=_larger())
    embedding_rotate: bool | None = field(default=None, metadata=_ranked(False, True))
    embedding_adaptive: float | None = field(default=None, metadata=_larger())
    embedding_benign: float | None = field(default=None, metadata=_smaller())
    embedding_keep: float | None = field(default=None, metadata=_smaller())
    score_step: float | None = field(default=None, metadata=_larger())
    pins: Pins | None = field(default=None, metadata=_ranked("allow", "force", "refuse"))
    usage: UsageTerms | None = field(default=None, metadata=_ranked("keep", "round", "drop"))
    at_limit: AtLimit | None = field(default=None, metadata=_ranked("finish", "slow", "cut"))
    max_tokens: int | None = field(default=None, metadata=_smaller())
    pace_per_s: float | None = field(default=None, metadata=_smaller())
    charge: float | None = field(default=None, metadata=_larger())
    scale: float | None = field(default=None, metadata=_smaller())


_PICKS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = tuple(
    (item.name, item.metadata["pick"]) for item in fields(Terms)
)

NOTHING = Terms()

UNSAID = Terms(
    limits=(),
    show="full",
    summary_tokens=160,
    detail="outline",
    overlap="report",
    seal=False,
    resent="any",
    inline="tagged",
    top=ALL,
    logprob_step=0.0,
    logprob_noise=0.0,
    sampling="plain",
    embedding_step=0.0,
    embedding_noise=0.0,
    embedding_rotate=False,
    embedding_adaptive=0.0,
    embedding_benign=1.0,
    embedding_keep=1.0,
    score_step=0.0,
    pins="allow",
    usage="keep",
    at_limit="cut",
    charge=1.0,
    scale=1.0,
)
"""What holds for fields that not even `defaults` names; None is the loosest of the two that are left."""


def order_of(name: str) -> str:
    """What is stricter for a field, in words: its values from loose to strict, or which of two it is."""
    return str(next(item.metadata["order"] for item in fields(Terms) if item.name == name))


def overlay(below: Terms, above: Terms) -> Terms:
    """`below`, with every field replaced that `above` names."""
    said = {name: value for name, _ in _PICKS if (value := getattr(above, name)) is not None}
    return replace(below, **said)


def stricter(a: Terms, b: Terms) -> Terms:
    """The stricter value of each field; a field that only one side names is taken from there."""
    merged: dict[str, Any] = {}
    for name, pick in _PICKS:
        left, right = getattr(a, name), getattr(b, name)
        merged[name] = right if left is None else left if right is None else pick(left, right)
    return Terms(**merged)
