"""Doors at which the body says which format it is of."""

from __future__ import annotations

import json

import pytest

from hardening.errors import WireError
from hardening.wire.by_body import codec_of
from hardening.wire.doors import Doors

ASKED = [{"role": "user", "content": "?"}]


def format_of(value: object, encoding: str = "utf-8") -> str | None:
    codec = codec_of(json.dumps(value).encode(encoding))
    return codec.name if codec else None


@pytest.mark.parametrize(
    ("value", "format"),
    [
        ({"messages": ASKED}, "openai_chat"),
        ({"Messages": ASKED, "prompt": None}, "openai_chat"),
        (
            {"messages": ASKED, "documents": [{"text": "a"}], "model": "m"},
            "openai_chat",
        ),  # what vLLM's chat takes
        ({"prompt": "?"}, "openai_completions"),
        ({"prompt": "?", "messages": None}, "openai_completions"),
        ({"input": ["?"], "encoding_format": "float"}, "openai_embeddings"),
        ({"prompt": "?", "prompt_embeds": "AA=="}, "openai_completions"),
        ({"text_1": "a", "text_2": "b"}, "scores"),
        ({"query": "a", "documents": ["b"]}, "scores"),
        # what one server answers as chat and another as something else
        ({"messages": ASKED, "prompt": "?"}, None),
        ({"messages": ASKED, "inputs": "?"}, None),
        ({"messages": ASKED, "Inputs": "?"}, None),
        ({"messages": "no list", "input": "?"}, None),
        ({"prompt": "?", "input": "?"}, None),
        # what is not read here
        ({"inputs": "?", "parameters": {}}, None),
        ({"instances": [{"text": "?"}]}, None),
        ({"query": "a", "items": ["b"], "label_token_ids": [1, 2]}, None),
        ({"text_1": "a", "text_2": "b", "label_token_ids": [1, 2]}, None),
        ({"messages": ASKED, "query": "a"}, None),
        ({"data": {"a": 1}}, None),
        ({"model": "m"}, None),
        ({}, None),
    ],
)
def test_a_body_is_of_one_format_or_of_none(value: object, format: str | None) -> None:
    assert format_of(value) == format
    assert format_of(value, "utf-16") == format


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"[{}]"])
def test_what_is_no_object_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        codec_of(body)


@pytest.mark.parametrize(
    "path", ["/invocations", "//Invocations/", "/x/../%69nvocations", "/vllm/invocations"]
)
def test_the_door_is_claimed_and_read(path: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert (door.name, door.by_body) == ("/invocations", True)
    assert Doors().match("/api/invocations") is None
