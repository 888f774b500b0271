"""What a picture counts as a prompt, in each format, and what only looks like one."""

from __future__ import annotations

import base64
import json

import pytest

from hardening.wire.codec import CODECS

PACKED = base64.b64encode(bytes(range(256)) * 4_000).decode()
LINK = f"data:image/png;base64,{PACKED}"
QUESTION = {"type": "text", "text": "What is this?"}


def chat(part: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": [QUESTION, part]}]}


def said(key: str, data: object, **beside: object) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{key: {**beside, "data": data}}]}]}


PICTURES = {
    "chat": ("openai_chat", chat({"type": "image_url", "image_url": {"url": LINK, "detail": "high"}})),
    "Mistral": ("openai_chat", chat({"type": "image_url", "image_url": LINK})),
    "Responses": ("openai_responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": LINK}]}]}),
    "a screen": ("openai_responses", {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": LINK}}]}),
    "drawn before": ("openai_responses", {"input": [{"type": "image_generation_call", "result": PACKED}]}),
    "Messages": ("anthropic_messages", chat({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PACKED}})),
    "from a tool": ("anthropic_messages", chat({"type": "tool_result", "content": [{"type": "image", "source": {"media_type": "image/png", "data": PACKED}}]})),
    "Gemini": ("gemini_generate", said("inlineData", PACKED, mimeType="image/png")),
    "Gemini in snakes": ("gemini_generate", said("inline_data", PACKED, mime_type="image/png")),
    "Ollama": ("ollama_chat", {"messages": [{"role": "user", "content": "What?", "images": [PACKED]}]}),
    "Ollama without a chat": ("ollama_generate", {"prompt": "What?", "images": [PACKED]}),
}  # fmt: skip
SOUNDS = {
    "sound": ("openai_chat", chat({"type": "input_audio", "input_audio": {"data": PACKED, "format": "wav"}})),
    "film": ("openai_chat", chat({"type": "video_url", "video_url": {"url": LINK.replace("image/png", "video/mp4")}})),
    "sound for Gemini": ("gemini_generate", said("inlineData", PACKED, mimeType="audio/ogg")),
}  # fmt: skip
TEXTS = {
    "a link in a text": chat({"type": "text", "text": LINK}),
    "a link in a member of a text": chat({"type": "text", "data": LINK}),
    "words in a link": chat({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "say it " * 90_000}}),
    "words beyond ASCII": chat({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "说" * 90_000}}),
    "a text as data": said("inlineData", PACKED, mimeType="text/plain"),
    "a document": chat({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PACKED}}),
    "a document in a link": chat({"type": "file", "file": {"url": LINK.replace("image/png", "application/pdf")}}),
    "pictures as words": {"model": "m", "messages": [{"role": "user", "content": "images", "images": ["one or two " * 90_000]}]},
    "a short picture": chat({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
}  # fmt: skip


def prompt_bytes(format: str, asked: dict[str, object]) -> tuple[int, int]:
    body = json.dumps(asked).encode()
    return CODECS[format].read_request(body, door="/test").prompt_bytes, len(body)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_counts_as_a_picture(name: str) -> None:
    """Catches an honest caller who is refused for good because his picture is counted as text."""
    counted, _ = prompt_bytes(*PICTURES[name])
    assert 16 * 1024 <= counted < 17 * 1024


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_and_film_count_a_share(name: str) -> None:
    counted, size = prompt_bytes(*SOUNDS[name])
    assert size / 16 <= counted < size / 15


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_model_may_read_as_text_counts_as_text(name: str) -> None:
    """Catches a prompt that is hidden from its limit in the dress of a picture."""
    for format in ("openai_chat", "anthropic_messages", "gemini_generate"):
        counted, size = prompt_bytes(format, TEXTS[name])
        assert counted == size


def test_twenty_pictures_count_twenty_times_and_an_image_beyond_many_values_as_text() -> None:
    part = {"type": "image_url", "image_url": {"url": LINK}}
    several = {"messages": [{"role": "user", "content": [part] * 20}]}
    counted, _ = prompt_bytes("openai_chat", several)
    assert 20 * 16 * 1024 <= counted < 21 * 16 * 1024
    behind = {"messages": [{"role": "user", "content": [part, *[[]] * 2_000]}, *[{"role": "user"}] * 500]}
    counted, size = prompt_bytes("openai_chat", behind)
    assert counted == size


@pytest.mark.parametrize("beside", ["", "x" * 9_000])
def test_the_shortest_sound_that_counts_as_one_is_seen_wherever_it_stands(beside: str) -> None:
    """Catches a look at some places of a body that misses a string between them."""
    sound = {"type": "input_audio", "input_audio": {"data": PACKED[: 16 * 1024], "format": "wav"}}
    for shift in range(0, 8 * 1024 + 1, 113):
        asked = {"messages": [{"role": "user", "content": [{"text": "y" * shift}, sound, {"text": beside}]}]}
        counted, size = prompt_bytes("openai_chat", asked)
        assert counted == size - 15 * 1024
