"""Where strings end: as the pattern of JSON says, and each byte looked at a bounded number of times."""

from __future__ import annotations

import random
import re

import pytest

from hardening.errors import WireError
from hardening.wire.codec import CODECS
from hardening.wire.pins import Touch
from hardening.wire.strings import string_end, tokens

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_string = re.compile(_STRING, re.DOTALL).match
_tokens = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL).finditer
ALPHABETS = (b'"\\a', b'"\\' + b"a" * 30, b"\\" * 30 + b'"', b'\\"', b'"\\\n\xe9x')


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_string_ends_where_the_pattern_ends(alphabet: bytes) -> None:
    chance = random.Random(5)
    for _ in range(3000):
        raw = b'"' + bytes(chance.choices(alphabet, k=chance.choice((0, 1, 2, 9, 70, 255, 300, 1500))))
        found = _string(raw)
        assert string_end(raw, 0) == (-1 if found is None else found.end()), raw


@pytest.mark.parametrize("run", [*range(12), 253, 254, 255, 256, 257, 1279, 1280, 1281, 40_001])
def test_a_run_of_backslashes_is_read_in_pairs(run: int) -> None:
    """Wherever the pieces in which it is read are cut."""
    raw = b'"' + b"\\" * run + b'"' + b"a" * 20 + b'"'
    assert string_end(raw, 0) == run + 2 + (21 if run % 2 else 0)


def test_tokens_are_those_of_the_pattern() -> None:
    chance = random.Random(6)
    for _ in range(2000):
        parts = chance.choices(
            (b"[", b"]", b"{", b"}", b"1", b'"a"', b'"\\""', b'"' + b"x" * 400 + b'"'), k=9
        )
        parts.insert(4, b'"' + b'\\"x' * chance.randrange(9) + b'"')
        raw = b"".join(parts)
        assert list(tokens(raw, 0)) == [one.span() for one in _tokens(raw)]


def test_what_follows_a_string_that_nothing_closes_is_looked_at_once() -> None:
    """Catches a search that begins anew at each quote behind it: 40 kB took four seconds."""
    raw = b'["' + b'\\"' * 400_000
    assert list(tokens(raw, 0)) == [(0, 1)]
    body = b'{"model": "m", "x": ' + raw + b"}"
    with pytest.raises(WireError, match="expected the end"):
        CODECS["openai_chat"].switches(body, Touch.TRACE)
