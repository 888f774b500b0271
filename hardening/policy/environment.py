"""What the environment says: `${NAME}` under `runtime`, and the twins that override it.

The environment is an argument. Its values are never part of a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Env

from hardening.errors import PolicyFault
from hardening.facts import Mode
from hardening.policy.faults import fault_at
from hardening.policy.inherit import merged
from hardening.policy.nodes import Leaf, Listing, Mapping, Mark, Node

_VARIABLE = re.compile(r"\$\{([^{}]{0,512})\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?")


def with_environment(root: Mapping, environment: Env[str, str], faults: list[PolicyFault]) -> Mapping:
    """The file with `${...}` under `runtime` replaced and the twins laid over it."""
    entries = dict(root.entries)
    if "runtime" in entries:
        mark, node = entries["runtime"]
        entries["runtime"] = (mark, _expanded(node, environment, faults))
    twins = _twins(environment, faults)
    if twins.entries:
        mark, node = entries.get("runtime", (root.mark, Mapping(root.mark, {})))
        if isinstance(node, Mapping):
            entries["runtime"] = (
                mark,
                merged(_without_key(node) if "keys" in twins.entries else node, twins),
            )
    return Mapping(root.mark, entries)


def mode_of(environment: Env[str, str], faults: list[PolicyFault]) -> Mode | None:
    """`shadow` where HARDENING_MODE says so; nothing else may be said there."""
    value = environment.get("HARDENING_MODE", "")
    if value == "shadow":
        return "shadow"
    if value:
        message = (
            "found another value (allowed: shadow, or not set; to enforce, unset it and write `mode: enforce`"
            " in the policy)"
        )
        faults.append(fault_at(Mark("HARDENING_MODE", 1, 1), message))
    return None


def _expanded(node: Node, environment: Env[str, str], faults: list[PolicyFault]) -> Node:
    if isinstance(node, Listing):
        return Listing(node.mark, tuple(_expanded(item, environment, faults) for item in node.items))
    if isinstance(node, Mapping):
        return Mapping(
            node.mark,
            {
                key: (mark, _expanded(value, environment, faults))
                for key, (mark, value) in node.entries.items()
            },
        )
    if not isinstance(node.value, str) or "${" not in node.value:
        return node

    def value_of(found: re.Match[str]) -> str:
        name = _NAME.fullmatch(found[1])
        if name is None:
            faults.append(
                fault_at(node.mark, "found `${...}` without a name (allowed: ${NAME}, ${NAME:-default})")
            )
            return ""
        if name[1] not in environment and name[2] is None:
            message = (
                f"found `${{{name[1]}}}`, which is not set (allowed: a default, ${{{name[1]}:-default}})"
            )
            faults.append(fault_at(node.mark, message))
        return environment.get(name[1]) or name[2] or ""

    if "${" in _VARIABLE.sub("", node.value):
        faults.append(fault_at(node.mark, "found `${` without its `}` (allowed: ${NAME}, ${NAME:-default})"))
    return Leaf(node.mark, _VARIABLE.sub(value_of, node.value), "")


def _leaf(name: str, value: str) -> Leaf:
    return Leaf(Mark(name, 1, 1), value, "")


def _twins(environment: Env[str, str], faults: list[PolicyFault]) -> Mapping:
    """A `runtime` of what variables of the environment name."""
    twins: dict[str, tuple[Mark, Node]] = {}
    if state := environment.get("HARDENING_STATE"):
        twins["state"] = (Mark("HARDENING_STATE", 1, 1), _leaf("HARDENING_STATE", state))
    if audit := environment.get("HARDENING_AUDIT"):
        mark = Mark("HARDENING_AUDIT", 1, 1)
        leaf = _leaf("HARDENING_AUDIT", audit)
        twins["audit"] = (
            mark,
            leaf if audit in ("stdout", "none") else Mapping(mark, {"file": (mark, leaf)}),
        )
    key, key_file = environment.get("HARDENING_KEY"), environment.get("HARDENING_KEY_FILE")
    if key and key_file:
        message = "found HARDENING_KEY_FILE beside HARDENING_KEY (allowed: one of them)"
        faults.append(fault_at(Mark("HARDENING_KEY_FILE", 1, 1), message))
    elif key or key_file:
        name = "HARDENING_KEY" if key else "HARDENING_KEY_FILE"
        place = ("env", _leaf(name, name)) if key else ("file", _leaf(name, key_file or ""))
        mark = Mark(name, 1, 1)
        twins["keys"] = (
            mark,
            Mapping(mark, {"current": (mark, Mapping(mark, {place[0]: (mark, place[1])}))}),
        )
    return Mapping(Mark("environment", 1, 1), twins)


def _without_key(runtime: Mapping) -> Mapping:
    """The `runtime` of the file without its current key; previous keys stay."""
    mark, keys = runtime.entries.get("keys", (runtime.mark, None))
    if not isinstance(keys, Mapping):
        return runtime
    previous = {name: entry for name, entry in keys.entries.items() if name != "current"}
    return Mapping(runtime.mark, {**runtime.entries, "keys": (mark, Mapping(keys.mark, previous))})
