"""The typed model of a policy file: its keys are the field names of these classes.

Nothing here decides; `compile.py` turns a `PolicyFile` into the prepared `Policy`. References between
sections (a rule that names a group) are checked on the file's nodes, in `references.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from hardening.facts import Mode, Unit
from hardening.policy.quantities import Amount, ByteSize, Count, Day, Network, Seconds
from hardening.policy.settings import Enforcement, Name, Names, Patterns, Settings, Strict, as_tuple

FORMATS = (
    "anthropic_messages",
    "bedrock_converse",
    "cohere_chat",
    "cohere_embed",
    "gemini_embed",
    "gemini_generate",
    "mistral_conversations",
    "ollama_chat",
    "ollama_embed",
    "ollama_generate",
    "openai_chat",
    "openai_completions",
    "openai_embeddings",
    "openai_responses",
)
"""Every format that a door of an app may be declared to speak."""

_STORES = ("memory://", "sqlite:///", "redis://", "rediss://", "redis+cluster://")


def _read_identity(value: object) -> str:
    allowed = ("app", "bearer", "client")
    if isinstance(value, str) and (value in allowed or (value.startswith("header:") and len(value) > 7)):
        return value.lower()
    raise ValueError("app, bearer, client or header:<name>")


def _read_path(value: object) -> str:
    if isinstance(value, str) and value.startswith("/") and "?" not in value and "#" not in value:
        return value
    raise ValueError("a path that begins with /, without query, or `unknown`")


def _read_door(value: object) -> str:
    if isinstance(value, str) and (value == "pass" or value in FORMATS):
        return value
    raise ValueError(f"pass or a format ({', '.join(FORMATS)})")


def _read_store(value: object) -> str:
    if isinstance(value, str) and value.startswith(_STORES):
        return value
    raise ValueError(f"an address that begins with {', '.join(_STORES)}")


def _read_status(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and (400 <= value < 500 or value == 503):
        return value
    raise ValueError("a status from 400 to 499, or 503")


class Unproven(Strict):
    """The pool that requests of one client network spend until somebody vouched for the caller."""

    limits: Names | None = None


class Accounts(Strict):
    """How a caller is told, who may name one, and which groups there are."""

    identify: Annotated[
        tuple[Annotated[str, BeforeValidator(_read_identity)], ...], BeforeValidator(as_tuple)
    ] = ("app", "bearer", "header:x-api-key", "client")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(as_tuple)] = ()
    unproven: Unproven = Unproven()
    groups: dict[Name, Annotated[tuple[str, ...], BeforeValidator(as_tuple)]] = Field(default_factory=dict)


def _split_doors(value: object) -> object:
    """`unknown` apart from the paths, which are the other keys."""
    if not isinstance(value, dict) or "own" in value:
        return value
    own = {key: target for key, target in value.items() if key != "unknown"}
    return {**({"unknown": value["unknown"]} if "unknown" in value else {}), "own": own}


class Doors(Strict):
    """Which of the app's own paths speak which format, and what happens to paths nobody knows."""

    own: dict[Annotated[str, BeforeValidator(_read_path)], Annotated[str, BeforeValidator(_read_door)]] = (
        Field(default_factory=dict)
    )
    unknown: Literal["report", "block"] = "report"


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


class Match(Strict):
    """Which requests: all keys must hold, each by any of its patterns (globs with *)."""

    account: Patterns | None = None
    group: Patterns | None = None
    model: Patterns | None = None
    door: Patterns | None = None
    header: dict[str, Patterns] | None = None
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


class OnFailure(Strict):
    """What happens when a body, the store or our own code fails, or unknown text appears."""

    unreadable: Literal["block", "pass"] = "block"
    store: Literal["local", "reject", "allow"] = "local"
    internal: Literal["block", "pass"] = "block"
    unknown_text: Literal["report", "hide"] = "report"


class KeySource(Strict):
    """Where a secret is read: a file, or a variable of the environment; never the secret itself."""

    file: Annotated[str, Field(min_length=1)] | None = None
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> KeySource:
        if (self.file is None) == (self.env is None):
            raise ValueError("exactly one of `file` and `env`")
        return self


class KeySpec(Strict):
    """The secret in use, and those whose seals are still read."""

    current: KeySource | None = None
    previous: Annotated[tuple[KeySource, ...], BeforeValidator(as_tuple)] = ()


class AuditFile(Strict):
    """Receipts as JSON Lines into a file."""

    file: str


def _read_audit(value: object) -> object:
    if value in ("stdout", "none"):
        return value
    if (
        isinstance(value, dict)
        and list(value) == ["file"]
        and isinstance(value["file"], str)
        and value["file"]
    ):
        return AuditFile(file=value["file"])
    raise ValueError("stdout, none or {file: PATH}")


class RuntimeSpec(Strict):
    """Where the software runs; outside the digest, and the environment wins."""

    state: Annotated[str, BeforeValidator(_read_store)] = "memory://"
    keys: KeySpec = KeySpec()
    audit: Annotated[Literal["stdout", "none"] | AuditFile, BeforeValidator(_read_audit)] = "none"
    max_body: ByteSize = 32_000_000


class PolicyFile(Strict):
    """A whole policy file."""

    version: Literal[1]
    extends: Annotated[str, Field(min_length=1)] | None = None
    name: Name | None = None
    mode: Mode = "enforce"
    disclose: bool = True
    accounts: Accounts = Accounts()
    doors: Annotated[Doors, BeforeValidator(_split_doors)] = Doors()
    limits: dict[Name, LimitSpec] = Field(default_factory=dict)
    defaults: Settings = Settings()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()
    risk: RiskSpec = RiskSpec()
    on_failure: OnFailure = OnFailure()
    runtime: RuntimeSpec = RuntimeSpec()
