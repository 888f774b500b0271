"""Law 2 and 6: what leaves does not depend on how the transport cut what came."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Decision
from tests.exchanges import (
    HIDDEN,
    SHADOW,
    SUMMARISED,
    chat_stream,
    completions_stream,
    gemini_array,
    gemini_stream,
    messages_stream,
    ollama_chat_stream,
    ollama_generate_stream,
    responses_stream,
    run,
)

EVENTS: list[tuple[str, Callable[[], list[bytes]]]] = [
    ("openai_chat", chat_stream),
    ("openai_completions", completions_stream),
    ("anthropic_messages", messages_stream),
    ("openai_responses", responses_stream),
    ("gemini_generate", gemini_stream),
]
LINES: list[tuple[str, Callable[[], list[bytes]]]] = [
    ("ollama_chat", ollama_chat_stream),
    ("ollama_generate", ollama_generate_stream),
]
STREAMS = EVENTS + LINES
DECISIONS = [SUMMARISED, HIDDEN]


def with_line_end(stream: list[bytes], eol: bytes) -> bytes:
    return b"".join(stream).replace(b"\r\n", b"\n").replace(b"\n", eol)


@pytest.mark.parametrize(
    ("format", "stream", "eol"),
    [
        *((*one, eol) for one in EVENTS for eol in (b"\n", b"\r\n", b"\r")),
        *((*one, eol) for one in LINES for eol in (b"\n", b"\r\n")),
    ],
)
@pytest.mark.parametrize("decision", DECISIONS)
def test_whole_byte_by_byte_and_frame_by_frame_are_one(
    format: str, stream: Callable[[], list[bytes]], decision: Decision, eol: bytes
) -> None:
    whole = with_line_end(stream(), eol)
    expected, settled = run([whole], format, decision)
    for pieces in ([bytes([byte]) for byte in whole], [with_line_end([piece], eol) for piece in stream()]):
        assert run(pieces, format, decision) == (expected, settled)
    assert expected.endswith(eol)
    assert not {10, 13}.intersection(expected.replace(eol, b""))


@pytest.mark.parametrize(("format", "stream"), STREAMS)
def test_every_border_and_every_prefix(format: str, stream: Callable[[], list[bytes]]) -> None:
    whole = b"".join(stream())
    expected, _ = run([whole], format)
    for border in range(0, len(whole), 7):
        assert run([whole[:border], whole[border:]], format)[0] == expected


@pytest.mark.parametrize(("format", "stream"), STREAMS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_random_cuts(format: str, stream: Callable[[], list[bytes]], data: st.DataObject) -> None:
    whole = b"".join(stream())
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=30))
    pieces = [whole[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(whole)])]
    for decision in DECISIONS:
        assert run(pieces, format, decision) == run([whole], format, decision)
    assert run(pieces, format, SHADOW)[0] == whole


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_random_cuts_of_an_array(data: st.DataObject) -> None:
    whole = b"".join(gemini_array())
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=30))
    pieces = [whole[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(whole)])]
    for decision in (*DECISIONS, SHADOW):
        cut, joined = (run(one, "gemini_generate", decision, sse=False) for one in (pieces, [whole]))
        assert cut == joined
    assert joined[0] == whole


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_in_shadow_any_bytes_leave_as_they_came(body: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for sse in (True, False):
        out, _ = run([body[a:b] for a, b in itertools.pairwise(borders)], decision=SHADOW, sse=sse)
        assert out == body
