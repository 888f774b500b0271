"""The part of the file model about where the software stands: callers, doors, failures, runtime."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from hardening.policy.quantities import ByteSize, Network
from hardening.policy.settings import Name, Names, Strict, as_tuple

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


def split_doors(value: object) -> object:
    """`unknown` apart from the paths, which are the other keys."""
    if not isinstance(value, dict):
        return value
    own = {key: target for key, target in value.items() if key != "unknown"}
    return {**({"unknown": value["unknown"]} if "unknown" in value else {}), "own": own}


class Doors(Strict):
    """Which of the app's own paths speak which format, and what happens to paths nobody knows."""

    own: dict[Annotated[str, BeforeValidator(_read_path)], Annotated[str, BeforeValidator(_read_door)]] = (
        Field(default_factory=dict)
    )
    unknown: Literal["report", "block"] = "report"


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
