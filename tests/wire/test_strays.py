"""Strays: bytes known from earlier frames stand for a reading, and for nothing that was not read."""

from __future__ import annotations

import json
from typing import Any

from hardening.wire.around import NOWHERE
from hardening.wire.codec import CODECS
from hardening.wire.shapes import Kind, string_text
from hardening.wire.strays import Strays

CHAT = CODECS["openai_chat"]


def raw(text: str = "x", *, field: str = "content", index: int = 0, id: str = "c1", **more: Any) -> bytes:
    choice = {"index": index, "delta": {field: text}, "finish_reason": None}
    return (
        b"data: "
        + json.dumps({"id": id, "choices": [choice], **more}, separators=(",", ":")).encode()
        + b"\n\n"
    )


def learnt(*kinds: tuple[Kind, int]) -> Strays:
    strays = Strays(CHAT.grammar)
    for kind, index in kinds or ((Kind.TEXT, 0),):
        strays.learn(kind, index)
    return strays


def piece(strays: Strays, data: bytes) -> bytes | None:
    place = strays.place(data)
    return None if place is None else data[slice(*place[2])]


def test_a_stream_that_taught_nothing_places_nothing() -> None:
    assert Strays(CHAT.grammar).place(raw()) is None
    strays = learnt()
    strays.forget()
    assert strays.place(raw()) is None


def test_only_kinds_and_numbers_that_were_read_are_placed() -> None:
    strays = learnt((Kind.TEXT, 0), (Kind.REASONING, 1))
    assert strays.place(raw(field="reasoning", index=0)) is None
    assert strays.place(raw(index=1)) is None
    assert strays.place(raw(field="reasoning", index=1))[:2] == (Kind.REASONING, 1)  # type: ignore[index]


def test_new_members_before_and_behind_the_payload() -> None:
    strays = learnt()
    for number in range(3):
        assert piece(strays, raw("yes", id=f"c{number}")) == b"yes"
        assert piece(strays, raw("no", **{f"x_{number}": number})) == b"no"
    assert strays.place(raw("a"))[3] == NOWHERE  # type: ignore[index]


def test_a_known_head_and_tail_do_not_vouch_for_what_is_between() -> None:
    strays = learnt()
    data = raw("yes")
    assert piece(strays, data) == b"yes"
    between = piece(strays, data.replace(b'"yes"}', b'"yes","reasoning":"T"}'))
    assert between is None or string_text(between) is None
