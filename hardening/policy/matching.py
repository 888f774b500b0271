"""Prepared tables that say which rules a request hits, as bits of one integer.

Bit i stands for rule i. A column holds what all rules say about one fact (the model, the account) and
remembers the answer per value, in a bounded table; a request costs one look-up per column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import TypeVar

MAX_REMEMBERED = 4096
MAX_REMEMBERED_TEXT = 1024

Key = TypeVar("Key")
Value = TypeVar("Value")
Texts = tuple[str, ...]
Test = Callable[[str], bool]


def glob(pattern: str) -> Test:
    """A test for `pattern`, in which * stands for any characters; linear in the text."""
    head, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, tail = rest

    def matches(text: str) -> bool:
        if not text.startswith(head):
            return False
        at, end = len(head), len(text) - len(tail)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end and text.endswith(tail)

    return matches


def network_or_glob(pattern: str) -> Test:
    """A test whether an address lies in the network `pattern`; where it is none, a glob."""
    try:
        network = ip_network(pattern)
    except ValueError:
        return glob(pattern)

    def contains(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return (getattr(address, "ipv4_mapped", None) or address) in network

    return contains


class PatternTable:
    """Which bits belong to the patterns that a text matches."""

    __slots__ = ("_exact", "_tests")

    def __init__(self, rows: Sequence[tuple[str, int]], test: Callable[[str], Test] = glob) -> None:
        self._exact: dict[str, int] = {}
        tests: dict[str, int] = {}
        for pattern, bits in rows:
            table = self._exact if test is glob and "*" not in pattern else tests
            table[pattern] = table.get(pattern, 0) | bits
        self._tests = [(test(pattern), bits) for pattern, bits in tests.items()]

    def bits(self, texts: Texts) -> int:
        """The bits of every pattern that any of the texts matches."""
        found = 0
        for text in texts:
            found |= self._exact.get(text, 0)
            for test, bits in self._tests:
                if found | bits != found and test(text):
                    found |= bits
        return found


class Column:
    """The rules that one fact lets through: those that do not look at it, and those it matches."""

    __slots__ = ("_indifferent", "_remembered", "_table")

    def __init__(
        self,
        wanted: Mapping[int, Texts],
        count: int,
        *,
        test: Callable[[str], Test] = glob,
        fold: bool = False,
    ) -> None:
        """`wanted` holds the patterns of the rules that look at the fact, by their index among `count`."""
        rows = [
            (pattern.casefold() if fold else pattern, 1 << index)
            for index, patterns in wanted.items()
            for pattern in patterns
        ]
        self._table = PatternTable(rows, test)
        self._indifferent = ((1 << count) - 1) & ~sum(1 << index for index in wanted)
        self._remembered: dict[Texts, int] = {}

    def bits(self, texts: Texts) -> int:
        """The rules that are not against these texts."""
        known = self._remembered.get(texts)
        if known is not None:
            return known
        found = self._indifferent | self._table.bits(texts)
        if sum(map(len, texts)) <= MAX_REMEMBERED_TEXT:
            remember(self._remembered, texts, found)
        return found


def remember(table: dict[Key, Value], key: Key, value: Value) -> None:
    """Put a value into a bounded table; a full one is emptied, since every entry can be made again."""
    if len(table) >= MAX_REMEMBERED:
        table.clear()
    table[key] = value
