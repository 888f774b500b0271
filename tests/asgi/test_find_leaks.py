"""`find_leaks` is what other tests trust: it must see a trace wherever a client could."""

from __future__ import annotations

import json

from hardening.testing import PIECE, Leak, ManualClock, find_leaks

TRACE = 'First I add 17 and 25, which is 42; "so" the café owes\nforty-two euros in all.'


def sse(*documents: object) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def delta(text: str, field: str = "reasoning", index: int = 0) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {field: text}}]}


def test_a_clean_body_has_no_leak() -> None:
    assert find_leaks(sse(delta("The answer is 42.", "content")), TRACE) == []


def test_nineteen_characters_are_none_and_twenty_are_one() -> None:
    assert find_leaks(TRACE[: PIECE - 1].encode(), TRACE) == []
    assert [leak.text for leak in find_leaks(TRACE[:PIECE].encode(), TRACE)] == [TRACE[:PIECE]]


def test_escapes_are_resolved() -> None:
    body = json.dumps({"a": TRACE}).encode()
    assert Leak("a", TRACE) in find_leaks(body, TRACE)


def test_escapes_are_resolved_in_text_that_is_not_json() -> None:
    body = b"oops " + json.dumps(TRACE).encode()[:-9]
    assert any("café" in leak.text for leak in find_leaks(body, TRACE))


def test_deltas_are_joined_per_field() -> None:
    stream = [sse(delta(TRACE[i : i + 3])) for i in range(0, len(TRACE), 3)]
    assert Leak("choices[0].delta.reasoning", TRACE) in find_leaks(stream, TRACE)


def test_choices_that_interleave_are_joined_apart() -> None:
    frames = [delta(TRACE[i : i + 3], index=n) for i in range(0, len(TRACE), 3) for n in (0, 1)]
    assert {leak.where for leak in find_leaks(sse(*frames), TRACE)} == {
        "choices[0].delta.reasoning",
        "choices[1].delta.reasoning",
    }


def test_tokens_and_byte_values_of_logprobs_are_joined() -> None:
    rows = [{"token": TRACE[i], "bytes": list(TRACE[i].encode())} for i in range(40)]
    found = find_leaks(json.dumps({"logprobs": {"content": rows}}).encode(), TRACE)
    assert {leak.where for leak in found} == {"logprobs.content.token", "logprobs.content.bytes[]"}


def test_json_inside_json_is_unescaped_too() -> None:
    inner = json.dumps({"thought": TRACE})
    stream = sse(*(delta(inner[i : i + 4], "arguments") for i in range(0, len(inner), 4)))
    assert any(leak.text == TRACE for leak in find_leaks(stream, TRACE))


def test_a_repeated_key_hides_nothing() -> None:
    body = json.dumps({"a": TRACE}).encode()[:-1] + b', "a": ""}'
    assert Leak("a", TRACE) in find_leaks(body, TRACE)


def test_the_manual_clock_moves_only_by_hand() -> None:
    clock = ManualClock(monotonic=5.0, wall=10.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.wall()) == (7.5, 12.5)
