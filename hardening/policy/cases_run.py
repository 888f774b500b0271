"""Runs the rows of a `policy_test.yaml` through the real `charges` and `decide`, and compares."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from operator import attrgetter

from hardening.facts import Account, Decision, Refusal, RequestFacts, Standing
from hardening.policy.cases import Caller, Cases, Expected, When
from hardening.policy.charges import charges
from hardening.policy.compiled import Policy
from hardening.policy.decide import decide, would
from hardening.policy.nodes import Mark
from hardening.policy.quantities import start_of

_NOBODY = Caller(id="anonymous", proven=False)
_NO_DECISION = "nothing, no rule is asked at this path"

_DECIDED: dict[tuple[str, ...], Callable[[Decision], object]] = {
    ("rule",): attrgetter("rule"),
    ("band",): attrgetter("band"),
    ("enforced",): attrgetter("enforced"),
    ("exempt",): attrgetter("exempt"),
    ("reasoning", "show"): attrgetter("reasoning.show"),
    ("reasoning", "max_tokens"): attrgetter("reasoning.max_tokens"),
    ("reasoning", "detail"): attrgetter("reasoning.detail"),
    ("reasoning", "overlap"): attrgetter("reasoning.overlap"),
    ("reasoning", "seal"): attrgetter("reasoning.seal"),
    ("reasoning", "resent"): attrgetter("reasoning.resent"),
    ("reasoning", "inline"): attrgetter("reasoning.inline"),
    ("detail",): attrgetter("reasoning.detail"),
    ("overlap",): attrgetter("reasoning.overlap"),
    ("seal",): attrgetter("reasoning.seal"),
    ("resent",): attrgetter("reasoning.resent"),
    ("inline",): attrgetter("reasoning.inline"),
    ("logprobs", "top"): lambda decision: "all" if decision.logprobs.top is None else decision.logprobs.top,
    ("logprobs", "step"): attrgetter("logprobs.step"),
    ("logprobs", "noise"): attrgetter("logprobs.noise"),
    ("logprobs", "sampling"): attrgetter("logprobs.sampling"),
    ("step",): attrgetter("logprobs.step"),
    ("noise",): attrgetter("logprobs.noise"),
    ("sampling",): attrgetter("logprobs.sampling"),
    ("embeddings", "step"): attrgetter("embeddings.step"),
    ("embeddings", "noise"): attrgetter("embeddings.noise"),
    ("embeddings", "rotate"): attrgetter("embeddings.rotate"),
    ("embeddings", "adaptive"): attrgetter("embeddings.adaptive"),
    ("embeddings", "benign"): attrgetter("embeddings.benign"),
    ("embeddings", "keep"): attrgetter("embeddings.keep"),
    ("scores", "step"): attrgetter("scores.step"),
    ("limits",): lambda decision: tuple(sorted(decision.limits)),
    ("pins",): attrgetter("pins"),
    ("usage",): attrgetter("usage"),
    ("at_limit",): attrgetter("at_limit"),
    ("max_tokens",): attrgetter("max_tokens"),
    ("pace",): attrgetter("pace_per_s"),
    ("charge",): attrgetter("charge"),
    ("scale",): attrgetter("scale"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """Where a path leads, and what it says of the request: `said` is what a row calls it.

    That is the format of a door, which has a `name` where rules are asked; `pass`, `unknown`, or
    `closed` where a model's answers leave that nobody reads. `refusal` is what everybody gets there.
    """

    said: str
    name: str | None = None
    model: str = ""
    streams: bool = False
    refusal: Refusal | None = None


Find = Callable[[str, str], Way]
"""Tells where the request with a path and a method leads."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that a row expects and that is otherwise."""

    field: str
    expected: str
    found: str
    place: Mark


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row; `rule` and `band` decided, where anything did."""

    name: str
    place: Mark
    rule: str | None
    band: str | None
    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class Unreached:
    """A part of the policy that no row reaches: a rule, its `except`, a band, or `risk.new`."""

    part: str
    name: str

    def __str__(self) -> str:
        return f"the {self.part} `{self.name}`" if self.name else f"`{self.part}`"


@dataclass(frozen=True, slots=True)
class CasesReport:
    """Every row of a file, and what of the policy none of them reaches."""

    rows: tuple[RowResult, ...]
    unreached: tuple[Unreached, ...]

    @property
    def holds(self) -> bool:
        """Whether every row found what it expects."""
        return not any(row.mismatches for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A row's request as the policy sees it."""

    facts: RequestFacts
    account: Account
    standing: Standing
    prompt_tokens: int
    now: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What happens to a row's request; no `decision` where the policy is not asked."""

    way: Way
    decision: Decision | None
    whole: Decision | None
    charged: Table[str, float]


def run_cases(cases: Cases, policy: Policy, find: Find) -> CasesReport:
    """What every row of the file finds; `find` tells where its paths lead."""
    reached: set[Unreached] = set()
    rows = []
    for index, row in enumerate(cases.table.cases):
        way, asked = _asked(cases, row.when, find)
        outcome = _outcome(policy, way, asked)
        if asked is not None:
            reached |= _reached(policy, asked)
        mismatches = [
            Mismatch(".".join(expected.path), wanted, found, cases.place(index, ("then", *expected.path)))
            for expected in row.then.expectations()
            for wanted, found in [(_text(expected.value), _text(_found(outcome, expected)))]
            if wanted != found
        ]
        decision = outcome.decision or Decision()
        rows.append(RowResult(row.name, cases.place(index), decision.rule, decision.band, tuple(mismatches)))
    return CasesReport(tuple(rows), tuple(part for part in _parts(policy) if part not in reached))


def _asked(cases: Cases, when: When, find: Find) -> tuple[Way, _Asked | None]:
    """Where a row's request leads, and what it asks where the policy is asked about it."""
    way = find(when.door, when.method) if when.door.startswith("/") else Way(when.door, when.door)
    if way.name is None or way.refusal is not None:
        return way, None
    caller = _NOBODY if when.account is None else cases.table.accounts[when.account]
    name = caller.id or when.account or ""
    headers = ((key.encode(), value.encode()) for key, value in when.header.items())
    facts = RequestFacts(
        door=way.name,
        format=way.said,
        model=way.model or when.model,
        stream=when.stream or way.streams,
        choices=when.choices,
        max_tokens=when.max_tokens,
        top_logprobs=when.top_logprobs,
        client=when.client,
        headers=tuple(headers),
    )
    account = Account(name, caller.org, caller.groups, caller.proven, caller.network)
    standing = Standing(band=when.band, requests=caller.requests, age_s=caller.age or 0.0)
    return way, _Asked(facts, account, standing, when.prompt_tokens, start_of(when.now or cases.table.now))


def _outcome(policy: Policy, way: Way, asked: _Asked | None) -> _Outcome:
    if asked is None:
        return _Outcome(way, None, None, {})
    request = (policy, asked.facts, asked.account)
    claim = charges(*request, asked.prompt_tokens, asked.now)
    return _Outcome(
        way,
        decide(*request, asked.standing, asked.now),
        would(*request, asked.standing, asked.now),
        {
            charge.limit.name: charge.amount * factor
            for charge in claim.charges
            if (factor := charge.factor(asked.standing))
        },
    )


def _found(outcome: _Outcome, expected: Expected) -> object:
    """What stands in the outcome where a row expects something."""
    name, *rest = expected.path
    if name == "door":
        return outcome.way.said
    if name == "refused" and outcome.decision is None:
        return _refused(outcome.way.refusal, rest)
    if outcome.decision is None:
        return _NO_DECISION
    if name == "charged":
        return outcome.charged.get(rest[0]) if rest else tuple(outcome.charged)
    if name != "would":
        return _decided(outcome.decision, expected.path)
    if not rest or outcome.whole is None:
        return None if outcome.whole is None else "another decision"
    return _decided(outcome.whole, tuple(rest))


def _decided(decision: Decision, path: tuple[str, ...]) -> object:
    if path[0] == "refused":
        return _refused(decision.refusal, path[1:])
    if path not in _DECIDED:  # a whole section that was given as null
        return "a mapping"
    return _DECIDED[path](decision)


def _refused(refusal: Refusal | None, rest: tuple[str, ...] | list[str]) -> object:
    if not rest:
        return refusal is not None
    return "no refusal" if refusal is None else getattr(refusal, rest[0])


def _text(value: object) -> str:
    """A value as it would stand in the file; the order of names does not matter."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(sorted(value))}]"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def _parts(policy: Policy) -> list[Unreached]:
    """Everything that a row could reach."""
    book = policy.rulebook
    rules = [Unreached("rule", name) for name in book.names]
    exceptions = [
        Unreached("except of rule", name)
        for index, name in enumerate(book.names)
        if book.with_exception >> index & 1
    ]
    bands = [Unreached("band", layer.band) for layer in policy.layers if layer.band is not None]
    return [*rules, *exceptions, *bands, *([Unreached("risk.new", "")] if policy.prior else [])]


def _reached(policy: Policy, asked: _Asked) -> set[Unreached]:
    """The parts that have a say in this request, whether they are enforced or in shadow."""
    book, proven = policy.rulebook, asked.account.proven
    hits = policy.hits(asked.facts, asked.account, asked.now)
    # A rule has a say when the walk that ends with it is called after it: no earlier one ended that walk.
    found = {
        Unreached("rule", name)
        for index, name in enumerate(book.names)
        if hits >> index & 1 and book.walk(hits & ((2 << index) - 1), proven=proven).rule == name
    }
    excepted = book.excepted(asked.facts, asked.account, policy.groups.of(asked.account), asked.now)
    found |= {
        Unreached("except of rule", name) for index, name in enumerate(book.names) if excepted >> index & 1
    }
    walk = book.walk(hits, proven=proven)
    if not walk.exempt and walk.refusal is None:
        layers = policy.layers_of(asked.standing)
        highest = policy.over(walk, layers)[1]
        found |= {Unreached("band", highest)} if highest else set()
        if policy.prior_among(layers) is not None:
            found.add(Unreached("risk.new", ""))
    return found
