"""Cohere's embeddings, v1 and v2: one list of vectors for each type that was asked. See `wire.embeddings`."""

from __future__ import annotations

from functools import partial

import orjson

from hardening.facts import Refusal
from hardening.wire import embeddings
from hardening.wire.embeddings import RESPONSE
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role
from hardening.wire.switches import NESTED

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "cohere_embed"
REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "{texts,images,inputs}": Role.ASK_PROMPTS,
        "embedding_types": Role.ASK_PACKING,
    },
    nested=NESTED,
)
BOUND = TOP = None
GRAMMAR = None


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The error that Cohere's clients raise from."""
    return orjson.dumps({"id": request_id, "message": refusal.message})


Stream = partial(embeddings.Stream, error_body=error_body)
