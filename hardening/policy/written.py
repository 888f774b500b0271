"""The keys of a policy as Python takes them: what `Policy(...)` may be given, typed key by key.

They are those of a policy file and mean the same; the model checks both. Quantities, durations, rates,
shares and factors are written as in a file (`"60k"`, `"1m"`, `"20/s"`, `"10%"`, `"4x"`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, TypedDict

from hardening.facts import (
    AtLimit,
    CountedBy,
    Detail,
    Inline,
    Mode,
    Pins,
    Repeats,
    Resent,
    Sampling,
    Show,
    UsageTerms,
    Window,
)

Quantity = int | float | str
"""A number, or the text that a file would have in its place."""

Patterns = str | Sequence[str]
"""A glob, or any of a list of them."""


class ReasoningKeys(TypedDict, total=False):
    """What becomes of the reasoning trace."""

    show: Show
    max_tokens: Quantity
    detail: Detail
    overlap: Repeats
    seal: bool
    resent: Resent
    inline: Inline


class LogprobKeys(TypedDict, total=False):
    """What becomes of log-probabilities."""

    top: int | Literal["all"]
    step: float
    noise: float
    sampling: Sampling


class EmbeddingKeys(TypedDict, total=False):
    """What becomes of embedding values."""

    step: float
    noise: float
    rotate: bool
    adaptive: float
    benign: str
    keep: str


class ScoreKeys(TypedDict, total=False):
    """What becomes of scores."""

    step: float


class SettingKeys(TypedDict, total=False):
    """What is done to a response."""

    limits: Sequence[str]
    reasoning: ReasoningKeys
    logprobs: LogprobKeys
    embeddings: EmbeddingKeys
    scores: ScoreKeys
    pins: Pins
    usage: UsageTerms
    at_limit: AtLimit
    pace: str
    max_tokens: Quantity
    charge: str
    scale: str


class LimitKeys(TypedDict, total=False):
    """One allowance: one unit, and the time it is for."""

    tokens: Quantity
    requests: Quantity
    prompt: Quantity
    completion: Quantity
    reasoning: Quantity
    streams: Quantity
    logprob_values: Quantity
    embeddings: Quantity
    per: str
    burst: Quantity
    window: Window
    by: CountedBy
    max_debt: Quantity


class MatchKeys(TypedDict, total=False):
    """Which requests: all keys must hold, each by any of its patterns."""

    account: Patterns
    group: Patterns
    model: Patterns
    door: Patterns
    header: Mapping[str, Patterns]
    client: Patterns


class RefuseKeys(TypedDict, total=False):
    """The answer of a rule that ends the walk with a no."""

    status: int
    message: str


class EnforcementKeys(TypedDict, total=False):
    """Whether something acts, and for which share of the accounts."""

    mode: Mode
    enforce: str


# `except` is a word of Python, so this part is written as a call.
_ExceptKeys = TypedDict("_ExceptKeys", {"except": MatchKeys}, total=False)


class _NameKeys(TypedDict):
    name: str


class RuleKeys(_NameKeys, SettingKeys, EnforcementKeys, _ExceptKeys, total=False):
    """Settings for the requests that it matches; `exempt` and `refuse` end the walk."""

    match: MatchKeys
    until: str | date
    exempt: bool
    refuse: RefuseKeys


class ThresholdKeys(TypedDict, total=False):
    """Until when an account counts as new."""

    requests: Quantity
    age: str


class NewKeys(SettingKeys):
    """What holds for accounts that are not known yet."""

    until: ThresholdKeys


class BandKeys(SettingKeys, EnforcementKeys):
    """What holds while an account's risk is in a band."""

    enter: float
    leave: float


class RiskKeys(TypedDict, total=False):
    """What standing does."""

    new: NewKeys
    bands: Mapping[str, BandKeys]
    priors: Mapping[str, Mapping[str, str]]
    max_flagged: str
    above_max: Literal["alarm", "shadow"]
    retention: str


class UnprovenKeys(TypedDict, total=False):
    """What requests spend until somebody vouched for the caller."""

    limits: Sequence[str]


class AccountKeys(TypedDict, total=False):
    """How a caller is told, who may name one, and which groups there are."""

    identify: Sequence[str]
    trusted_proxies: Sequence[str]
    limits_path: str
    unproven: UnprovenKeys
    groups: Mapping[str, Sequence[str]]


class FailureKeys(TypedDict, total=False):
    """What happens when something fails."""

    unreadable: Literal["block", "pass"]
    store: Literal["local", "reject", "allow"]
    internal: Literal["block", "pass"]
    unknown_text: Literal["report", "hide"]


class KeySourceKeys(TypedDict, total=False):
    """Where a secret is read; never the secret itself."""

    file: str
    env: str


class SecretKeys(TypedDict, total=False):
    """The secret in use, and those before it."""

    current: KeySourceKeys
    previous: Sequence[KeySourceKeys]


class AuditKeys(TypedDict):
    """Receipts into a file."""

    file: str


class RuntimeKeys(TypedDict, total=False):
    """Where the software runs."""

    state: str
    keys: SecretKeys
    audit: Literal["stdout", "none"] | AuditKeys
    max_body: Quantity
    calibration: str


class PolicyKeys(TypedDict, total=False):
    """A whole policy."""

    version: Literal[1]
    extends: str
    name: str
    mode: Mode
    disclose: bool
    accounts: AccountKeys
    doors: Mapping[str, str]
    families: Mapping[str, Patterns]
    limits: Mapping[str, LimitKeys]
    defaults: SettingKeys
    rules: Sequence[RuleKeys]
    risk: RiskKeys
    on_failure: FailureKeys
    runtime: RuntimeKeys
