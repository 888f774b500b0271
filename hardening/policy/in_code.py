"""Python values -> `Policy`: the nodes of a file that nobody wrote, each at the path of its value."""

from __future__ import annotations

from collections.abc import Mapping as Env
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hardening.errors import PolicyFault
from hardening.policy.compiled import Policy
from hardening.policy.faults import fault_at
from hardening.policy.load import Source, load_text, read_parent
from hardening.policy.nodes import MAX_DEPTH, MAX_NODES, Leaf, Listing, Mapping, Mark, Node, looks_secret

_NAME = "policy"
_NOTHING = Leaf(Mark(_NAME, 0, 0), None, "")


@dataclass(frozen=True, slots=True)
class Written(Source):
    """A policy whose nodes are there already, with the faults of their making."""

    root: Mapping
    faults: tuple[PolicyFault, ...]

    def nodes(self) -> tuple[Mapping, list[PolicyFault]]:
        """What a text would have been read as."""
        return self.root, list(self.faults)


def policy_of(keys: Env[str, object], environment: Env[str, str]) -> Policy:
    """The compiled policy of the keys of a file; raises PolicyError with all faults, each at its path.

    `extends` names a preset, or a file as seen from the working directory.
    """
    reader = _Reader()
    root = reader.mapping({"version": 1, **keys}, "", 1)
    written = Written(_NAME, f"<{_NAME} in code>", b"", root, tuple(reader.faults))
    return load_text(written, environment=environment, parents=read_parent)


class _Reader:
    """Makes the nodes of values, and collects the faults on the way."""

    def __init__(self) -> None:
        self.faults: list[PolicyFault] = []
        self._count = 0

    def mapping(self, value: Env[object, object] | Env[str, object], path: str, depth: int) -> Mapping:
        """The nodes of a mapping; a key that is no text is a fault."""
        entries: dict[str, tuple[Mark, Node]] = {}
        for key, inner in value.items():
            if isinstance(key, str):
                place = _below(path, key)
                entries[key] = (_mark(place), self._node(inner, place, depth + 1))
            else:
                self._fault(path, f"found a key of type {type(key).__name__} (allowed: a text)")
        return Mapping(_mark(path), entries)

    def _node(self, value: object, path: str, depth: int) -> Node:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            bound = f"{MAX_DEPTH} levels" if depth > MAX_DEPTH else f"{MAX_NODES} values"
            return self._fault(path, f"found more than {bound}; a policy has at most that many")
        if isinstance(value, Env):
            return self.mapping(value, path, depth)
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
            items = [self._node(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
            return Listing(_mark(path), tuple(items))
        return self._leaf(value, path)

    def _leaf(self, value: object, path: str) -> Leaf:
        if value is None:
            return Leaf(_mark(path), None, "")
        if isinstance(value, date) and not isinstance(value, datetime):
            value = value.isoformat()  # as a file has it
        if isinstance(value, bool):
            return Leaf(_mark(path), value, str(value).lower())
        if isinstance(value, str) and not _is_text(value):
            return self._fault(path, "found a lone half of a surrogate pair, which is no text")
        if isinstance(value, (str, int, float)):
            return Leaf(_mark(path), value, str(value))
        allowed = "a text, a number, true or false, a list, a mapping"
        return self._fault(path, f"found a value of type {type(value).__name__} (allowed: {allowed})")

    def _fault(self, path: str, message: str) -> Leaf:
        self.faults.append(fault_at(_mark(path), message))
        return _NOTHING


def _below(path: str, key: str) -> str:
    """The path of a key: dotted, or in brackets where the key itself has other signs; never a secret."""
    if looks_secret(key):
        return f"{path}[...]"
    if key.isidentifier():
        return f"{path}.{key}" if path else key
    return f"{path}[{key!r}]"


def _mark(path: str) -> Mark:
    """The place of a value in code, which has no line."""
    return Mark(f"{_NAME}:{path}" if path else _NAME, 0, 0)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
