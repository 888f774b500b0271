"""The part of the file model about where the software stands: callers, doors, failures, runtime."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from hardening.policy.quantities import SIZE, Network, written
from hardening.policy.settings import Name, Names, Pattern, Strict, as_tuple

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
    "scores",
)
"""Every format that a door of an app may be declared to speak."""

HEADER = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
"""The name of a header, as a regular expression."""

_STORES = ("memory://", "sqlite:///", "redis://", "rediss://", "redis+cluster://", "rediss+cluster://")
_RESERVED = {
    "x-consumer-id": "x-consumer-id is read from `trusted_proxies` alone",
    "authorization": "authorization is read by `bearer`",
}

_VARIABLE = {"type": "string", "pattern": r"\$\{"}
"""Beside each value under `runtime`: one that the environment fills in."""

_IDENTITY = "app, bearer, client or header:<name>"
_PATH = "a path that begins with /, without query, with * as its last part only, or `unknown` or `kept`"
_TERMS = ("unknown", "kept")
"""The keys of `doors` that are no paths."""

_LIMITS_PATH = "a path that begins with / and ends with a name, without query and *, such as /v1/limits"
_DOOR = f"pass or a format ({', '.join(FORMATS)})"
_STORE = f"an address that begins with {', '.join(_STORES)}"
_AUDIT = "stdout, none or {file: PATH}"


def _read_identity(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if text in ("app", "bearer", "client"):
        return text
    header = re.fullmatch(f"header:({HEADER})", text)
    if header is None:
        raise ValueError(_IDENTITY)
    if reason := _RESERVED.get(header[1].lower()):
        raise ValueError(f"{_IDENTITY}; {reason}")
    return text.lower()


def _read_path(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"/[^?#*]*|/(?:[^?#*]*/)?\*", value):
        return value
    raise ValueError(_PATH)


def _read_limits_path(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"/[^?#*]*[^?#*/]", value):
        return value
    raise ValueError(_LIMITS_PATH)


def _read_door(value: object) -> str:
    if isinstance(value, str) and (value == "pass" or value in FORMATS):
        return value
    raise ValueError(_DOOR)


def _read_store(value: object) -> str:
    if isinstance(value, str) and value.startswith(_STORES):
        return value
    raise ValueError(_STORE)


Identity = Annotated[
    str,
    BeforeValidator(_read_identity),
    written(
        _IDENTITY,
        {"enum": ["app", "bearer", "client"]},
        {"type": "string", "pattern": f"^header:(?!({'|'.join(_RESERVED)})$){HEADER}$"},
    ),
]
Path = Annotated[str, BeforeValidator(_read_path)]
LimitsPath = Annotated[
    str,
    BeforeValidator(_read_limits_path),
    written(_LIMITS_PATH, {"type": "string", "pattern": r"^/[^?#*]*[^?#*/]$"}),
]
DoorFormat = Annotated[str, BeforeValidator(_read_door), written(_DOOR, {"enum": ["pass", *FORMATS]})]
Store = Annotated[
    str,
    BeforeValidator(_read_store),
    written(
        _STORE,
        {"type": "string", "pattern": f"^({'|'.join(re.escape(store) for store in _STORES)})"},
        _VARIABLE,
    ),
]
FileName = Annotated[
    str, Field(min_length=1), written("the name of a file", {"type": "string", "minLength": 1})
]
VariableName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    written("the name of a variable", {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, _VARIABLE),
]
BodySize = Annotated[
    int,
    SIZE,
    written(SIZE.allowed, *SIZE.ways(), _VARIABLE),
]


class Unproven(Strict):
    """The pool that requests of one client network spend until somebody vouched for the caller."""

    limits: Names | None = Field(
        default=None,
        description="The limits of that pool, by their names under `limits`; left out, those of `defaults`.",
        examples=[["trial"]],
    )


class Accounts(Strict):
    """How a caller is told, who may name one, and which groups there are."""

    identify: Annotated[tuple[Identity, ...], Field(min_length=1), BeforeValidator(as_tuple)] = Field(
        default=("app", "bearer", "header:x-api-key", "client"),
        description="Where the account is read; the first that is there counts. `app` is what the app handed over.",
        examples=[["bearer", "client"]],
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="Only these TCP peers may name the account, by the header `x-consumer-id`; it comes before `identify`.",
        examples=[["10.0.0.0/8"]],
    )
    unproven: Unproven = Field(default=Unproven(), description="What callers spend before they are proven.")
    limits_path: LimitsPath | None = Field(
        default=None,
        description="A path at which a proven account reads, by GET, what is left of its own limits and those of its"
        " organisation; left out, there is none. It is answered here, and tells nothing where `disclose` is false.",
        examples=["/v1/limits"],
    )
    groups: dict[Name, Annotated[tuple[Pattern, ...], BeforeValidator(as_tuple)]] = Field(
        default_factory=dict,
        description="Groups by name: ids of accounts or organisations, globs with `*`, key fingerprints; never keys. "
        "`[]` declares a group that the app hands over. Only proven accounts are in groups.",
        examples=[{"partner": ["org_acme", "acct_9*"], "beta": []}],
    )


def split_doors(value: object) -> object:
    """`unknown` and `kept` apart from the paths, which are the other keys."""
    if not isinstance(value, dict):
        raise ValueError("a mapping of paths to formats, `unknown` and `kept`")
    own = {key: target for key, target in value.items() if key not in _TERMS}
    return {**{key: value[key] for key in _TERMS if key in value}, "own": own}


def _doors_as_written(schema: dict[str, Any]) -> None:
    """The schema of the file: paths are keys beside the others."""
    own = schema["properties"].pop("own")
    paths = {"description": own["description"], "examples": own["examples"]}
    schema["patternProperties"] = {r"^/([^?#*]*|([^?#*]*/)?\*)$": {**own["additionalProperties"], **paths}}


class Doors(Strict):
    """Which of the app's own paths speak which format, and what happens to paths nobody knows."""

    model_config = ConfigDict(json_schema_extra=_doors_as_written)

    own: dict[Path, DoorFormat] = Field(
        default_factory=dict,
        description="A path of this app and the format that it speaks, or `pass` for one that is left alone; "
        "`/x/*` names everything below `/x`.",
        examples=["openai_chat"],
    )
    unknown: Literal["report", "block"] = Field(
        default="report",
        description="What a request other than GET gets at a path that nobody declared: it is passed, and counted "
        "where the answer looks like a model's, or it is refused, and so is a websocket.",
        examples=["block"],
    )
    kept: Literal["now", "then", "strictest"] = Field(
        default="now",
        description="How an answer is given that the server kept (GET of a stored response): as its account stands now; with the reasoning,"
        " log-probabilities and counts of the highest band as well that the account was in within `risk.retention`; or with those of the strictest band,"
        " which is also what `then` gives to whom the store does not know, and what it gives with `memory://`, which forgets.",
        examples=["then"],
    )


class OnFailure(Strict):
    """What happens when a body, the store or our own code fails, or unknown text appears."""

    unreadable: Literal["block", "pass"] = Field(
        default="block", description="A request or an answer that cannot be read.", examples=["block"]
    )
    store: Literal["local", "reject", "allow"] = Field(
        default="local",
        description="The store does not answer: go on in each process from what was last seen left, refuse with 503, or do not count.",
        examples=["local"],
    )
    internal: Literal["block", "pass"] = Field(
        default="block", description="A fault of this software itself.", examples=["block"]
    )
    unknown_text: Literal["report", "hide"] = Field(
        default="report",
        description="Text in a field of the answer that no format declares: the field is named in the log, and "
        "with `hide` what it says is kept back as reasoning is.",
        examples=["report"],
    )


class KeySource(Strict):
    """Where a secret is read: a file, or a variable of the environment; never the secret itself."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["file"]}, {"required": ["env"]}]},
    )

    file: FileName | None = Field(
        default=None, description="The file that holds it, at least 32 bytes.", examples=["hardening-key"]
    )
    env: VariableName | None = Field(
        default=None, description="The variable that holds it.", examples=["HARDENING_KEY"]
    )

    @model_validator(mode="after")
    def _one_place(self) -> KeySource:
        if (self.file is None) == (self.env is None):
            raise ValueError("exactly one of `file` and `env`")
        return self


class KeySpec(Strict):
    """The secret in use, and those before it."""

    current: KeySource | None = Field(
        default=None,
        description="The secret in use. Without one, names of callers and noise are those of one process.",
        examples=[{"file": "hardening-key"}],
    )
    previous: Annotated[tuple[KeySource, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="Older secrets, newest first. Names of callers are made with the oldest, so taking it away makes everybody"
        " somebody else.",
        examples=[[{"file": "old-key"}]],
    )


class AuditFile(Strict):
    """Receipts as JSON Lines into a file."""

    file: FileName = Field(description="The file.", examples=["/var/log/hardening.jsonl"])


def _read_audit(value: object) -> object:
    if value in ("stdout", "none"):
        return value
    if isinstance(value, dict) and list(value) == ["file"]:
        file = value["file"]
        if isinstance(file, str) and file:
            return AuditFile(file=file)
    raise ValueError(_AUDIT)


Audit = Annotated[
    Literal["stdout", "none"] | AuditFile,
    BeforeValidator(_read_audit),
    written(
        _AUDIT,
        {"enum": ["stdout", "none"]},
        {
            "type": "object",
            "properties": {"file": {"type": "string", "minLength": 1}},
            "required": ["file"],
            "additionalProperties": False,
        },
        _VARIABLE,
    ),
]


class RuntimeSpec(Strict):
    """Where the software runs; outside the digest, and the environment wins."""

    state: Store = Field(
        default="memory://",
        description="Where limits and standing are kept. HARDENING_STATE wins.",
        examples=["sqlite:///state.db"],
    )
    keys: KeySpec = Field(
        default=KeySpec(),
        description="Where secrets are read. HARDENING_KEY or HARDENING_KEY_FILE wins over `current`.",
    )
    audit: Audit = Field(
        default="none",
        description="Where receipts are written, one JSON object a line. HARDENING_AUDIT (stdout, none or a file) wins.",
        examples=["stdout"],
    )
    max_body: BodySize = Field(
        default=32_000_000,
        description="The largest body that is read, packed or unpacked; a longer one is refused.",
        examples=["64MiB"],
    )
    calibration: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The file by which evidence becomes a risk, as `hardening calibrate` writes it; left out, the one that is shipped.",
        examples=["calibration.npz"],
    )
