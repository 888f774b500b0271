"""Frames in which one payload stands and nothing else that matters, told by one pattern.

The pattern is made of the format's table, once for a process. It is an allow-list of what a full
reading would find to say nothing: names, values that change and mean nothing, short scalars that
no table knows, and governed members that are empty. A frame that holds anything more, or says it
in another spelling, does not match and is read in full. So identifiers, padding and members that
no frame had before cost no parse.
"""

from __future__ import annotations

import re

from hardening.wire.roles import Node, Role
from hardening.wire.scan import UNKNOWN_TEXT_BYTES

INDEX, TEXT_KEY, PAYLOAD, ROWS = 1, 2, 3, 4
"""Groups of a match: the owner's number, the key where the payload is text, the inside of its
string, and the list of its rows; a group that took no part starts at -1."""

_PLAIN = rb"[ !#-\[\]-\xff]"  # a byte of a JSON string that is neither quote, backslash nor control
_INSIDE = _PLAIN + rb'*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + _PLAIN + rb"*+)*+"
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_NOTHING = rb'(?:null|""|\[\]|\{\})'
_HARMLESS = frozenset({Role.NAME, Role.VOLATILE, Role.SPEAKER})


class Grammar:
    """The frames of a streamed format whose payloads stand under one path.

    `path` leads from the root to the object that holds them, over at most one list of owners, such as
    `choices[].delta`. Compact JSON and JSON with a space after commas and colons are known.
    """

    __slots__ = ("_compact", "_spaced")

    def __init__(self, table: Node, path: str) -> None:
        parts = re.findall(r"[^.\[\]]+|\[\]", path)
        self._compact = re.compile(_Pattern(b",", b":").frame(table, parts)).fullmatch
        self._spaced = re.compile(_Pattern(b", ", b": ").frame(table, parts)).fullmatch

    def match(self, raw: bytes) -> re.Match[bytes] | None:
        """The match of one whole server-sent event; see `INDEX` and the other groups."""
        colon = raw.find(b'":')
        return self._spaced(raw) if raw[colon + 2 : colon + 3] == b" " else self._compact(raw)


class _Pattern:
    """Writes the pattern of one spelling."""

    def __init__(self, comma: bytes, colon: bytes) -> None:
        self._comma = comma
        self._colon = colon

    def frame(self, table: Node, parts: list[str]) -> bytes:
        return rb"data: ?" + self._object(table, parts) + rb"(?:\n\n|\r\n\r\n)"

    def _object(self, node: Node, parts: list[str]) -> bytes:
        """An object with the payload somewhere in it, its number before it and its rows after it."""
        member, comma = self._member(node), self._comma
        before = b"(?:" + member + comma + b")*+"
        after = b"(?:" + comma + member + b")*+"
        if node.owner:
            before += self._index(node) + before
        rows = self._rows(node)
        return rb"\{" + before + self._payload(node, parts) + after + (rows + after if rows else b"") + rb"\}"

    def _payload(self, node: Node, parts: list[str]) -> bytes:
        if not parts:
            text = b"|".join(_keys(node, Role.TEXT))
            trace = b"|".join(_keys(node, Role.REASONING))
            return b'"(?:(' + text + b")|" + trace + b')"' + self._colon + b'"(' + _INSIDE + b')"'
        key, *rest = parts
        child = node.keys[key.encode()]
        name = b'"' + key.encode() + b'"' + self._colon
        if rest[:1] == ["[]"] and child.items is not None:
            return name + rb"\[" + self._object(child.items, rest[1:]) + rb"\]"
        return name + self._object(child, rest)

    def _index(self, node: Node) -> bytes:
        keys = b"|".join(_keys(node, Role.INDEX))
        return b'(?:"(?:' + keys + b')"' + self._colon + b"([0-9]{1,6}+)" + self._comma + b")?+"

    def _rows(self, node: Node) -> bytes:
        """The rows of the text; what cuts them proves that they are one list."""
        for holder in _keys(node, Role.HOLDER):
            inner = node.keys[holder]
            member, comma, colon = self._member(inner), self._comma, self._colon
            keys = b"|".join(_keys(inner, Role.LOGPROBS))
            rows = b'"(?:' + keys + b')"' + colon + rb"(\[[^\n\r]*\])"
            whole = rb"\{(?:" + member + comma + b")*+" + rows + b"(?:" + comma + member + rb")*+\}"
            return b"(?:" + comma + b'"' + holder + b'"' + colon + whole + b")?"
        return b""

    def _member(self, node: Node) -> bytes:
        """A member that says nothing: harmless, or empty, or unknown and too short to hold a piece of a trace."""
        harmless = [key for key, child in node.keys.items() if child.role in _HARMLESS]
        string = b'"' + _PLAIN + b'*+"'
        short = b"" if node.guarded else b'"' + _PLAIN + b"{0,%d}+" % (UNKNOWN_TEXT_BYTES - 2) + b'"|'
        unknown = _PLAIN + b'*+"' + self._colon + b"(?:" + short + _NUMBER + b"|true|false)"
        if node.keys:
            unknown = b"(?!" + _any([*node.keys]) + b")" + unknown
        ways = [_PLAIN + b'*+"' + self._colon + _NOTHING, unknown]
        if harmless:
            ways.insert(0, _any(harmless) + self._colon + b"(?:" + string + b"|" + _NUMBER + b"|null)")
        return b'"(?:' + b"|".join(ways) + b")"


def _keys(node: Node, role: Role) -> list[bytes]:
    return [key for key, child in node.keys.items() if child.role is role]


def _any(keys: list[bytes]) -> bytes:
    """One of the keys, with its closing quote."""
    return b"(?:" + b"|".join(re.escape(key) for key in keys) + b')"'
