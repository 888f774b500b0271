"""Paths below which LiteLLM hands on what comes to the server behind: what is said of a whole path holds after them too."""

from __future__ import annotations

_GATEWAYS = frozenset(
    [
        "anthropic",
        "azure",
        "azure_ai",
        "bedrock",
        "cohere",
        "cursor",
        "gemini",
        "gigachat",
        "mistral",
        "nvidia_nim",
        "openai",
        "openai_passthrough",
        "openrouter",
        "typesafe",
        "vertex-ai",
        "vertex_ai",
        "vllm",
        "watsonx",
    ]
)


def behind(segments: list[str]) -> list[str]:
    """The segments that are handed on; none where no gateway is named."""
    return segments[1:] if segments and segments[0].lower() in _GATEWAYS else []
