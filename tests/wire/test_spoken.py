"""The newest message of a person in each format, and whether the model has spoken before: whatever else stands there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.wire.codec import CODECS
from hardening.wire.spoken import MOST_CHARS, Spoken, spoken


def heard(format: str, **body: object) -> Spoken:
    _, found = CODECS[format].read_spoken(orjson.dumps(body), door="/x")
    return found()


def says(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


KEYS = st.sampled_from(
    ["messages", "input", "contents", "prompt", "role", "content", "parts", "text", "type", "X"]
)
ASKED = [{"type": "text", "text": "first"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
RESULT = [{"type": "tool_result", "tool_use_id": "t", "content": "what a tool said"}]
TALKS = {
    "a question": ("openai_chat", {"messages": [says("user", "why?")]}, ("why?", True)),
    "behind the app's own words": (
        "openai_chat",
        {"messages": [says("system", "be brief"), says("developer", "x"), says("user", "why?")]},
        ("why?", True),
    ),
    "in parts": ("openai_chat", {"messages": [says("user", [*ASKED, ASKED[0]])]}, ("first\nfirst", True)),
    "a later turn": (
        "openai_chat",
        {"messages": [says("user", "why?"), says("assistant", "so"), says("user", "and?")]},
        ("and?", False),
    ),
    "a turn of tools": (
        "openai_chat",
        {"messages": [says("user", "go"), says("assistant", None), says("tool", "42")]},
        ("go", False),
    ),
    "results among a person's": (
        "anthropic_messages",
        {"messages": [says("user", "go"), says("assistant", []), says("user", RESULT)]},
        ("go", False),
    ),
    "a text": ("openai_responses", {"input": "why?"}, ("why?", True)),
    "items": (
        "openai_responses",
        {
            "input": [
                says("user", [{"type": "input_text", "text": "why?"}]),
                {"type": "function_call", "name": "f"},
                {"type": "function_call_output", "output": "42"},
            ]
        },
        ("why?", False),
    ),
    "a conversation that the server keeps": (
        "openai_responses",
        {"input": "and?", "previous_response_id": "resp_1"},
        ("and?", False),
    ),
    "contents": (
        "gemini_generate",
        {"contents": [{"parts": [{"text": "why?"}]}, {"role": "model", "parts": []}]},
        ("why?", False),
    ),
    "a prompt": ("openai_completions", {"prompt": ["one", "two"]}, ("two", True)),
    "the numbers of a prompt": ("openai_completions", {"prompt": [1, 2, 3]}, ("", True)),
    "a key in another case": ("ollama_chat", {"Messages": [says("user", "why?")]}, ("why?", True)),
    "an invented role": ("openai_chat", {"messages": [says("human", "why?")]}, ("why?", True)),
    "texts to embed": ("openai_embeddings", {"input": "why?"}, ("", False)),
    "nothing": ("openai_chat", {"messages": 7}, ("", False)),
    "no turns": ("openai_chat", {"messages": []}, ("", True)),
}


@pytest.mark.parametrize("name", TALKS)
def test_the_newest_message_of_a_person_is_found(name: str) -> None:
    format, body, (text, begins) = TALKS[name]
    assert heard(format, **body) == Spoken(text, begins)


def test_of_a_long_message_both_ends_are_kept() -> None:
    text = "a" * 100_000 + "b" * 100_000
    found = heard("openai_chat", messages=[says("user", text)]).text
    assert found == "a" * MOST_CHARS + "b" * MOST_CHARS


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@given(st.sampled_from(sorted(CODECS)), st.dictionaries(KEYS, JSON, max_size=6))
def test_whatever_a_body_holds_a_text_and_no_more_than_its_bound_is_heard(format: str, body: Any) -> None:
    found = spoken(body, format)
    assert isinstance(found.text, str)
    assert len(found.text) <= 2 * MOST_CHARS


def test_a_body_of_many_keys_or_long_parts_takes_no_longer() -> None:
    """Counted, not timed: of keys only the first are looked at, of parts their ends are joined."""
    keys = dict.fromkeys(map(str, range(100_000)), 1)
    assert heard("openai_chat", **keys, MESSAGES=[says("user", "why?")]) == Spoken()
    parts = [{"type": "text", "text": "x" * 100_000}] * 100
    assert heard("openai_chat", messages=[says("user", parts)]).text == ("x" * MOST_CHARS) * 2


def test_a_history_of_any_length_is_not_walked() -> None:
    turns = [says("user", "first"), *[says("tool", "42")] * 10_000]
    assert heard("openai_chat", messages=turns) == Spoken("", begins=True)
