"""Checks on the nodes of a file that no single field can make: references, names, secrets, `${...}`.

They run on nodes, not on the model, so that they report beside the model's own faults.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from hardening.errors import PolicyFault
from hardening.policy.faults import did_you_mean, fault_at, listed
from hardening.policy.mounting import FORMATS
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
    yield from _version(root)
    yield from secret_faults(root)
    yield from _outside_runtime(root)
    seen: dict[str, Mark] = {}
    for rule in _items(child(root, "rules")):
        name = rule_name(rule)
        if name is not None and name.text in seen:
            first = seen[name.text].words
            yield fault_at(name.mark, f"found a second rule named {quoted(name.text)} (first {first})")
        elif name is not None:
            seen[name.text] = name.mark


def _version(root: Mapping) -> Iterator[PolicyFault]:
    """Each file says in which version it is written; its parent or child does not say it for it."""
    version = child(root, "version")
    if version is None:
        yield fault_at(root.mark, "found no `version`, which is required here")
    elif (
        isinstance(version, Leaf) and version.text and (type(version.value) is not int or version.value != 1)
    ):
        yield fault_at(version.mark, f"found {quoted(version.text)} (allowed: 1)")


def reference_faults(root: Mapping) -> Iterator[PolicyFault]:
    """Names of limits and groups that are used and not declared, in the merged file."""
    groups = _keys(child(root, "accounts", "groups"))
    limits = _keys(child(root, "limits"))
    yield from _alike(child(root, "doors"), _segments, "door")
    for rule in _items(child(root, "rules")):
        for side in ("match", "except"):
            yield from _undeclared(child(rule, side, "group"), groups, "group")
            yield from _alike(child(rule, side, "header"), str.lower, "header")
            yield from _no_format(child(rule, side, "door"))
        yield from _undeclared(child(rule, "limits"), limits, "limit")
    yield from _undeclared(child(root, "defaults", "limits"), limits, "limit")
    yield from _undeclared(child(root, "accounts", "unproven", "limits"), limits, "limit")
    yield from _undeclared(child(root, "risk", "new", "limits"), limits, "limit")
    yield from _of_everybody(root)
    yield from _shared_by_all(root)


def _of_everybody(root: Mapping) -> Iterator[PolicyFault]:
    """Limits of all callers that shall be those of new accounts."""
    for leaf in _leaves(child(root, "risk", "new", "limits")):
        by = child(root, "limits", leaf.text, "by")
        if isinstance(by, Leaf) and by.text == "all":
            yield fault_at(
                leaf.mark, f"found {quoted(leaf.text)}, which all callers share (allowed: another `by`)"
            )


def _undeclared(node: Node | None, declared: Collection[str], kind: str) -> Iterator[PolicyFault]:
    for leaf in _leaves(node):
        if isinstance(leaf.value, str) and leaf.value not in declared:
            known = listed(list(declared)) or "none is declared"
            hint = did_you_mean(leaf.value, declared)
            yield fault_at(
                leaf.mark, f"found the undeclared {kind} {quoted(leaf.value)}{hint} (allowed: {known})"
            )


def _shared_by_all(root: Mapping) -> Iterator[PolicyFault]:
    """Limits of new accounts that all callers share: those are counted where nobody's standing is known."""
    for leaf in _leaves(child(root, "risk", "new", "limits")):
        by = child(root, "limits", str(leaf.value), "by")
        if isinstance(by, Leaf) and by.value == "all":
            yield fault_at(
                leaf.mark,
                f"found {quoted(str(leaf.value))}, which is `by: all` (allowed: limits of accounts)",
            )


def _alike(node: Node | None, spelt: Callable[[str], str], kind: str) -> Iterator[PolicyFault]:
    """Keys of one mapping that mean the same, so that one of them would never act."""
    seen: dict[str, str] = {}
    for key, (mark, _) in node.entries.items() if isinstance(node, Mapping) else ():
        if (first := seen.setdefault(spelt(key), key)) != key:
            yield fault_at(
                mark, f"found {quoted(key)} beside {quoted(first)}, the same {kind} (allowed: one)"
            )


def _segments(path: str) -> str:
    """A path as doors are found: whatever its case and its doubled or trailing slashes."""
    return "/".join(filter(None, path.lower().split("/")))


def _no_format(node: Node | None) -> Iterator[PolicyFault]:
    """What stands for a door and is neither a path, nor a glob, nor a format."""
    for leaf in _leaves(node):
        text = leaf.text
        if text and "/" not in text and "*" not in text and text not in FORMATS:
            hint = did_you_mean(text, FORMATS)
            yield fault_at(
                leaf.mark,
                f"found the unknown format {quoted(text)}{hint} (allowed: a path, or one of {listed(FORMATS)})",
            )


def secret_faults(node: Node) -> Iterator[PolicyFault]:
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


def _leaves(node: Node | None) -> list[Leaf]:
    """The scalars of a list, or the one that stands in its place."""
    return [leaf for leaf in _items(node) or (node,) if isinstance(leaf, Leaf)]


def _keys(node: Node | None) -> Collection[str]:
    return node.entries.keys() if isinstance(node, Mapping) else ()
