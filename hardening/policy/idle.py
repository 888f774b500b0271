"""Warnings about what stands in a policy and can never act.

- a rule behind one that ends the walk for everything it matches: its author believes that it holds
- a rule whose `except` takes out all that its `match` lets in
- a rule whose day has come, one that acts for no account, one that says nothing
- a door, a client network or an account that no request can have: mostly a spelling
- a debt that nobody may make: an answer owes only where it is finished
- a limit that nobody is charged to: mostly a rule that lost its `limits`
- a band, or a value of one, that adds nothing: bands only tighten

Said only where the patterns prove it. What a parent wrote and its child took the use from (limits,
values of bands) is no mistake of the child and not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import pairwise

from hardening.errors import PolicyFault
from hardening.policy.coverage import contains, covers, patterns_of
from hardening.policy.faults import MAX_FAULTS, fault_at, listed
from hardening.policy.load import Reading
from hardening.policy.matching import glob
from hardening.policy.model import Rule
from hardening.policy.mounting import FORMATS
from hardening.policy.nodes import Node, quoted
from hardening.policy.provenance import KEYS, layer_path, leaves, mark_of, node_at, rule_nodes
from hardening.policy.quantities import start_of
from hardening.policy.rulebook import is_claimed, rests_on_the_caller
from hardening.policy.settings import Enforcement
from hardening.policy.terms import NOTHING, Terms, stricter


def idle(reading: Reading, now: float, doors: tuple[str, ...]) -> Iterator[PolicyFault]:
    """What can never act, with its place and what to do; `doors` are the names of the doors that there are."""
    for rule, node in zip(reading.file.rules, rule_nodes(reading.root), strict=True):
        yield from _rule(rule, node, now)
        yield from _shares(f"rule `{rule.name}`", rule, node)
        for side in ("match", "except"):
            yield from _doors(node_at(node, side, "door"), doors)
            yield from _clients(node_at(node, side, "client"))
    yield from _behind(reading)
    yield from _limits(reading)
    yield from _debts(reading)
    yield from _bands(reading)
    yield from _loose_layers(reading)


def _rule(rule: Rule, node: Node, now: float) -> Iterator[PolicyFault]:
    """A rule that is over, that says nothing, or that excepts what it matches."""
    if rule.until is not None and start_of(rule.until) <= now:
        text = f"rule `{rule.name}` ended when {rule.until} began, UTC; move its day, or remove the rule"
        yield fault_at(mark_of(node, "until"), text)
    if rule.terms() == NOTHING and not rule.exempt and rule.refuse is None:
        text = f"rule `{rule.name}` changes nothing; give it a setting, `exempt` or `refuse`, or remove it"
        yield fault_at(mark_of(node, "name"), text)
    if rule.unless is not None and covers(rule.unless, rule.match):
        # Who is not vouched for is in no group, and gets out of nothing by what he claims.
        never = rule.match.group is not None or not is_claimed(rule.unless)
        who = "holds for nobody" if never else "holds only for callers that nobody vouched for"
        text = f"rule `{rule.name}` {who}: its `except` takes out all that its `match` lets in; narrow it"
        yield fault_at(mark_of(node, "except"), text)


def _shares(name: str, part: Enforcement, node: Node) -> Iterator[PolicyFault]:
    if part.enforce is not None and part.mode == "shadow":
        text = f"{name} is in shadow, so its `enforce` says nothing; remove `mode` or `enforce`"
        yield fault_at(mark_of(node, "enforce"), text)
    elif part.enforce == 0:
        text = f"{name} acts for no account; raise the share, or write `mode: shadow`"
        yield fault_at(mark_of(node, "enforce"), text)


def _doors(node: Node, doors: tuple[str, ...]) -> Iterator[PolicyFault]:
    for leaf in leaves(node):
        # What is kept below a door has a name of its own that begins with the door's.
        known = any(glob(leaf.text)(name) or leaf.text.startswith(f"{name}/") for name in (*doors, *FORMATS))
        if not known:
            text = (
                f"found {quoted(leaf.text)}, which no door is called, so this never holds;"
                f" doors are called {listed(doors)}, or by a format"
            )
            yield fault_at(leaf.mark, text)


def _clients(node: Node) -> Iterator[PolicyFault]:
    for leaf in leaves(node):
        if "/" in leaf.text and not _is_network(leaf.text):
            text = (
                f"found {quoted(leaf.text)}, which is no network (are host bits set?), so it is compared"
                " as a text and no address is like it; write one such as 10.0.0.0/8"
            )
            yield fault_at(leaf.mark, text)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _behind(reading: Reading) -> Iterator[PolicyFault]:
    """Rules behind one that ends the walk for all that they match."""
    rules, nodes = reading.file.rules, rule_nodes(reading.root)
    ends = [index for index, rule in enumerate(rules) if _always_ends(rule)][:MAX_FAULTS]
    matches = [patterns_of(rule.match) for rule in rules]
    for index, rule in enumerate(rules):
        for end in ends:
            if end >= index:
                break
            if contains(matches[end], matches[index]) and _ends_before(rules[end], rule):
                first = mark_of(nodes[end], "name")
                text = (
                    f"rule `{rule.name}` is never reached: `{rules[end].name}` ({first.file}:{first.line})"
                    " ends the walk for all that it matches; move it up, or remove it"
                )
                yield fault_at(mark_of(nodes[index], "name"), text)
                break


def _always_ends(rule: Rule) -> bool:
    acts = rule.mode != "shadow" and rule.enforce in (None, 1.0)
    return acts and (rule.exempt or rule.refuse is not None)


def _ends_before(end: Rule, rule: Rule) -> bool:
    """Whether `end`, which matches all that `rule` does, ends the walk for all of it."""
    if end.until is not None and (rule.until is None or rule.until > end.until):
        return False
    if end.unless is not None and not (rule.unless is not None and covers(rule.unless, end.unless)):
        return False
    # An unproven caller is not exempted by what he chose; but no group holds for him either.
    return not end.exempt or not rests_on_the_caller(end) or rule.match.group is not None


def _limits(reading: Reading) -> Iterator[PolicyFault]:
    """Limits of this very file that nobody is charged to."""
    file, root = reading.file, reading.root
    charged = {*(file.defaults.limits or ()), *(file.accounts.unproven.limits or ())}
    for part in (*file.rules, *([file.risk.new] if file.risk.new is not None else [])):
        charged.update(part.limits or ())
    for name in file.limits:
        mark = mark_of(root, "limits", name)
        if name not in charged and mark.file == root.mark.file:
            text = f"limit `{name}` is charged by nobody; name it in `limits` of defaults or a rule, or remove it"
            yield fault_at(mark, text)


def _debts(reading: Reading) -> Iterator[PolicyFault]:
    """Limits of this very file that say how much may be owed, where no answer is finished in debt."""
    file, root = reading.file, reading.root
    if any(part.at_limit == "finish" for part in (file.defaults, *file.rules)):
        return
    for name, limit in file.limits.items():
        mark = mark_of(root, "limits", name, "max_debt")
        if limit.max_debt is not None and mark.file == root.mark.file:
            text = f"`max_debt` of limit `{name}` says nothing: no answer is finished in debt; write `at_limit: finish`, or remove it"
            yield fault_at(mark, text)


def _bands(reading: Reading) -> Iterator[PolicyFault]:
    """Bands that are never left, never alone, or say nothing."""
    root = reading.root
    bands = sorted(reading.file.risk.bands.items(), key=lambda item: (item[1].enter, item[0]))
    for name, band in bands:
        node = node_at(root, *layer_path(name))
        yield from _shares(f"band `{name}`", band, node)
        if band.leave == 0:
            text = f"band `{name}` is never left: no risk is below 0; write a `leave` above 0"
            yield fault_at(mark_of(node, "leave"), text)
        if band.terms() == NOTHING:
            text = f"band `{name}` changes nothing; give it a setting, or remove it"
            yield fault_at(mark_of(root, *layer_path(name)), text)
    for (below, lower), (above, upper) in pairwise(bands):
        if lower.enter == upper.enter:
            text = f"band `{below}` is never alone: `{above}` is entered at the same risk; join them, or move one"
            yield fault_at(mark_of(root, *layer_path(below), "enter"), text)


def _loose_layers(reading: Reading) -> Iterator[PolicyFault]:
    """Values of bands and of the prior, in this very file, that are no stricter than what always holds."""
    root, policy = reading.root, reading.policy
    by_rules = {
        name for rule in reading.file.rules for name in KEYS if getattr(rule.terms(), name) is not None
    }
    below = policy.rulebook.base
    for layer in policy.layers:
        # A new account may stand in no band at all.
        holds = below if layer.band is not None else policy.rulebook.base
        where = f"band `{layer.band}`" if layer.band is not None else "risk.new"
        for name, path in KEYS.items():
            value = getattr(layer.terms, name)
            mark = mark_of(root, *layer_path(layer.band), *path)
            said = value is not None and name not in by_rules and mark.file == root.mark.file
            if said and stricter(holds, _only(name, value)) == holds:
                text = (
                    f"`{'.'.join(path)}` of {where} adds nothing: it only tightens, and what holds without"
                    " it is as strict; write a stricter value, or remove it"
                )
                yield fault_at(mark, text)
        if _always_holds(reading, layer.band):
            below = stricter(below, layer.terms)


def _only(name: str, value: object) -> Terms:
    return Terms(**{name: value})  # type: ignore[arg-type]


def _always_holds(reading: Reading, band: str | None) -> bool:
    """Whether a band holds for all that stand in a higher one; the prior comes by itself."""
    part = reading.file.risk.bands.get(band or "")
    return part is not None and part.mode != "shadow" and part.enforce in (None, 1.0)
