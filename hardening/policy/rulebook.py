"""The walk over the rules, prepared: which rules a request hits, and what these add up to.

Law 10: for a caller whom nobody vouched for, a rule that looks at what he sends (account, group, model,
door, header) may only tighten, and an exception that rests on who he says he is does not hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hardening.facts import Account, Refusal, RefusalKind, RequestFacts
from hardening.policy.matching import Column, Texts, network_or_glob
from hardening.policy.model import Match, Rule
from hardening.policy.quantities import start_of
from hardening.policy.terms import Terms, overlay, stricter


class Asked(NamedTuple):
    """A request and who asks, with the declared groups that he is in."""

    facts: RequestFacts
    account: Account
    groups: Texts


Facet = Callable[[Asked], Texts]

_FACETS: dict[str, Facet] = {
    "account": lambda asked: (asked.account.id, asked.account.org or asked.account.id),
    "group": lambda asked: asked.groups,
    "model": lambda asked: (asked.facts.model.casefold(),),
    "door": lambda asked: (asked.facts.door, asked.facts.format),
    "client": lambda asked: (asked.facts.client,),
}
_KINDS: dict[int, RefusalKind] = {401: "unauthenticated", 429: "rate_limit", 503: "unavailable"}
_CLAIMS = ("account", "group", "header")
_CHOSEN = (*_CLAIMS, "model", "door")


@dataclass(frozen=True, slots=True)
class Walk:
    """What the rules that were hit add up to: an end (exempt, refused), or terms."""

    rule: str | None
    terms: Terms
    exempt: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """One rule, prepared; `chosen` when it rests on what an unproven caller can choose."""

    name: str
    terms: Terms
    exempt: bool
    refusal: Refusal | None
    chosen: bool


class Rulebook:
    """All rules of a policy as tables."""

    def __init__(self, rules: Sequence[Rule], base: Terms) -> None:
        self._base = base
        self._steps = tuple(_step(rule) for rule in rules)
        self.all = (1 << len(rules)) - 1
        self._match = _columns([rule.match for rule in rules])
        # A rule without exception is excepted by nothing: an empty tuple of patterns.
        self._unless = _columns([rule.unless for rule in rules])
        self._with_exception = _bits(rule.unless is not None for rule in rules)
        self._claimed_exception = _bits(
            rule.unless is not None and _uses(rule.unless, _CLAIMS) for rule in rules
        )
        ends = sorted({start_of(rule.until) for rule in rules if rule.until})
        self._ends = ends
        self._alive = [
            _bits(rule.until is None or start_of(rule.until) > moment for rule in rules)
            for moment in (float("-inf"), *ends)
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rules, in file order."""
        return tuple(step.name for step in self._steps)

    @property
    def with_exception(self) -> int:
        """The rules that have an `except`, as bits."""
        return self._with_exception

    def excepted(self, facts: RequestFacts, account: Account, groups: Texts, now: float) -> int:
        """The rules whose `match` holds for this request and whose `except` takes it out, as bits."""
        asked = Asked(facts, account, groups)
        found = self._with_exception & self._alive[bisect_right(self._ends, now)]
        for facet, column in self._match:
            found &= column.bits(facet(asked))
        return found & ~self.hits(facts, account, groups, now)

    def hits(self, facts: RequestFacts, account: Account, groups: Texts, now: float) -> int:
        """The rules that hold for this request at `now` (seconds since 1970), as bits."""
        if not self.all:
            return 0
        asked = Asked(facts, account, groups)
        found = self._alive[bisect_right(self._ends, now)] if self._ends else self.all
        for facet, column in self._match:
            found &= column.bits(facet(asked))
        excepted = found & self._with_exception
        if excepted:
            if not account.proven:
                excepted &= ~self._claimed_exception
            for facet, column in self._unless:
                excepted &= column.bits(facet(asked))
        return found & ~excepted

    def walk(self, hits: int, *, proven: bool) -> Walk:
        """What the rules in `hits` add up to, in file order."""
        terms, name = self._base, None
        for index, step in enumerate(self._steps):
            if not hits >> index & 1:
                continue
            tighten = step.chosen and not proven
            if step.refusal is not None:
                return Walk(step.name, terms, refusal=step.refusal)
            if step.exempt and not tighten:
                return Walk(step.name, terms, exempt=True)
            if not step.exempt:
                terms = stricter(terms, step.terms) if tighten else overlay(terms, step.terms)
                name = step.name
        return Walk(name, terms)


def _step(rule: Rule) -> _Step:
    refusal = None
    if rule.refuse is not None:
        status = rule.refuse.status
        refusal = Refusal(status, _KINDS.get(status, "forbidden"), rule.refuse.message)
    chosen = _uses(rule.match, _CHOSEN) or (rule.unless is not None and _uses(rule.unless, _CHOSEN))
    return _Step(rule.name, rule.terms(), rule.exempt, refusal, chosen)


def _uses(match: Match, facets: Sequence[str]) -> bool:
    return any(getattr(match, facet) for facet in facets)


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def _header(name: str) -> Facet:
    """The values that a request has for one header; none where it lacks it."""
    wanted = name.lower().encode("latin-1", "replace")

    def values(asked: Asked) -> Texts:
        return tuple(value.decode("latin-1") for key, value in asked.facts.headers if key == wanted)

    return values


def _columns(matches: Sequence[Match | None]) -> tuple[tuple[Facet, Column], ...]:
    """One column per fact that any of the matches looks at."""
    columns: list[tuple[Facet, Column]] = []
    for name, facet in _FACETS.items():
        wanted = [None if match is None else getattr(match, name) for match in matches]
        if any(patterns is not None for patterns in wanted):
            columns.append((facet, _column(name, wanted)))
    for header in sorted({key for match in matches if match and match.header for key in match.header}):
        wanted = [(match.header or {}).get(header) if match else None for match in matches]
        columns.append((_header(header), Column(wanted)))
    return tuple(columns)


def _column(name: str, wanted: Sequence[Texts | None]) -> Column:
    if name == "client":
        return Column(wanted, test=network_or_glob)
    return Column(wanted, fold=name == "model")
