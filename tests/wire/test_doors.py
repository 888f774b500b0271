"""Paths to doors: mounts, slashes, case, encodings; an app's own rows first."""

from __future__ import annotations

import pytest

from hardening.wire.doors import Doors, _Known, _Patterns

CHAT = "openai_chat"
MESSAGES = "anthropic_messages"
GEMINI = "gemini_generate"


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
        ("/v1/chat/x/../completions", CHAT),
        ("/v1/messages/x/%2e%2e", MESSAGES),
        ("/../../v1/messages", MESSAGES),
        ("/v1/chat/completions?x=1", CHAT),
        ("/v1/chat/completions%3Fx", CHAT),
        ("/v1/chat/completions#x", CHAT),
        ("/v1/chat;a=1/completions;b", CHAT),
        ("/v1/chat\\completions ", CHAT),
        ("/v1/chat/com\npletions", CHAT),
        ("/v1beta/models/gemini-m:generateContent", GEMINI),
        ("/v1beta/models/gemini-m:streamGenerateContent?alt=sse", GEMINI),
        ("/v1beta/models/gemini-m%3AgenerateContent", GEMINI),
        ("/v1beta/tunedModels/mine-1:generateContent", GEMINI),
        ("/v1/projects/p/locations/global/publishers/google/models/gemini-m:streamGenerateContent", GEMINI),
        ("/v1/projects/p/locations/us-east1/endpoints/4711:generateContent", GEMINI),
        (
            "/vertex_ai/v1beta1/projects/p/locations/l/publishers/google/models/gemini-m:generateContent",
            GEMINI,
        ),
        ("/models/vertex_ai/gemini-m:generateContent", GEMINI),
        ("/v1beta/models/gemini-m:countTokens", None),
        ("/v1beta/models/gemini-m:embedContent", None),
        ("/v1beta/models/gemini-m", None),
        ("/v1beta/interactions", None),
        ("/v1/messages/..", None),
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


def test_a_dot_segment_leads_out_of_what_is_left_alone() -> None:
    doors = Doors({"/internal/*": "pass"})
    assert doors.match("/internal/../v1/chat/completions") is not None


def test_kept_answers_have_doors_of_their_own() -> None:
    doors = Doors()
    kept = doors.stored("/v1/chat/completions/chatcmpl-1/messages")
    assert kept is not None
    assert kept.codec is not None
    assert kept.codec.name == CHAT
    assert kept.name == "/chat/completions/*/messages"
    assert doors.stored("/v1/chat/completions/chatcmpl-1") is not None
    batch = doors.stored("/v1/messages/batches/b1/results")
    assert batch is not None
    assert batch.codec is None
    assert doors.stored("/v1/chat/completions") is None
    assert Doors(known=False).stored("/v1/chat/completions/x") is None


def test_a_format_that_is_not_read_yet_is_claimed_without_codec() -> None:
    door = Doors({"/converse": "bedrock_converse"}).match("/converse")
    assert door is not None
    assert door.codec is None


def test_the_memory_of_paths_is_bounded() -> None:
    doors = Doors()
    for number in range(5000):
        doors.match(f"/{number}")
    doors.match("/" + "x" * 10_000)
    assert len(doors._seen) <= 1024
    assert max(map(len, doors._seen)) <= 256


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/GPT-5-prod/chat/completions", "GPT-5-prod"),
        ("/v1/engines/m%2E1/chat/completions", "m.1"),
        ("/deployments/chat/completions", ""),
        ("/v1beta/models/gemini-m:streamGenerateContent", "gemini-m"),
        ("/v1beta/models/vertex_ai/gemini-m:7b:generateContent", "vertex_ai/gemini-m:7b"),
        ("/v1/projects/p/locations/l/publishers/google/models/gemini-m:generateContent", "gemini-m"),
        ("/v1/chat/completions", ""),
    ],
)
def test_a_path_may_name_the_model(path: str, model: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert door.model == model


def test_the_name_of_a_door_holds_no_part_of_a_request() -> None:
    door = Doors().match("/openai/deployments/secret-project/chat/completions")
    assert door is not None
    assert door.name in Doors().names


def test_a_verb_ends_a_path_and_what_stands_before_it_is_the_model() -> None:
    patterns = _Patterns((_Known("models/{model}:generateContent", CHAT, streams=True),))
    found = patterns.find(["v1beta", "Models", "org", "Gem-3:GenerateContent"])
    assert found is not None
    assert (found.model, found.streams) == ("org/Gem-3", True)
    assert patterns.find(["v1beta", "models", "gem:countTokens"]) is None
    assert patterns.find(["gem:generateContent"]) is None


def test_a_verb_says_whether_its_door_streams() -> None:
    doors = Doors()
    for verb, streams in (("generateContent", False), ("streamGenerateContent", True)):
        door = doors.match(f"/v1beta/models/gemini-m:{verb}")
        assert door is not None
        assert door.streams is streams
