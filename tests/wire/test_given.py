"""What is handed to tools is told in any shape, and names of calls are not."""

from __future__ import annotations

from hardening.wire.given import given_in

DEEP: object = "deepest"
for _ in range(5_000):
    DEEP = [{"": DEEP}]


def test_strings_come_in_order_and_names_of_calls_do_not() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    assert [*given_in([call, {"function": {"arguments": ":1}"}}])] == ['{"a"', ":1}"]
    assert [
        *given_in({"name": "f", "args": {"id": "a", "of": ["b", {"type": "c"}, 1, None], "name": "d"}})
    ] == [*("f", "a", "b", "c", "d")]
    assert [*given_in('{"a')] == ['{"a']


def test_no_depth_is_too_deep() -> None:
    assert [*given_in(DEEP)] == ["deepest"]
