"""OpenAI embeddings and their imitators, llama.cpp's own at the root among them. See `wire.embeddings`.

Beside OpenAI's `encoding_format`, vLLM, Mistral and Voyage take names of packed types; a name that is not
known may be any.
"""

from __future__ import annotations

from functools import partial

from hardening.wire import embeddings
from hardening.wire.embeddings import RESPONSE
from hardening.wire.openai_chat import error_body
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role
from hardening.wire.switches import NESTED

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "openai_embeddings"
REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "{input,inputs,content,prompt}": Role.ASK_PROMPTS,
        "{encoding_format,embed_dtype,output_dtype,endianness}": Role.ASK_PACKING,
    },
    nested=NESTED,
)
BOUND = TOP = None
GRAMMAR = None
Stream = partial(embeddings.Stream, error_body=error_body)
