"""The walk over the rules, prepared: which rules a request hits, and what these add up to.

Law 10: for a caller whom nobody vouched for, a rule that looks at what he sends (account, group, model,
door, header) may only tighten, and an exception that rests on who he says he is does not hold.

Where several models may answer, a rule that does not hold for all of them may only tighten as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
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
Merge = Callable[[Terms, Terms], Terms]

_FACETS: dict[str, Facet] = {
    "account": lambda asked: (asked.account.id, asked.account.org or asked.account.id),
    "group": lambda asked: asked.groups,
    "model": lambda asked: (asked.facts.model.strip().casefold(),),
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
class Move:
    """What one rule does to the terms of those before it, or how it ends the walk."""

    index: int
    rule: str
    terms: Terms
    merge: Merge
    exempt: bool = False
    refusal: Refusal | None = None

    @property
    def replaces(self) -> bool:
        """Whether it may also loosen; else it only tightens."""
        return self.merge is overlay


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
        self.base = base
        self._steps = tuple(_step(rule) for rule in rules)
        self.all = (1 << len(rules)) - 1
        match = _columns([rule.match for rule in rules])
        # A rule without exception is excepted by nothing: an empty tuple of patterns.
        unless = _columns([rule.unless for rule in rules])
        self._keys = tuple(match)
        self._match, self._unless = tuple(match.values()), tuple(unless.values())
        self._with_exception = _bits(rule.unless is not None for rule in rules)
        self._claimed_exception = _bits(rule.unless is not None and is_claimed(rule.unless) for rule in rules)
        self._ends, self._alive = _ends(rules)
        self._refusing = _bits(step.refusal is not None for step in self._steps)
        self._models = tuple(_models_in(rules))
        self.in_doubt = self.all << len(rules)
        """Above the bit of each rule, that which says that it does not hold for all models by which a request may be answered."""

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
        """The rules that hold for this request at `now` (seconds since 1970), as bits, with those that are `in_doubt`."""
        if not self.all:
            return 0
        if not facts.others or not self._models:
            return self._hits(facts, account, groups, now)
        names = {facts.model, *facts.others}
        names.update(self._models if "" in names else ())
        found = [self._hits(facts._replace(model=name), account, groups, now) for name in names]
        some, each = reduce(or_, found), reduce(and_, found)
        if facts.kept:
            some &= each | ~self._refusing  # who has been answered was not refused
        return some | (some & ~each) << len(self._steps)

    def _hits(self, facts: RequestFacts, account: Account, groups: Texts, now: float) -> int:
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

    def against(self, facts: RequestFacts, account: Account, groups: Texts, now: float) -> Iterator[Texts]:
        """For each rule, in order, the keys because of which it does not hold; none for one in `hits`."""
        asked = Asked(facts, account, groups)
        hits = self.hits(facts, account, groups, now)
        alive = self._alive[bisect_right(self._ends, now)]
        found = [("until", alive)]
        found += [
            (f"match.{key}", column.bits(facet(asked)))
            for key, (facet, column) in zip(self._keys, self._match, strict=True)
        ]
        for index in range(len(self._steps)):
            keys = tuple(key for key, bits in found if not bits >> index & 1)
            yield keys if keys or hits >> index & 1 else ("except",)

    def walk(self, hits: int, *, proven: bool) -> Walk:
        """What the rules in `hits` add up to, in file order."""
        terms, name = self.base, None
        for move in self.moves(hits, proven=proven):
            name = move.rule
            if move.exempt or move.refusal is not None:
                return Walk(name, terms, move.exempt, move.refusal)
            terms = move.merge(terms, move.terms)
        return Walk(name, terms)

    def moves(self, hits: int, *, proven: bool) -> Iterator[Move]:
        """What each of the rules in `hits` does, in file order, up to the one that ends the walk."""
        for index, step in enumerate(self._steps):
            if not hits >> index & 1:
                continue
            in_doubt = hits >> (index + len(self._steps)) & 1
            tighten = in_doubt or (step.chosen and not proven)
            if step.exempt and tighten:
                continue
            merge = stricter if tighten else overlay
            yield Move(index, step.name, step.terms, merge, step.exempt, step.refusal)
            if step.exempt or step.refusal is not None:
                return


def _models_in(rules: Sequence[Rule]) -> Iterator[str]:
    """A name for each pattern of a model: itself, for a star matches a star."""
    for rule in rules:
        for match in (rule.match, rule.unless):
            yield from (match.model or ()) if match is not None else ()


def _step(rule: Rule) -> _Step:
    refusal = None
    if rule.refuse is not None:
        status = rule.refuse.status
        refusal = Refusal(status, _KINDS.get(status, "forbidden"), rule.refuse.message)
    return _Step(rule.name, rule.terms(), rule.exempt, refusal, rests_on_the_caller(rule))


def rests_on_the_caller(rule: Rule) -> bool:
    """Whether a rule looks at what an unproven caller can choose, so that it may only tighten for him."""
    return _uses(rule.match, _CHOSEN) or (rule.unless is not None and _uses(rule.unless, _CHOSEN))


def is_claimed(match: Match) -> bool:
    """Whether a match rests on who the caller says he is; as an `except` it is void for the unproven."""
    return _uses(match, _CLAIMS)


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


def _ends(rules: Sequence[Rule]) -> tuple[list[float], list[int]]:
    """The moments at which rules end, in order, and the rules that act before the first, after it, and so on."""
    ending: dict[float, int] = {}
    for index, rule in enumerate(rules):
        if rule.until:
            moment = start_of(rule.until)
            ending[moment] = ending.get(moment, 0) | 1 << index
    ends = sorted(ending)
    alive = [(1 << len(rules)) - 1]
    for moment in ends:
        alive.append(alive[-1] & ~ending[moment])
    return ends, alive


def _columns(matches: Sequence[Match | None]) -> dict[str, tuple[Facet, Column]]:
    """By its key, one column per fact that any of the matches looks at."""
    by_fact: dict[str, dict[int, Texts]] = {name: {} for name in _FACETS}
    by_header: dict[str, dict[int, Texts]] = {}
    for index, match in enumerate(matches):
        if match is None:
            continue
        for name, wanted in by_fact.items():
            if (patterns := getattr(match, name)) is not None:
                wanted[index] = patterns
        for header, patterns in (match.header or {}).items():
            by_header.setdefault(header, {})[index] = patterns
    count = len(matches)
    facts = {
        name: (_FACETS[name], _column(name, wanted, count)) for name, wanted in by_fact.items() if wanted
    }
    headers = {
        f"header.{header}": (_header(header), Column(wanted, count))
        for header, wanted in sorted(by_header.items())
    }
    return facts | headers


def _column(name: str, wanted: Mapping[int, Texts], count: int) -> Column:
    if name == "client":
        return Column(wanted, count, test=network_or_glob)
    return Column(wanted, count, fold=name == "model")
