"""The recorded formats that are checked: a format is a module here and a line below."""

from __future__ import annotations

from contextlib import suppress

from bench.corpus.dialects import (
    anthropic_messages,
    cohere_embed,
    gemini_embed,
    gemini_generate,
    mistral_chat,
    ollama_chat,
    ollama_embed,
    ollama_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    rerank,
)
from bench.corpus.dialects.dialect import Dialect
from bench.corpus.reading import Answer, documents

DIALECTS: dict[str, Dialect] = {
    "openai_chat": openai_chat.DIALECT,
    "openai_completions": openai_completions.DIALECT,
    "mistral_chat": mistral_chat.DIALECT,
    "anthropic_messages": anthropic_messages.DIALECT,
    "gemini_generate": gemini_generate.DIALECT,
    "gemini_stream": gemini_generate.STREAM,
    "openai_responses": openai_responses.DIALECT,
    "ollama_chat": ollama_chat.DIALECT,
    "ollama_generate": ollama_generate.DIALECT,
    "openai_embeddings": openai_embeddings.DIALECT,
    "hf_feature_extraction": openai_embeddings.FEATURES,
    "gemini_embed": gemini_embed.DIALECT,
    "vertex_predict": gemini_embed.PREDICT,
    "ollama_embed": ollama_embed.DIALECT,
    "cohere_embed": cohere_embed.DIALECT,
    "rerank": rerank.DIALECT,
}
"""By the name under which a corpus keeps the format."""


def read_answer(format: str, body: bytes) -> Answer:
    """What a client of `format` shows of a body; of a value in another shape, what stands before that."""
    answer = Answer()
    for value in documents(body):
        if isinstance(value, dict):
            with suppress(LookupError, TypeError, AttributeError):
                DIALECTS[format].read(value, answer)
    return answer
