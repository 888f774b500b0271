"""One parent under a file: maps merge, lists replace, a rule of the same name replaces in place."""

from __future__ import annotations

from hardening.policy.nodes import Listing, Mapping, Node
from hardening.policy.references import rule_name


def merged(parent: Mapping, child: Mapping) -> Mapping:
    """The child's mapping over its parent's; every node keeps the place where it stands."""
    entries = dict(parent.entries)
    for key, (mark, value) in child.entries.items():
        below = entries[key][1] if key in entries else None
        entries[key] = (mark, _over(key, below, value))
    return Mapping(child.mark, entries)


def _over(key: str, below: Node | None, above: Node) -> Node:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return merged(below, above)
    if key == "rules" and isinstance(below, Listing) and isinstance(above, Listing):
        return _rules(below, above)
    return above


def _rules(below: Listing, above: Listing) -> Listing:
    """The parent's rules with the child's of the same name in their place, then the child's others."""
    own = {name.text: rule for rule in above.items if (name := rule_name(rule)) is not None}
    items: list[Node] = []
    for rule in below.items:
        name = rule_name(rule)
        items.append(own.pop(name.text, rule) if name is not None else rule)
    left = [rule for rule in above.items if (name := rule_name(rule)) is None or own.get(name.text) is rule]
    return Listing(above.mark, (*items, *left))
