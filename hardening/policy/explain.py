"""`explain`: the Decision of a request, each value with the place that set it, and what every part did.

Values are read from what `decide` and `would` give; only the places come from `provenance`. Nothing here
runs while requests are answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Literal

from hardening.facts import Account, Decision, Refusal, RequestFacts, Standing
from hardening.policy.decide import decide, would
from hardening.policy.load import Reading
from hardening.policy.provenance import (
    BUILT_IN,
    KEYS,
    Traced,
    Written,
    layer_path,
    mark_of,
    rule_nodes,
    trace,
)
from hardening.policy.references import child
from hardening.policy.vectors import REFUSED_BY

State = Literal[
    "acts", "tightens", "exempts", "refuses", "held back", "not reached", "shadow", "does not hold"
]
Value = str | int | float | bool | Refusal | tuple[str, ...] | None

KNOWN = Standing(requests=10**9, age_s=float("inf"))
"""The standing of an account that is new by no measure, and at no risk."""

SETTINGS: Mapping[str, str] = MappingProxyType(
    {field: ".".join(path).replace("pace", "pace_per_s") for field, path in KEYS.items()}
)
"""By field of `Terms`, where its value stands in a Decision."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an operator describes it: what is asked, by whom, how he stands, and when (seconds)."""

    facts: RequestFacts
    account: Account
    standing: Standing
    now: float


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a Decision and where it comes from.

    `also` asked for the same value, so it changes only where they are edited too.
    """

    key: str
    value: Value
    source: Written
    also: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one rule, band or prior did, where it stands, and why, in words."""

    source: Written
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """A Decision with the places of its values; an exempt one has no settings, for none acts."""

    decision: Decision
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a policy does to a request; `would` is None where nothing of it is in shadow."""

    decided: Explained
    would: Explained | None
    parts: tuple[Part, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of a Decision, its value in one and in the other."""

    key: str
    was: Value
    now: Value


def explain(reading: Reading, asked: Asked) -> Explanation:
    """The Decision of a request with the place of each value, and what every part of the policy did."""
    policy, facts, account = reading.policy, asked.facts, asked.account
    hits, layers = policy.hits(facts, account, asked.now), policy.layers_of(asked.standing)
    rules, enforced_layers = policy.enforced_for(account)
    decision = decide(policy, facts, account, asked.standing, asked.now)
    shadow = would(policy, facts, account, asked.standing, asked.now)
    return Explanation(
        decided=_explained(reading, decision, hits & rules, layers & enforced_layers, account.proven),
        would=None if shadow is None else _explained(reading, shadow, hits, layers, account.proven),
        parts=(*_rules(reading, asked, hits & rules), *_layers(reading, layers, enforced_layers)),
        groups=policy.groups.of(account),
    )


def _explained(reading: Reading, decision: Decision, hits: int, layers: int, proven: bool) -> Explained:
    traced = trace(reading, hits, layers, proven=proven)
    settings = [*_ends(reading, decision, traced)]
    if not decision.exempt:
        settings += _settings(reading, decision, traced, proven)
    return Explained(decision, tuple(settings))


def _settings(reading: Reading, decision: Decision, traced: Traced, proven: bool) -> Iterator[Setting]:
    """The settings of a Decision in the order of the file."""
    for name, path in SETTINGS.items():
        if name == "limits" and decision.refusal is not None and decision.refusal not in REFUSED_BY:
            sources: tuple[Written, ...] = (_end(reading, decision, "refuse"),)
        elif name == "limits" and not proven:
            sources = (_pool(reading),)
        else:
            sources = traced.sources(name)
        yield Setting(".".join(KEYS[name]), attrgetter(path)(decision), sources[0], sources[1:])


def _ends(reading: Reading, decision: Decision, traced: Traced) -> Iterator[Setting]:
    """What a Decision says beside its settings, where it says something."""
    policy, root = reading.policy, reading.root
    mode = _top(reading, "mode")
    if policy.mode != reading.file.mode:
        mode = Written("environment", "HARDENING_MODE", "mode")
    yield Setting("mode", "enforce" if decision.enforced else "shadow", mode)
    yield Setting("disclose", decision.disclose, _top(reading, "disclose"))
    if decision.rule is not None:
        yield Setting("rule", decision.rule, _end(reading, decision, "name"))
    if decision.band is not None:
        mark = mark_of(root, *layer_path(decision.band))
        yield Setting("band", decision.band, Written("band", decision.band, None, mark))
    if decision.exempt:
        yield Setting("exempt", True, _end(reading, decision, "exempt"))
    if decision.refusal is not None:
        field = REFUSED_BY.get(decision.refusal)
        source = _end(reading, decision, "refuse") if field is None else traced.sources(field)[0]
        yield Setting("refuse", decision.refusal, source)


def _top(reading: Reading, key: str) -> Written:
    """The source of a key at the top of the file."""
    node = child(reading.root, key)
    return BUILT_IN if node is None else Written("policy", None, key, node.mark)


def _end(reading: Reading, decision: Decision, key: str) -> Written:
    """A key of the rule that decided."""
    names = [rule.name for rule in reading.file.rules]
    node = rule_nodes(reading.root)[names.index(decision.rule or "")]
    return Written("rule", decision.rule, key, mark_of(node, key))


def _pool(reading: Reading) -> Written:
    """Where the limits of callers stand for whom nobody vouched."""
    if (node := child(reading.root, "accounts", "unproven", "limits")) is not None:
        return Written("unproven", None, "limits", node.mark)
    node = child(reading.root, "defaults", "limits")
    return BUILT_IN if node is None else Written("defaults", None, "limits", node.mark)


def _rules(reading: Reading, asked: Asked, acting: int) -> Iterator[Part]:
    """What each rule did, in file order; `acting` are those that hold and are not in shadow, as bits."""
    policy, account = reading.policy, asked.account
    moves = {move.index: move for move in policy.rulebook.moves(acting, proven=account.proven)}
    ended = next((move for move in moves.values() if move.exempt or move.refusal is not None), None)
    against = policy.rulebook.against(asked.facts, account, policy.groups.of(account), asked.now)
    nodes = rule_nodes(reading.root)
    for index, (rule, keys) in enumerate(zip(reading.file.rules, against, strict=True)):
        source = Written("rule", rule.name, None, mark_of(nodes[index], "name"))
        if keys:
            yield Part(source, "does not hold", ", ".join(keys))
        elif not acting >> index & 1:
            yield Part(source, "shadow", _why_shadow(rule.mode == "shadow"))
        elif (move := moves.get(index)) is not None:
            state: State = "acts" if move.replaces else "tightens"
            state = "refuses" if move.refusal is not None else "exempts" if move.exempt else state
            yield Part(source, state, "nobody vouched for the caller" if state == "tightens" else "")
        elif ended is not None and ended.index < index:
            yield Part(source, "not reached", f"{ended.rule} ended the walk")
        else:
            yield Part(source, "held back", "nobody vouched for the caller, so this exempts him from nothing")


def _layers(reading: Reading, holding: int, enforced: int) -> Iterator[Part]:
    """What each band and the prior for new accounts did."""
    for index, layer in enumerate(reading.policy.layers):
        mark = mark_of(reading.root, *layer_path(layer.band))
        source = Written("new" if layer.band is None else "band", layer.band, None, mark)
        if not holding >> index & 1:
            why = "the account is not new" if layer.band is None else "the account is not in it"
            yield Part(source, "does not hold", why)
        elif enforced >> index & 1:
            yield Part(source, "tightens")
        else:
            bands = reading.file.risk.bands
            yield Part(source, "shadow", _why_shadow(bands[layer.band or ""].mode == "shadow"))


def _why_shadow(by_mode: bool) -> str:
    return "mode: shadow" if by_mode else "its `enforce` share leaves this account out"


def untold(reading: Reading, asked: Asked, unknown: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The rules that could hold or not hold for facts that are unknown, each with the key it rests on.

    `unknown` are keys of `match`, such as `group` or `header`.
    """
    policy, account = reading.policy, asked.account
    against = policy.rulebook.against(asked.facts, account, policy.groups.of(account), asked.now)
    for rule, keys in zip(reading.file.rules, against, strict=True):
        if all(key.startswith("match.") and key.split(".")[1] in unknown for key in keys):
            yield from ((rule.name, key) for key in keys)
            said = sorted(unknown & rule.unless.model_fields_set) if rule.unless is not None else []
            yield from ((rule.name, f"except.{key}") for key in said)


def differences(was: Decision, now: Decision) -> Iterator[Difference]:
    """The keys whose values are not the same in two Decisions."""
    keys = {path: ".".join(KEYS[name]) for name, path in SETTINGS.items()}
    for path in ("rule", "band", "enforced", "exempt", "refusal", "disclose", *SETTINGS.values()):
        value = attrgetter(path)
        if value(was) != value(now):
            yield Difference(keys.get(path, path), value(was), value(now))
