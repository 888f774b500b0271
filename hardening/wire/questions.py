"""What a request may ask: its table as a tree, and the walk that finds in a body what the tree knows.

Servers in Go take a key in any case, and two letters of Unicode for those that they fold to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hardening.wire.pins import Pin, Switch, Touch
from hardening.wire.roles import Node, Role, grow, nodes
from hardening.wire.scan import Walk, read_json
from hardening.wire.sites import Owner

_RESENT = frozenset({Role.RESENT, Role.TURNS, Role.TURN, Role.PARTS, Role.PART})
_NO_PINS: Mapping[str, Pin] = MappingProxyType({})


def compile_questions(
    roles: Mapping[str, Role],
    *,
    streams: bool = False,
    pins: Mapping[str, Pin] = _NO_PINS,
    nested: tuple[str, ...] = (),
) -> Node:
    """The tree of a table of a request's paths; keys are told in any case.

    `streams` says that an answer comes in pieces unless the request says that it shall not. The switches
    in `pins` are told at the root, and in the objects under the keys in `nested`.
    """
    roles = {path.lower(): role for path, role in roles.items()}
    root = grow(roles)
    root.streams = streams
    root.lean = grow({path: role for path, role in roles.items() if role not in _RESENT})
    for place in ("", *(f"{key}." for key in nested)):
        for path, pin in pins.items():
            named = nodes(Node(), place + path)
            for (name, _), (_, node) in zip(named, nodes(root, (place + path).lower()), strict=True):
                node.pin = replace(pin, name=name)
    _watch(root)
    return root


def _watch(node: Node) -> bool:
    below = [_watch(child) for child in node.names.values()]
    node.watched = node.pin is not None or any(below)
    if node.items is not None:
        _watch(node.items)
    return node.watched


def switches(text: bytes, table: Node, touches: Touch, *, format: str) -> tuple[Switch, ...]:
    """The switches that touch one of `touches` and are not harmless, at every occurrence.

    Raises WireError where the text cannot be followed.
    """
    found: list[Switch] = []
    for pin, start, end in Questions(text, table, format=format).pinned:
        raw = text[start:end]
        if pin.touches & touches and not pin.harmless(value := read_json(raw, format=format)):
            new = pin.forced(value, raw)
            found.append(Switch(pin, start, end, new, kept=new == raw))
    return tuple(found)


class Questions(Walk):
    """A walk over a request: what its table governs, and where its switches stand."""

    __slots__ = ("pinned",)

    def __init__(self, raw: bytes, table: Node, *, format: str) -> None:
        self.pinned: list[tuple[Pin, int, int]] = []
        super().__init__(raw, 0, table, format=format)

    def _scalar(self, node: Node, name: bytes, at: int, end: int, owner: Owner) -> None:
        name = _folded(name)
        self._note(node.keys.get(name), at, end)
        super()._scalar(node, name, at, end, owner)

    def _container(self, node: Node, name: bytes, at: int, owner: Owner) -> int:
        name = _folded(name)
        end = super()._container(node, name, at, owner)
        self._note(node.keys.get(name), at, end)
        return end

    def _note(self, node: Node | None, at: int, end: int) -> None:
        if node is not None and node.pin is not None:
            self.pinned.append((node.pin, at, end))


def _folded(name: bytes) -> bytes:
    if name.isascii():
        return name.lower()
    return name.decode("utf-8", "replace").casefold().encode()
