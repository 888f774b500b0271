"""Seals in requests, as every client may send them: in bounded time, and whatever stands around them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.wire.mark import MARK
from hardening.wire.turns import TURNS
from hardening.wire.unseal import RevealAt, Steps, answered, at_once, carries_seals, unsealed

Value = dict[str, Any]


def in_a_step(reveal: Callable[..., Value | None]) -> RevealAt:
    """The same, as seals are opened: step by step."""

    def opened(blob: str, answers: tuple[str, ...] | None) -> Steps[Value | None]:
        yield
        return reveal(blob, answers)

    return opened


def chat(*details: object, reveal: Any, **more: object) -> Value:
    """The model's own turn of a chat, as its server gets it."""
    own = {"role": "assistant", "content": "a", "reasoning_details": [*details], **more}
    body = json.dumps({"messages": [own, {"role": "user", "content": "x"}]}).encode()
    found = at_once(unsealed(body, TURNS["openai_chat"], in_a_step(reveal), format="openai_chat"))
    return json.loads(found.body)["messages"][0]  # type: ignore[no-any-return]


def sealed(number: int) -> Value:
    return {"type": "reasoning.encrypted", "data": f"{MARK}{number}"}


MANY: dict[str, Any] = {
    "openai_chat": lambda seals: [
        {
            "role": "assistant",
            "reasoning_details": [{"type": "reasoning.encrypted", "data": one} for one in seals],
        },
        {"role": "user", "content": "x"},
    ],
    "anthropic_messages": lambda seals: [
        {"role": "assistant", "content": [{"type": "thinking", "signature": one} for one in seals]},
        {"role": "user", "content": "x"},
    ],
    "openai_responses": lambda seals: [
        *({"type": "reasoning", "encrypted_content": one} for one in seals),
        {"type": "message", "role": "user", "content": "x"},
    ],
    "gemini_generate": lambda seals: [
        {
            "role": "model",
            "parts": [{"thought": True, "text": "a", "thoughtSignature": one} for one in seals],
        },
        {"role": "user", "parts": [{"text": "x"}]},
    ],
}
"""Turns with many seals, as few of them as the format has."""


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


@pytest.mark.parametrize("format", TURNS)
def test_a_step_opens_no_more_than_one_seal(format: str) -> None:
    """However many stand in one turn; each is opened once, and where none opens none is left."""
    seals, turns = [f"{MARK}{number}" for number in range(6)], TURNS[format]
    opened: list[str] = []

    def reveal(blob: str, answers: object) -> Value | None:
        opened.append(blob)
        return {"reasoning": "x"} if blob != seals[3] else None

    body = json.dumps({turns.key: MANY[format](seals)}).encode()
    steps = unsealed(body, turns, in_a_step(reveal), format=format)
    most = before = 0
    for _ in steps:
        most, before = max(most, len(opened) - before), len(opened)
    assert sorted(opened) == seals
    assert most == 1


def test_results_in_a_row_are_put_in_order_once() -> None:
    """Catches a place that is drawn anew for each of the turns that have the same."""
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": ""} for number in range(30)]
    own = {"role": "assistant", "content": "a", "reasoning_details": [sealed(1)]}
    body = json.dumps({"messages": [*results, own, own, own, *results[:2], own, *results]}).encode()
    places: list[tuple[str, ...] | None] = []

    def reveal(blob: str, answers: tuple[str, ...] | None) -> None:
        places.append(answers)

    at_once(unsealed(body, TURNS["openai_chat"], in_a_step(reveal), format="openai_chat"))
    first, *same, last = sorted(places, key=lambda one: len(one or ()), reverse=True)
    assert first == tuple(sorted(f"c{number}" for number in range(30)))
    assert all(one is first for one in same)
    assert last == ("c0", "c1")


def test_what_may_be_opened_is_spent_on_the_last_turns() -> None:
    """Catches an agent whose open tool turn loses its reasoning, for the sake of turns long past."""
    turns: list[Value] = []
    for number in range(5):
        own = {"role": "assistant", "content": "a", "reasoning_details": [sealed(number)]}
        turns += [{"role": "user", "content": "x"}, own]
    opened: list[str] = []

    def reveal(blob: str, answers: object) -> Value | None:
        opened.append(blob[len(MARK) :])
        return {"reasoning": blob[len(MARK) :]} if len(opened) <= 2 else None

    turns.append({"role": "user", "content": "x"})
    body = json.dumps({"messages": turns}).encode()
    found = at_once(unsealed(body, TURNS["openai_chat"], in_a_step(reveal), format="openai_chat"))
    assert opened == ["4", "3", "2", "1", "0"]
    told = [turn.get("reasoning") for turn in json.loads(found.body)["messages"][1::2]]
    assert told == [None, None, None, "3", "4"]
    assert MARK.encode() not in found.body


ODD: list[Any] = [None, 1, "", "x", [], {}, ["assistant"], {"a": 1}, [[]], [{}], f"{MARK}1", True]
NAMES = ["role", "type", "call_id", "content", "encrypted_content", "parts", "functionResponse", "id"]
NAMES += [
    "tool_call_id",
    "tool_use_id",
    "reasoning_details",
    "signature",
    "data",
    "thoughtSignature",
    "thought",
]


@pytest.mark.parametrize("format", TURNS)
def test_values_of_any_kind_open_nothing_and_break_nothing(format: str) -> None:
    """Catches a value that cannot be a member of a set, which ended the request with a fault of ours."""
    turns = TURNS[format]
    chance = random.Random(format)
    for _ in range(400):
        value: Any = {name: chance.choice(ODD) for name in chance.sample(NAMES, 6)}
        value["role"] = chance.choice([value.get("role"), "assistant", "model", "user"])
        value["type"] = chance.choice([value.get("type"), "reasoning", "function_call_output"])
        value["content"] = value["parts"] = chance.choice([dict(value), [dict(value), chance.choice(ODD)]])
        body = json.dumps({turns.key: [value, chance.choice(ODD), value], "_output": "tool_use_id"}).encode()
        assert set(answered(body, turns, format=format)) <= {"x", f"{MARK}1"}
        for members in (None, {"reasoning": "x"}):
            at_once(
                unsealed(body, turns, in_a_step(lambda blob, answers, found=members: found), format=format)
            )


SEAL = f"{MARK}1"
NO_PLACE: dict[str, Value] = {
    "anthropic_messages": {"content": [{"type": "text", "text": "a", "signature": SEAL}]},
    "openai_responses": {"type": "message", "content": "a", "encrypted_content": SEAL},
    "gemini_generate": {"parts": [{"text": "a", "thoughtSignature": SEAL}]},
}
THINKS: dict[str, Value] = {
    "anthropic_messages": {"content": [{"type": "thinking", "thinking": "", "text": "a", "signature": SEAL}]},
    "openai_responses": {"type": "reasoning", "text": "a", "encrypted_content": SEAL},
    "gemini_generate": {"parts": [{"thought": True, "inlineData": {}, "thought_signature": SEAL}]},
}


def restored(format: str, own: Value, *, then: bool = True, members: Value | None = None) -> list[Value]:
    """The turns that a server gets of the model's own one, which a person answers."""
    turns = TURNS[format]
    role = "model" if format == "gemini_generate" else "assistant"
    body = {turns.key: [{"role": role, **own}, *([{"role": "user", "type": "message"}] if then else [])]}
    steps = unsealed(
        json.dumps(body).encode(), turns, in_a_step(lambda blob, answers: members or LOOT), format=format
    )
    found = at_once(steps)
    assert MARK.encode() not in found.body
    return json.loads(found.body)[turns.key]  # type: ignore[no-any-return]


LOOT = {"thinking": "trace", "content": "trace", "text": "trace"}


@pytest.mark.parametrize("format", NO_PLACE)
def test_a_seal_in_an_object_that_holds_no_reasoning_is_dropped(format: str) -> None:
    """Catches a trace that is put back where servers show it, or take it for what the model said."""
    assert "trace" not in json.dumps(restored(format, NO_PLACE[format]))
    assert '"a"' in json.dumps(restored(format, NO_PLACE[format]))


@pytest.mark.parametrize("format", THINKS)
def test_what_is_restored_has_no_members_of_the_clients(format: str) -> None:
    (own, _) = restored(format, THINKS[format], members={"text": "trace"})
    told = next(iter(own.get("content") or own.get("parts") or [own]))
    named: dict[str, Value] = {
        "anthropic_messages": {"type": "thinking", "signature": ""},
        "openai_responses": {"type": "reasoning", "summary": []},
        "gemini_generate": {"thought": True},
    }
    assert told == {**named[format], "text": "trace"}


PLACED: dict[str, Value] = {
    **{format: {key: value for key, value in one.items() if key != "text"} for format, one in THINKS.items()},
    "openai_chat": {"content": "", "reasoning_details": [sealed(1)]},
}


@pytest.mark.parametrize("then", [True, False])
@pytest.mark.parametrize("format", TURNS)
def test_a_begun_answer_takes_no_trace(format: str, then: bool) -> None:
    """Catches a trace that the model goes on with, so that what follows is taken for the answer."""
    assert ("trace" in json.dumps(restored(format, PLACED[format], then=then))) is then


def test_a_turn_that_its_api_paused_takes_its_trace() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": SEAL}
    paused = {"content": [thinking, {"type": "server_tool_use", "id": "srvtoolu_1"}]}
    (own,) = restored("anthropic_messages", paused, then=False)
    assert own["content"][0]["thinking"] == "trace"
    (begun,) = restored("anthropic_messages", {"content": [thinking, {"type": "text"}]}, then=False)
    assert begun["content"] == [{"type": "text"}]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-32-be"),
        lambda text: text.replace("aGFy", "\\u0061G\\u0046\\u0079").encode(),
    ],
)
def test_a_seal_is_seen_however_a_body_is_written(write: Any) -> None:
    own = {"role": "assistant", "content": "a", "reasoning_details": [sealed(1)]}
    body = write(json.dumps({"messages": [own, {"role": "user", "content": "x"}]}))
    assert carries_seals(body)
    found = at_once(
        unsealed(body, TURNS["openai_chat"], in_a_step(lambda blob, answers: None), format="openai_chat")
    )
    assert json.loads(found.body)["messages"][0] == {"role": "assistant", "content": "a"}


@given(st.lists(st.sampled_from(["aGFyZGVu", "Z", "aGFyZ", "GVu", "aGFy", "x" * 9, "Z" * 70]), max_size=9))
def test_the_mark_is_seen_whatever_stands_before_it(parts: list[str]) -> None:
    text = "".join(parts)
    assert carries_seals(text.encode()) == ("aGFyZGVu" in text)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe{", b'{"a": "\\u0061G"}', b'{"a": "\\\\u00e9 \\u0061"}']
)
def test_what_holds_no_mark_carries_none(body: bytes) -> None:
    assert not carries_seals(body)
