"""Gemini embeddings, one or a batch, on the Gemini API and on Vertex AI. See `wire.embeddings`."""

from __future__ import annotations

from functools import partial

from hardening.wire import embeddings
from hardening.wire.embeddings import RESPONSE
from hardening.wire.gemini_generate import error_body
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "gemini_embed"
REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "{requests,instances}": Role.ASK_PROMPTS,
    }
)
BOUND = TOP = None
GRAMMAR = None
Stream = partial(embeddings.Stream, error_body=error_body)
