"""Frames in which one payload stands and nothing else that matters, told by a pattern.

The pattern is made of the format's table, once for a process. It is an allow-list of what a full
reading would find to say nothing: names, values that change and mean nothing, numbers that
no table knows, and governed members that are empty. A frame that holds anything more, or says it
in another spelling, does not match and is read in full. So identifiers, padding and members that
no frame had before cost no parse.
"""

from __future__ import annotations

import re

from hardening.wire.framing import Framing
from hardening.wire.names import LENGTH_NAMES, tells_length
from hardening.wire.roles import Node, Role

INDEX, TEXT_KEY = 1, 2
"""Groups of a head: the owner's number, and the key of the payload where that is text."""
PAYLOAD, ROWS = 1, 2
"""Groups of a tail: the inside of the payload's string, and the list of its rows.

A group that took no part in a match starts at -1.
"""

PLAIN = rb"[ !#-\[\]-\xff]"
"""A byte inside a JSON string that is neither quote, backslash nor control."""
INSIDE = PLAIN + rb'*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + PLAIN + rb"*+)*+"
"""The inside of any JSON string."""

_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_NOTHING = rb'(?:null|""|\[\]|\{\})'
_HARMLESS_VALUE = b'(?:"' + PLAIN + b'*+"|' + _NUMBER + b"|null)"
_OWN_NUMBER = b"([0-9]{1,6}+)"
_HARMLESS = frozenset({Role.NAME, Role.VOLATILE, Role.SPEAKER, Role.HEAD})


class Grammar:
    """The frames of a streamed format whose payloads stand under one path.

    `path` leads from the root to the object that holds them, over at most one list of owners, such as
    `choices[].delta`; empty, they stand in the root itself. Compact JSON and JSON with a space after
    commas and colons are known, in events of one framing.

    A frame is a head, up to the quote that opens the payload, and a tail, from there to its end.
    Neither says anything about the other, so that bytes known from an earlier frame may stand for one.
    """

    __slots__ = ("_closing", "_heads", "_keys", "_tails", "framing")

    def __init__(self, table: Node, path: str, framing: Framing) -> None:
        self.framing = framing
        parts = re.findall(r"[^.\[\]]+|\[\]", path)
        spellings = [
            _Pattern(comma, colon).frame(table, parts, framing)
            for comma, colon in ((b",", b":"), (b", ", b": "))
        ]
        self._heads = [re.compile(head).match for head, _ in spellings]
        self._tails = [re.compile(tail).fullmatch for _, tail in spellings]
        self._closing = re.compile(rb"\}" + framing.around[1]).fullmatch
        self._keys = frozenset({*table.keys, *table.switches, b"type"})

    def head(self, raw: bytes) -> re.Match[bytes] | None:
        """The head of one whole event."""
        compact, spaced = self._heads
        return compact(raw) or spaced(raw)

    def tail(self, raw: bytes, at: int) -> re.Match[bytes] | None:
        """The tail that begins at `at`, where a head ends."""
        compact, spaced = self._tails
        return compact(raw, at) or spaced(raw, at)

    def ends(self, raw: bytes, at: int, *, lengths: bool) -> bool:
        """Whether the end of the event stands at `at`, inside the root object behind a member, and nothing before it that matters.

        What may stand there are members that no table knows and that are no strings, objects or lists; with
        `lengths` none under whose name lengths are told.
        """
        while (member := _new_member(raw, at)) is not None:
            name = member[1]
            if name in self._keys or (lengths and tells_length(name, member[2])):
                return False
            at = member.end()
        return self._closing(raw, at) is not None

    def open_end(self, tail: bytes, *, lengths: bool) -> bytes:
        """What of a tail stands before its `ends`."""
        at = tail.find(b",")
        while at >= 0 and not self.ends(tail, at, lengths=lengths):
            at = tail.find(b",", at + 1)
        return tail[: at if at >= 0 else tail.rindex(b"}")]


_new_member = re.compile(b', ?"(' + PLAIN + b'*+)": ?(' + _NUMBER + b"|true|false|null)").match


class _Pattern:
    """Writes the pattern of one spelling."""

    def __init__(self, comma: bytes, colon: bytes) -> None:
        self._comma = comma
        self._colon = colon

    def frame(self, table: Node, parts: list[str], framing: Framing) -> tuple[bytes, bytes]:
        """The patterns of head and tail."""
        head, tail = self._object(table, parts)
        before, after = framing.around
        if _OWN_NUMBER not in head:
            head = b"()??" + head  # the group stays; nothing here has a number
        return before + head, tail + after

    def _object(self, node: Node, parts: list[str]) -> tuple[bytes, bytes]:
        """An object with the payload somewhere in it, its number before it and its rows after it."""
        member, comma = self._member(node), self._comma
        before = self._usual(node) + b"(?:" + member + comma + b")*+"
        after = b"(?:" + comma + member + b")*+"
        if node.owner:
            before += self._index(node) + before
        rows = self._rows(node)
        head, tail = self._payload(node, parts)
        return rb"\{" + before + head, tail + after + (rows + after if rows else b"") + rb"\}"

    def _usual(self, node: Node) -> bytes:
        """Harmless members in the order of the table: a shorter way for most frames, no other language."""
        keys = [key for key, child in node.keys.items() if child.role in _HARMLESS]
        return b"".join(
            b'(?:"' + key + b'"' + self._colon + _HARMLESS_VALUE + self._comma + b")?+" for key in keys
        )

    def _payload(self, node: Node, parts: list[str]) -> tuple[bytes, bytes]:
        if not parts:
            text = b"|".join(_keys(node, Role.TEXT))
            trace = b"|".join(_keys(node, Role.REASONING))
            return b'"(?:(' + text + b")|" + trace + b')"' + self._colon + b'"', b"(" + INSIDE + b')"'
        key, *rest = parts
        child = node.keys[key.encode()]
        name = b'"' + key.encode() + b'"' + self._colon
        if rest[:1] == ["[]"] and child.items is not None:
            head, tail = self._object(child.items, rest[1:])
            return name + rb"\[" + head, tail + rb"\]"
        head, tail = self._object(child, rest)
        return name + head, tail

    def _index(self, node: Node) -> bytes:
        keys = b"|".join(_keys(node, Role.INDEX))
        return b'(?:"(?:' + keys + b')"' + self._colon + _OWN_NUMBER + self._comma + b")?+"

    def _rows(self, node: Node) -> bytes:
        """The rows of the text, here or in their holder; what cuts them proves that they are one list."""
        if _keys(node, Role.LOGPROBS):
            return b"(?:" + self._comma + self._list_of_rows(node) + b")?"
        for holder in _keys(node, Role.HOLDER):
            inner = node.keys[holder]
            member, comma = self._member(inner), self._comma
            rows = self._list_of_rows(inner)
            whole = rb"\{(?:" + member + comma + b")*+" + rows + b"(?:" + comma + member + rb")*+\}"
            return b"(?:" + comma + b'"' + holder + b'"' + self._colon + whole + b")?"
        return b""

    def _list_of_rows(self, node: Node) -> bytes:
        keys = b"|".join(_keys(node, Role.LOGPROBS))
        return b'"(?:' + keys + b')"' + self._colon + rb"(\[[^\n\r]*\])"

    def _member(self, node: Node) -> bytes:
        """A member that says nothing: harmless, or empty, or unknown and no string."""
        harmless = [key for key, child in node.keys.items() if child.role in _HARMLESS]
        unknown = PLAIN + b'*+"' + self._colon + b"(?:" + _NUMBER + b"|true|false)"
        unknown = b"(?!" + LENGTH_NAMES + b")" + unknown
        if node.keys:
            unknown = b"(?!" + _any([*node.keys]) + b")" + unknown
        ways = [PLAIN + b'*+"' + self._colon + _NOTHING, unknown]
        if ends := _keys(node, Role.DONE):
            ways.insert(0, _any(ends) + self._colon + b"false")
        if harmless:
            ways.insert(0, _any(harmless) + self._colon + _HARMLESS_VALUE)
        return b'"(?:' + b"|".join(ways) + b")"


def _keys(node: Node, role: Role) -> list[bytes]:
    return [key for key, child in node.keys.items() if child.role is role]


def _any(keys: list[bytes]) -> bytes:
    """One of the keys, with its closing quote."""
    return b"(?:" + b"|".join(re.escape(key) for key in keys) + b')"'
