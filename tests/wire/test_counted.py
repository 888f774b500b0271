"""A literal with a number in it."""

from __future__ import annotations

from hardening.wire.counted import Numbered


def test_a_literal_holds_any_number_in_any_order() -> None:
    literal = Numbered(b'{"n":', b',"x":1}')
    for number in (9, 10, 11, 0, 99, 100, 101, 7, 1234567890, 19, 10):
        values = literal.values if literal.tens == number // 10 else literal.turn(number // 10)
        assert values[number % 10] == b'{"n":%d,"x":1}' % number
