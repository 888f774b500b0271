"""Seals in requests, as every client may send them: in bounded time, and whatever stands around them."""

from __future__ import annotations

import json
from typing import Any

from hardening.wire.mark import MARK
from hardening.wire.unseal import TURNS, unsealed

Value = dict[str, Any]


def chat(*details: object, reveal: Any, **more: object) -> Value:
    """The model's own turn of a chat, as its server gets it."""
    own = {"role": "assistant", "content": "a", "reasoning_details": [*details], **more}
    body = json.dumps({"messages": [own, {"role": "user", "content": "x"}]}).encode()
    found = unsealed(body, TURNS["openai_chat"], reveal, format="openai_chat")
    return json.loads(found.body)["messages"][0]  # type: ignore[no-any-return]


def sealed(number: int) -> Value:
    return {"type": "reasoning.encrypted", "data": f"{MARK}{number}"}


class Counted(dict[str, object]):
    """An object that counts what it is compared with."""

    compared = 0
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)


def test_elements_are_told_apart_without_comparing_each_with_each() -> None:
    details = [Counted(sealed(0)), *(Counted(a=number) for number in range(50)), Counted(sealed(1))]
    turn = {"role": "assistant", "reasoning_details": details}
    blocks = [Counted(b=number) for number in range(50)]
    Counted.compared = 0
    restored = TURNS["openai_chat"].restored
    restored(turn, lambda blob: None)
    restored(turn, lambda blob: {"reasoning_details": blocks})
    assert Counted.compared == 0


def test_what_stands_beside_seals_stays_behind_what_they_hold() -> None:
    def reveal(blob: str, answers: object) -> Value:
        return {"reasoning": f"t{blob[-1]}", "reasoning_details": [{"text": blob[-1], "n": 1}]}

    rest = [{"n": 1, "text": "1"}, {"n": 2}]
    own = chat(sealed(1), rest[0], sealed(2), rest[1], reveal=reveal, reasoning="a summary")
    assert own["reasoning"] == "t1t2"
    assert own["reasoning_details"] == [{"text": "1", "n": 1}, {"text": "2", "n": 1}, {"n": 2}]


def test_a_seal_that_was_copied_holds_no_more_than_one() -> None:
    own = chat(*[sealed(1)] * 99, reveal=lambda blob, answers: {"reasoning": "trace"})
    assert own == {"role": "assistant", "content": "a", "reasoning": "trace"}


def test_results_in_a_row_are_put_in_order_once() -> None:
    """Catches a place that is drawn anew for each of the turns that have the same."""
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": ""} for number in range(30)]
    own = {"role": "assistant", "content": "a", "reasoning_details": [sealed(1)]}
    body = json.dumps({"messages": [*results, own, own, own, *results[:2], own]}).encode()
    places: list[tuple[str, ...] | None] = []

    def reveal(blob: str, answers: tuple[str, ...] | None) -> None:
        places.append(answers)

    unsealed(body, TURNS["openai_chat"], reveal, format="openai_chat")
    first, *same, last = sorted(places, key=lambda one: len(one or ()), reverse=True)
    assert first == tuple(sorted(f"c{number}" for number in range(30)))
    assert all(one is first for one in same)
    assert last == ("c0", "c1")
