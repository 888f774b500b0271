"""What a request may ask: its table as a tree, and the walk that finds in a body what the tree knows.

Servers in Go take a key in any case, and two letters of Unicode for those that they fold to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from hardening.wire.pins import Half, Pin, Switch, Touch
from hardening.wire.roles import Node, Role, grow, nodes
from hardening.wire.scan import Walk, read_json
from hardening.wire.sites import Owner

_RESENT = frozenset({Role.THOUGHTS, Role.RESENT, Role.TURNS, Role.TURN, Role.PARTS, Role.PART})
_NO_PINS: Mapping[str, Pin] = MappingProxyType({})
_NO_ROLES: Mapping[str, Role] = MappingProxyType({})
_ASKED = frozenset(
    {Role.ASK_CHOICES, Role.ASK_PROMPTS, Role.ASK_TOKENS, Role.ASK_LOGPROBS, Role.ASK_TOP, Role.ASK_COUNT}
    | {Role.ASK_ROWS, Role.ASK_INCLUDE, Role.ASK_PACKING}
)
_FOLDED = {"k": "(?:k|\u212a)", "s": "(?:s|\u017f)"}  # letters that others are folded to
# It tells where a value ends, many times faster than a pattern does; what is in it is not asked.
_scan = json.JSONDecoder(strict=False).raw_decode
_escaped = re.compile(rb"\\u").search
_NUMBERS = frozenset({Role.ASK_TOKENS, Role.ASK_TOP})  # settings that are put in where a body names none


def compile_questions(
    roles: Mapping[str, Role],
    *,
    streams: bool = False,
    pins: Mapping[str, Pin] = _NO_PINS,
    asks: Mapping[str, Role] = _NO_ROLES,
    nested: tuple[str, ...] = (),
    nested_pins: Mapping[str, Pin] = _NO_PINS,
) -> Node:
    """The tree of a table of a request's paths; keys are told in any case.

    `streams` says that an answer comes in pieces unless the request says that it shall not. The switches
    in `pins`, and what other servers ask by the names in `asks`, are told at the root, and in the objects under
    the keys in `nested`; there those in `nested_pins` as well.
    """
    named = _named(roles)
    own = {path.lower(): role for path, role in roles.items()}
    asked = {path.lower(): role for path, role in asks.items()}
    inner = {path: role for path, role in own.items() if role in _ASKED and "." not in path}
    apart = {path: role for path, role in own.items() if role not in _RESENT}

    def inside(pins: Mapping[str, Pin]) -> Node:
        nest, within = (grow({**asked, **inner}) for _ in range(2))
        for one in (nest, within):
            one.role = Role.ASK_NESTED
            _pin(one, pins, before=".")
        for key in nested:
            _graft(nest, key, within)  # what one gateway unpacks, the next one does
        return nest

    def tree(own: Mapping[str, Role], pins: Mapping[str, Pin], nest: Node) -> Node:
        grown = grow({**asked, **own})
        _pin(grown, pins)
        for key in nested:
            _graft(grown, key, nest)
        return grown

    nest = inside({**pins, **nested_pins})
    root = tree(own, pins, nest)
    root.named, root.streams = named, streams
    root.lean = tree(apart, _NO_PINS, inside(nested_pins))
    listed = [path for path in pins if "[]" in path]
    root.pinned = tree(apart, pins, nest)
    root.pinned.lean = tree(apart, {path: pin for path, pin in pins.items() if path not in listed}, nest)
    root.pinned.listed = _keys(listed)
    _share(root.pinned, root, _firsts(own))
    _share(root.pinned.lean, root, _firsts([*own, *listed]))
    _watch(root)
    return root


def _firsts(patterns: Iterable[str]) -> set[str]:
    """The first keys of paths."""
    return {
        path.partition(".")[0].partition("[")[0] for one in patterns for path, _ in nodes(Node(), one.lower())
    }


def _share(tree: Node, root: Node, apart: Collection[str]) -> None:
    """Let what stands in both trees under keys that are not `apart` be held once: it is most of either."""
    for name in tree.names.keys() - apart:
        tree.names[name] = tree.keys[name.encode()] = root.names[name]


def _keys(patterns: list[str]) -> Callable[[bytes], object]:
    """Finds in a text whether the last key of one of these paths may stand there, however it is spelt."""
    names = {path.rpartition(".")[2].lower() for pattern in patterns for path, _ in nodes(Node(), pattern)}
    spelt = "|".join("".join(_FOLDED.get(char, re.escape(char)) for char in name) for name in sorted(names))
    stands = re.compile(rf'"(?:{spelt})"'.encode()).search
    return lambda text: bool(names) and (stands(text.lower()) or _escaped(text)) is not None


def _pin(tree: Node, pins: Mapping[str, Pin], before: str = "") -> None:
    for path, pin in pins.items():
        spelt = nodes(Node(), path)
        for (name, _), (_, node) in zip(spelt, nodes(tree, path.lower()), strict=True):
            node.pin = replace(pin, name=before + name)


def _graft(tree: Node, key: str, nest: Node) -> None:
    """Let `nest`, one for all places, stand under `key`; of what stands there already nothing goes."""
    there = tree.names.setdefault(key, nest)
    tree.keys.setdefault(key.encode(), nest)
    for name, child in nest.names.items():
        there.names.setdefault(name, child)
        there.keys.setdefault(name.encode(), child)


def _named(roles: Mapping[str, Role]) -> Mapping[Role, tuple[tuple[str, ...], ...]]:
    """By what they ask for, the paths of a format's own settings, spelt as its servers read them."""
    found: dict[Role, list[tuple[str, ...]]] = {}
    for pattern, role in roles.items():
        if role in _NUMBERS:
            found.setdefault(role, []).extend(tuple(path.split(".")) for path, _ in nodes(Node(), pattern))
    return MappingProxyType({role: tuple(paths) for role, paths in found.items()})


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
    halves: list[Switch] = []
    is_quiet = False
    pinned = table.pinned
    # Most requests have switches in no list: then a long one, as of messages, is passed over.
    tree = pinned if pinned.listed(text) else pinned.lean
    for pin, start, end in Questions(text, tree, format=format).pinned:
        raw = text[start:end]
        if pin.touches & touches and not pin.harmless(value := read_json(raw, format=format)):
            if pin.half is Half.QUIET:
                is_quiet = True
                continue
            new = pin.forced(value, raw)
            switch = Switch(pin, start, end, new, kept=new == raw)
            (found if pin.half is None or pin.alone(value) else halves).append(switch)
    return tuple(sorted([*found, *halves], key=lambda one: one.start) if is_quiet else found)


class Questions(Walk):
    """A walk over a request: what its table governs, and where its switches stand."""

    __slots__ = ("_text", "pinned")

    def __init__(self, raw: bytes, table: Node, *, format: str) -> None:
        self.pinned: list[tuple[Pin, int, int]] = []
        self._text: str | None = None
        super().__init__(raw, 0, table, format=format, least=len(raw))  # no text is noted

    def _scalar(self, node: Node, name: bytes, at: int, end: int, owner: Owner) -> None:
        name = _folded(name)
        self._note(node.keys.get(name), at, end)
        super()._scalar(node, name, at, end, owner)

    def _container(self, node: Node, name: bytes, at: int, owner: Owner) -> int:
        name = _folded(name)
        known = len(self.pinned)
        end = super()._container(node, name, at, owner)
        for position, (pin, start, stop) in enumerate(self.pinned[known:], known):
            if pin.name[0] == ".":  # of an object for gateways, which is known once for all of them
                self.pinned[position] = (replace(pin, name=name.decode() + pin.name), start, stop)
        self._note(node.keys.get(name), at, end)
        return end

    def _end(self, at: int, *, unknown: bool) -> int:
        """Where a value ends: its strings are the caller's own, so nothing in it is looked at."""
        if self._raw[at : at + 1] in (b"{", b"["):
            if self._text is None:
                self._text = self._raw.decode("latin-1")  # as many characters as bytes
            try:
                return _scan(self._text, at)[1]
            except (ValueError, RecursionError):
                pass  # what that parser does not read, or not so deep, is followed by its brackets
        return super()._end(at, unknown=False)

    def _told_inside(self, at: int, end: int, owner: Owner, *, of: Role | None) -> None:
        """Nothing: what a caller says under names that no table knows is his own."""

    def _note(self, node: Node | None, at: int, end: int) -> None:
        if node is not None and node.pin is not None:
            self.pinned.append((node.pin, at, end))


def _folded(name: bytes) -> bytes:
    if name.isascii():
        return name.lower()
    return name.decode("utf-8", "replace").casefold().encode()
