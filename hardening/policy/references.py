"""Checks on the nodes of a file that no single field can make: references, names, secrets, `${...}`.

They run on nodes, not on the model, so that they report beside the model's own faults.
"""

from __future__ import annotations

from collections.abc import Iterator

from hardening.errors import PolicyFault
from hardening.policy.faults import did_you_mean, fault_at, listed
from hardening.policy.nodes import Leaf, Listing, Mapping, Mark, Node, looks_secret, quoted


def rule_name(rule: Node) -> Leaf | None:
    """The `name` of a rule, where it has one."""
    name = child(rule, "name")
    return name if isinstance(name, Leaf) and isinstance(name.value, str) else None


def child(node: Node | None, *path: str) -> Node | None:
    """The node at a path of keys, or None."""
    for key in path:
        if not isinstance(node, Mapping) or key not in node.entries:
            return None
        node = node.entries[key][1]
    return node


def own_faults(root: Mapping) -> Iterator[PolicyFault]:
    """Faults of one file by itself, before a parent is merged under it."""
    yield from _secrets(root)
    yield from _outside_runtime(root)
    seen: dict[str, Mark] = {}
    for rule in _items(child(root, "rules")):
        name = rule_name(rule)
        if name is not None and name.text in seen:
            first = seen[name.text].words
            yield fault_at(name.mark, f"found a second rule named {quoted(name.text)} (first {first})")
        elif name is not None:
            seen[name.text] = name.mark


def reference_faults(root: Mapping) -> Iterator[PolicyFault]:
    """Names of limits and groups that are used and not declared, in the merged file."""
    groups = _keys(child(root, "accounts", "groups"))
    limits = _keys(child(root, "limits"))
    for rule in _items(child(root, "rules")):
        for side in ("match", "except"):
            yield from _undeclared(child(rule, side, "group"), groups, "group")
        yield from _undeclared(child(rule, "limits"), limits, "limit")
    yield from _undeclared(child(root, "defaults", "limits"), limits, "limit")
    yield from _undeclared(child(root, "accounts", "unproven", "limits"), limits, "limit")


def _undeclared(node: Node | None, declared: list[str], kind: str) -> Iterator[PolicyFault]:
    for leaf in _items(node) or ([node] if isinstance(node, Leaf) else []):
        if isinstance(leaf, Leaf) and isinstance(leaf.value, str) and leaf.value not in declared:
            known = listed(declared) or "none is declared"
            hint = did_you_mean(leaf.value, declared)
            yield fault_at(
                leaf.mark, f"found the undeclared {kind} {quoted(leaf.value)}{hint} (allowed: {known})"
            )


def _secrets(node: Node) -> Iterator[PolicyFault]:
    """Every text that is shaped like an API key; the text is not quoted."""
    for mark, text in _texts(node):
        if looks_secret(text):
            yield fault_at(
                mark, "found a value shaped like an API key (allowed: an id, a fingerprint, a file name)"
            )


def _outside_runtime(root: Mapping) -> Iterator[PolicyFault]:
    for key, (_, node) in root.entries.items():
        if key != "runtime":
            for mark, text in _texts(node):
                if "${" in text:
                    yield fault_at(mark, "found `${`, which is only allowed under `runtime`")


def _texts(node: Node) -> Iterator[tuple[Mark, str]]:
    if isinstance(node, Leaf):
        yield node.mark, node.text
    elif isinstance(node, Listing):
        for item in node.items:
            yield from _texts(item)
    else:
        for key, (mark, value) in node.entries.items():
            yield mark, key
            yield from _texts(value)


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Listing) else ()


def _keys(node: Node | None) -> list[str]:
    return list(node.entries) if isinstance(node, Mapping) else []
