"""Paths to doors: mounts, slashes, case, encodings; an app's own rows first."""

from __future__ import annotations

import pytest

from hardening.wire.doors import Doors

CHAT = "openai_chat"
MESSAGES = "anthropic_messages"


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("/v1/chat/completions", CHAT),
        ("/chat/completions", CHAT),
        ("/api/v1/chat/completions", CHAT),
        ("/openai/deployments/gpt/chat/completions", CHAT),
        ("//openai/deployments/gpt//chat/completions/", CHAT),
        ("/V1/Chat/Completions", CHAT),
        ("/v1/chat%2Fcompletions", CHAT),
        ("/v1/%63hat/completions", CHAT),
        ("/v1/./chat/completions", CHAT),
        ("/v1/messages", MESSAGES),
        ("/api/v1/messages/", MESSAGES),
        ("/v1/threads/thread_1/messages", None),
        ("/messages", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/chat/completions/x", None),
        ("/health", None),
        ("/", None),
        ("", None),
    ],
)
def test_known_doors(path: str, format: str | None) -> None:
    doors = Doors()
    for _ in range(2):  # found, then remembered
        door = doors.match(path)
        assert (door and door.codec and door.codec.name) == format


def test_own_rows_win_and_a_star_names_what_is_below() -> None:
    doors = Doors({"/api/chat": CHAT, "/internal/*": "pass", "/legacy/v1/messages": "pass"})
    assert doors.match("/api/chat/").name == "/api/chat"  # type: ignore[union-attr]
    assert doors.match("/internal/v1/chat/completions") is None
    assert doors.match("/internals/v1/chat/completions") is not None
    assert doors.match("/legacy/v1/messages") is None
    assert doors.match("/v1/messages") is not None


def test_a_format_that_is_not_read_yet_is_claimed_without_codec() -> None:
    door = Doors({"/gemini": "gemini_generate"}).match("/gemini")
    assert door is not None
    assert door.codec is None


def test_the_memory_of_paths_is_bounded() -> None:
    doors = Doors()
    for number in range(5000):
        doors.match(f"/{number}")
    doors.match("/" + "x" * 10_000)
    assert len(doors._seen) <= 1024
    assert max(map(len, doors._seen)) <= 256
