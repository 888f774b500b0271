"""Editions of one model are one family; what may be another model is none, unless the policy says so."""

from __future__ import annotations

import pytest

from hardening.policy.families import Families

GLASS = Families.declared({"glass": ("Glass-1*", "glass-2"), "late": ("glass-2", "clear*")})


@pytest.mark.parametrize(
    "names",
    [
        ["glass", "Glass", "glass-latest", "glass:latest", "openrouter/openai/glass:free", "models/glass"],
        ["glass-2026-01-01", "glass-20260301", "glass@20260301", "azure/glass", "glass@default"],
        ["claude-opus-4-5", "anthropic/claude-opus-4-5-20251101", "vertex_ai/claude-opus-4-5@20251101"],
        ["claude-opus-4-5", "us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5-latest"],
        ["bedrock/converse/eu.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"],
        ["gemini-2.5-pro", "models/gemini-2.5-pro-preview-05-06", "gemini/gemini-2.5-pro-preview-09-2025"],
        ["gemini-2.0-flash", "gemini-2.0-flash-001", "google/gemini-2.0-flash-exp-03-25"],
        ["deepseek-r1", "deepseek-ai/DeepSeek-R1-0528", "deepseek-r1-2506"],
        ["mistral-large", "mistral-large-2411", "mistralai/mistral-large-latest"],
    ],
)
def test_editions_are_one_family(names: list[str]) -> None:
    assert len({Families().of(name) for name in names}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("glass-1", "glass-2"),
        ("glass-mini", "glass"),
        ("o1-preview", "o1"),
        ("glass-thinking-2507", "glass-instruct-2507"),
        ("qwen3:8b", "qwen3:32b"),
        (
            "me/glass",
            "glass",
        ),  # a fine-tune that repeats what it is given, by the name of what it shall repeat
        ("accounts/me/models/glass", "glass"),
        ("openai/me/glass", "openai/glass"),
        ("ft:glass:me::1", "glass"),
        ("me.glass", "glass"),
        ("glass-9999", "glass"),
        ("2026-01-01", "-latest"),
        ("family glass", "glass-1"),
        ("glass", "model glass"),
    ],
)
def test_another_model_is_another_family(one: str, other: str) -> None:
    assert Families().of(one) != Families().of(other)
    assert GLASS.of(one) != GLASS.of(other) or {one, other} == {"glass-1", "glass-2"}


def test_a_declared_family_is_the_first_that_matches() -> None:
    assert GLASS.of("glass-1-mini") == GLASS.of("GLASS-2") != GLASS.of("clear-2") == GLASS.of("clear")
    assert GLASS.of("me/clear-2") != GLASS.of("clear-2")


def test_a_declared_pattern_is_held_against_a_name_with_and_without_its_offerer_and_edition() -> None:
    assert GLASS.of("openai/glass-2-2026-01-01") == GLASS.of("glass-2")
    assert GLASS.of("me/glass-2") != GLASS.of("glass-2")


def test_a_name_longer_than_any_model_has_is_not_read() -> None:
    name = "openai/glass" + "-latest" * 100
    assert Families().of(name) == "model " + name
