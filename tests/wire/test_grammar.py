"""The grammar of a format: what matches says the same as a full reading, and nothing beside it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.events import Reasoning, Text
from hardening.wire.codec import CODECS
from hardening.wire.grammar import INDEX, PAYLOAD, ROWS, TEXT_KEY

CHAT = CODECS["openai_chat"]
ROW = [{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}]


def chunk(delta: dict[str, Any], *, choice: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "a-model-with-a-long-name-2026",
        **more,
        "choices": [{"index": 3, "delta": delta, "finish_reason": None, **(choice or {})}],
    }


def raw(value: object, *, spaced: bool = False, eol: bytes = b"\n") -> bytes:
    separators = None if spaced else (",", ":")
    return b"data: " + json.dumps(value, separators=separators).encode() + eol + eol


class Found:
    """Head and tail of a frame that the grammar knows."""

    def __init__(self, head: re.Match[bytes], tail: re.Match[bytes]) -> None:
        self.index, self.text_key = int(head[INDEX] or 0), head[TEXT_KEY]
        self.payload, self.rows = tail[PAYLOAD], tail[ROWS]


def match(data: bytes) -> Found | None:
    assert CHAT.grammar is not None
    head = CHAT.grammar.head(data)
    tail = None if head is None else CHAT.grammar.tail(data, head.end())
    return None if head is None or tail is None else Found(head, tail)


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_text_and_trace_with_their_number(spaced: bool, eol: bytes) -> None:
    text = match(raw(chunk({"content": 'a "b"\n'}, usage=None, x_new=7), spaced=spaced, eol=eol))
    assert text is not None
    assert (text.index, text.payload, text.text_key) == (3, b'a \\"b\\"\\n', b"content")
    trace = match(raw(chunk({"role": "assistant", "reasoning": "hm"}), spaced=spaced, eol=eol))
    assert trace is not None
    assert (trace.payload, trace.text_key) == (b"hm", None)


def test_text_with_its_rows() -> None:
    data = raw(chunk({"content": "x"}, choice={"logprobs": {"content": ROW, "refusal": None}}))
    found = match(data)
    assert found is not None
    assert json.loads(found.rows) == ROW


@pytest.mark.parametrize(
    "value",
    [
        chunk({"content": "x", "reasoning": "T"}),
        chunk({"content": "x", "my_thoughts": "T"}),
        chunk({"content": "x", "tool_calls": [{"index": 0}]}),
        chunk({"content": "x"}, choice={"finish_reason": "stop"}),
        chunk({"content": "x"}, choice={"token_ids": [1]}),
        chunk({"content": "x"}, usage={"prompt_tokens": 1}),
        chunk({"content": "x"}, note="longer than twenty characters"),
        chunk({"content": "x"}, note={"a": 1}),
        chunk({"content": "x"}, prompt_logprobs=[1]),
        chunk({"content": "x"}, content=False),  # in place of an answer, at any door
        {"choices": [{"delta": {"content": "x"}}, {"delta": {"reasoning": "T"}}]},
        {"choices": []},
    ],
)
def test_whatever_else_a_frame_says_is_read_in_full(value: object) -> None:
    assert match(raw(value)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"content":"x"', b'"content":"x","content":"y"'),
        (b'"content":"x"', b'"content":"x","reason\\u0069ng":"T"'),
        (b'"content":"x"', b'"content":"\\x"'),
        (b'"content":"x"', b'"content":"a\nb"'),
        (b'"id":"c1"', b'"id":"c1"}\n\ndata: {"id":"c2"'),
        (b"data: ", b": T\ndata: "),
        (b'"index":3', b'"index":03,"index":3'),
    ],
)
def test_other_spellings_are_read_in_full(old: bytes, new: bytes) -> None:
    data = raw(chunk({"content": "x"}))
    assert match(data) is not None
    assert old in data
    assert match(data.replace(old, new)) is None


_scalars = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=25)
_values = (
    _scalars | st.lists(_scalars, max_size=2) | st.dictionaries(st.text(max_size=9), _scalars, max_size=2)
)
_keys = st.sampled_from(
    [
        "content",
        "role",
        "reasoning",
        "refusal",
        "usage",
        "error",
        "token_ids",
        "text",
        "new",
        "my_thinking",
        "id",
    ]
)
_members = st.dictionaries(_keys, _values, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(delta=_members, choice=_members, more=_members, spaced=st.booleans())
def test_a_match_is_what_a_full_reading_finds(
    delta: dict[str, Any], choice: dict[str, Any], more: dict[str, Any], spaced: bool
) -> None:
    data = raw(chunk(delta, choice=choice, **more), spaced=spaced)
    found = match(data)
    if found is None:
        return
    try:
        frame = CHAT.frame(data, 6, len(data) - 2)
    except WireError:
        pytest.fail("the grammar knows a frame that cannot be read")
    text = json.loads(b'"' + found.payload + b'"')
    kind = Text if found.text_key else Reasoning
    expected = [kind(found.index, text)] if text else []
    assert [event for event, _ in frame.events] == expected
    assert frame.unknown == []


@pytest.mark.parametrize("name", ["ollama_chat", "ollama_generate"])
def test_lines_have_a_grammar_of_their_own(name: str) -> None:
    grammar = CODECS[name].grammar
    assert grammar is not None
    text, trace = {"ollama_chat": ("content", "thinking"), "ollama_generate": ("response", "thinking")}[name]

    def known(
        said: dict[str, Any], *, old: bytes = b"", new: bytes = b"", **more: Any
    ) -> tuple[bytes, bool, bytes | None] | None:
        said = {text: "", **said}
        inner = {"message": {"role": "assistant", **said}} if name == "ollama_chat" else said
        raw = (
            json.dumps({"model": "m", "created_at": "2026", **inner, "done": False, **more}).encode() + b"\n"
        )
        raw = raw.replace(old, new, 1) if old else raw
        head = grammar.head(raw)
        tail = None if head is None else grammar.tail(raw, head.end())
        return (
            None if head is None or tail is None else (tail[PAYLOAD], head[TEXT_KEY] is not None, tail[ROWS])
        )

    assert known({text: "Yes"}) == (b"Yes", True, None)
    assert known({trace: "Hm"}) == (b"Hm", False, None)
    assert known({text: "x"}, logprobs=ROW) == (b"x", True, json.dumps(ROW).encode())
    assert known({text: "x"}, old=b"}\n", new=b"}\r\n") == (b"x", True, None)
    for said, more in [
        ({text: "Yes", trace: "Hm"}, {}),
        ({text: "Yes"}, {"done": True}),
        ({text: "Yes"}, {"context": [1]}),
        ({text: "Yes"}, {"eval_count": 3}),
        ({text: "Yes"}, {"error": "x"}),
        ({text: "Yes"}, {"my_thoughts": "x"}),
    ]:
        assert known(said, **more) is None
    assert known({text: "Yes"}, old=b"{", new=b"data: {") is None
    assert known({text: "Yes"}, old=b"}\n", new=b"}\n{}\n") is None


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize(
    ("members", "ends"),
    [
        (b"", True),
        (b',"x_1":7', True),
        (b', "x_1": -7.5e3, "x_2": null', True),
        (b',"x_1":true', True),
        (b',"x_1":"y"', False),
        (b',"x_1":{"reasoning":1}', False),
        (b',"x_1":[1]', False),
        (b',"choices":1', False),
        (b',"type":1', False),
        (b',"x\\u005f":1', False),
        (b',"x_1":01', False),
        (b',"x_1":7,', False),
        (b'},{"x_1":7', False),
        (b',"x_1":7}\n\ndata: {"x_2":7', False),
    ],
)
def test_the_end_of_a_frame_with_new_members(members: bytes, ends: bool, lengths: bool) -> None:
    assert CHAT.grammar is not None
    tail = b'"}}]' + members + b"}\n\n"
    assert CHAT.grammar.ends(tail, 4, lengths=lengths) is ends
    if ends:
        assert CHAT.grammar.open_end(tail, lengths=lengths) == b'"}}]'


def test_what_tells_a_length_does_not_end_a_frame_where_lengths_matter() -> None:
    assert CHAT.grammar is not None
    for name in (b"eval_count", b"total_Tokens", b"x_seconds", b"total_cost"):
        tail = b',"%b":7}\n\n' % name
        assert CHAT.grammar.ends(tail, 0, lengths=False)
        assert not CHAT.grammar.ends(tail, 0, lengths=True)
