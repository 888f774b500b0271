"""The typed model of a `policy_test.yaml`: callers, and rows of a request with what shall happen to it.

The file has the dialect of a policy. Under `then` stand the names and the shapes of a policy's own
settings, or the one value that matters: `reasoning: none` is `reasoning: {show: none}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from hardening.errors import PolicyError, PolicyFault
from hardening.facts import AtLimit, Detail, Inline, Pins, RefusalKind, Repeats, Resent, Sampling, UsageTerms
from hardening.policy.compiled import Policy
from hardening.policy.faults import did_you_mean, fault_at, faults_of, listed
from hardening.policy.model import HeaderName
from hardening.policy.mounting import FORMATS
from hardening.policy.nodes import Leaf, Listing, Mapping, Mark, Node, plain, quoted, read_nodes
from hardening.policy.quantities import Amount, Count, Day, Factor, PerSecond, Scale, Seconds, TokenBound
from hardening.policy.references import child, secret_faults
from hardening.policy.settings import (
    Embeddings,
    Grid,
    Logprobs,
    Name,
    Names,
    Noise,
    Reasoning,
    Scores,
    Strict,
    as_tuple,
)

_BEGINS = "a file of cases has `now`, `accounts` and `cases`"


def _read_title(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
        return value
    raise ValueError("a text on one line, at most 200 characters")


def _read_ascii(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value
    raise ValueError("a text of printable ASCII (put it in quotes)")


def _read_asked(value: object) -> str:
    if isinstance(value, str) and (value in FORMATS or (value.startswith("/") and not {*"?#"} & {*value})):
        return value
    raise ValueError(f"a path that begins with /, without query, or a format ({', '.join(FORMATS)})")


def _read_found(value: object) -> str:
    if isinstance(value, str) and (value in ("pass", "unknown", "closed") or value in FORMATS):
        return value
    raise ValueError(f"pass, unknown, closed or a format ({', '.join(FORMATS)})")


def _short_for(key: str) -> Callable[[object], object]:
    """A reader that takes one value in the place of a mapping that holds nothing but `key`."""
    return lambda value: value if isinstance(value, dict) else {key: value}


def _read_refused(value: object) -> object:
    if isinstance(value, dict | bool):
        return value
    if isinstance(value, int):
        return {"status": value}
    raise ValueError("true, false, a status such as 403, or a mapping with status, kind")


def _read_factor(value: object) -> object:
    return f"{value}x" if isinstance(value, int | float) and not isinstance(value, bool) else value


def _read_rows(value: object) -> object:
    if value == []:
        raise ValueError("at least one row")
    return as_tuple(value)


class Caller(Strict):
    """Somebody who asks: an account, and how long and how often it has been seen.

    Without `id` the account is called as in the file. `age` and `requests` are what `risk.new` looks at.
    """

    id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    org: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    groups: Names = ()
    proven: bool = True
    network: Annotated[str, Field(min_length=1)] = "network"
    requests: Count = 0
    age: Seconds | None = None


class When(Strict):
    """A request. `door` is a path, which goes through the table of doors, or a format.

    Without `account` nobody knows who asks: the caller is not proven.
    """

    account: str | None = None
    door: Annotated[str, BeforeValidator(_read_asked)]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "POST"
    model: str = ""
    band: str | None = None
    header: dict[HeaderName, Annotated[str, BeforeValidator(_read_ascii)]] = Field(default_factory=dict)
    client: str = ""
    stream: bool = False
    choices: Count = 1
    max_tokens: TokenBound | None = None
    top_logprobs: Count | None = None
    prompt_tokens: Count = 0
    now: Day | None = None


class RefusedAs(Strict):
    """How a request is refused."""

    status: int | None = None
    kind: RefusalKind | None = None


class Expected(NamedTuple):
    """One thing that a row checks: the keys under `then` that lead to it, and its value."""

    path: tuple[str, ...]
    value: object


class Treated(BaseModel):
    """A Decision; only what is named is checked. Unlike in a policy null is a value: none."""

    model_config = Strict.model_config

    rule: str | None = None
    band: str | None = None
    enforced: bool | None = None
    exempt: bool | None = None
    refused: (
        Annotated[
            Annotated[bool, Tag("whether")] | Annotated[RefusedAs, Tag("how")],
            Discriminator(lambda value: "whether" if isinstance(value, bool) else "how"),
            BeforeValidator(_read_refused),
        ]
        | None
    ) = None
    reasoning: Annotated[Reasoning, BeforeValidator(_short_for("show"))] | None = None
    seal: bool | None = None
    detail: Detail | None = None
    overlap: Repeats | None = None
    resent: Resent | None = None
    inline: Inline | None = None
    logprobs: Annotated[Logprobs, BeforeValidator(_short_for("top"))] | None = None
    step: Grid | None = None
    noise: Noise | None = None
    sampling: Sampling | None = None
    embeddings: Embeddings | None = None
    scores: Scores | None = None
    limits: Names | None = None
    pins: Pins | None = None
    usage: UsageTerms | None = None
    at_limit: AtLimit | None = None
    max_tokens: TokenBound | None = None
    pace: PerSecond | None = None
    charge: Annotated[Factor, BeforeValidator(_read_factor)] | None = None
    scale: Scale | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("at least one thing to check")
        return self

    def expectations(self) -> Iterator[Expected]:
        """Everything that is checked, in the order of the fields."""
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                yield from _named(name, getattr(self, name))


class Then(Treated):
    """What shall happen: where the path leads, what is decided, what is charged.

    `would` is the Decision with every part enforced that is in shadow; null where nothing is.
    """

    door: Annotated[str, BeforeValidator(_read_found)] | None = None
    charged: dict[str, Amount | None] | None = None
    would: Treated | None = None


def _named(name: str, value: object) -> Iterator[Expected]:
    """One expectation, or those inside a mapping."""
    if isinstance(value, Treated):
        inner = value.expectations()
    elif isinstance(value, BaseModel):
        said = [key for key in type(value).model_fields if key in value.model_fields_set]
        inner = (Expected((key,), getattr(value, key)) for key in said)
    elif isinstance(value, dict):
        inner = (Expected((key,), item) for key, item in value.items())
    else:
        inner = iter((Expected((), value),))
    for path, item in inner:
        yield Expected((name, *path), item)


class Row(Strict):
    """One case."""

    name: Annotated[str, BeforeValidator(_read_title)]
    when: When
    then: Then


class CaseFile(Strict):
    """A whole file of cases; `now` is the day on which its requests come."""

    now: Day
    accounts: dict[Name, Caller] = Field(default_factory=dict)
    cases: Annotated[tuple[Row, ...], BeforeValidator(_read_rows)]


@dataclass(frozen=True, slots=True)
class Cases:
    """A file of cases without faults, and its nodes, which know where everything stands."""

    file: str
    table: CaseFile
    root: Mapping

    def place(self, index: int, path: tuple[str, ...] = ()) -> Mark:
        """Where the row of this number stands, or in it what `path` leads to, as far as it is written."""
        rows = child(self.root, "cases")
        node = rows.items[index] if isinstance(rows, Listing) else self.root
        mark = node.mark
        for key in path:
            if isinstance(node, Mapping) and key in node.entries:
                mark, node = node.entries[key]
        return mark


def read_cases(data: bytes, file: str, policy: Policy) -> Cases:
    """The cases of a text for a policy; raises PolicyError with all faults."""
    root, faults = read_nodes(data, file, _BEGINS)
    faults += [*secret_faults(root), *_reference_faults(root, policy)]
    table: CaseFile | None = None
    try:
        table = CaseFile.model_validate(plain(root))
    except ValidationError as error:
        faults += faults_of(error, root, CaseFile)
    if table is None or faults:
        raise PolicyError(tuple(dict.fromkeys(faults)))
    return Cases(file, table, root)


def _reference_faults(root: Mapping, policy: Policy) -> Iterator[PolicyFault]:
    """Names that a row uses and nobody declares, and two rows of one name."""
    accounts = child(root, "accounts")
    known = {
        "account": tuple(accounts.entries) if isinstance(accounts, Mapping) else (),
        "band": tuple(layer.band for layer in policy.layers if layer.band is not None),
        "rule": policy.rulebook.names,
        "limit": tuple(policy.limits),
    }
    seen: dict[str, Mark] = {}
    rows = child(root, "cases")
    for row in rows.items if isinstance(rows, Listing) else ():
        name = child(row, "name")
        if isinstance(name, Leaf) and name.text in seen:
            first = seen[name.text].line
            yield fault_at(name.mark, f"found a second row named {quoted(name.text)} (first on line {first})")
        elif isinstance(name, Leaf):
            seen[name.text] = name.mark
        for kind, mark, word in _references(row):
            if word not in known[kind]:
                allowed = listed(known[kind]) or "there is none"
                hint = did_you_mean(word, known[kind])
                yield fault_at(mark, f"found the unknown {kind} {quoted(word)}{hint} (allowed: {allowed})")


def _references(row: Node) -> Iterator[tuple[str, Mark, str]]:
    """Each name of something else that a row uses: what it names, where, and the name."""
    for side in (child(row, "when"), child(row, "then"), child(row, "then", "would")):
        for kind in ("account", "band", "rule"):
            leaf = child(side, kind)
            if isinstance(leaf, Leaf) and isinstance(leaf.value, str):
                yield kind, leaf.mark, leaf.value
        limits, charged = child(side, "limits"), child(side, "charged")
        for item in limits.items if isinstance(limits, Listing) else ():
            if isinstance(item, Leaf):
                yield "limit", item.mark, item.text
        for key, (mark, _) in charged.entries.items() if isinstance(charged, Mapping) else ():
            yield "limit", mark, key
