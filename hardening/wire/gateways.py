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


def handed_on(segments: list[str]) -> tuple[list[str], ...]:
    """What the server behind may be asked, for it may be known by an address that ends in `/v1`; none where no gateway is named."""
    if len(segments) < 2 or segments[0].lower() not in _GATEWAYS:
        return ()
    return segments[1:], ["v1", *segments[1:]]
