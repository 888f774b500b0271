"""Scores of rerankers and classifiers: numbers in a whole JSON answer, in a shape of each server's own.

Sources: API references of Cohere (rerank v1 and v2, classify), Jina, Voyage, OpenRouter, OpenAI (moderations) and Mistral
(classifications, moderations); vLLM 0.33's score, rerank and classify, SGLang 0.5's, llama.cpp's rerank and text-embeddings-inference
(read 2026-11-26). Names differ from one to the next, so every number with a fraction is a score that does not stand where
a table knows of something else.
"""

from __future__ import annotations

from functools import partial

from hardening.wire import embeddings
from hardening.wire.openai_chat import error_body
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role, compile_table
from hardening.wire.switches import NESTED

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "scores"
_LISTED = "{results[],data[],[],records[]}"
RESPONSE = compile_table(
    {
        f"{_LISTED}.{{document,text,input,title,content}}": Role.ECHO,
        "{documents,texts,inputs}[]": Role.ECHO,
        # SGLang's classify gives the vector of whatever model it serves.
        "{embedding,embeddings,data[].embedding,[].embedding}": Role.STATES,
        "{usage,meta.billed_units}": Role.USAGE,
        "{created,timings,took,processing_time}": Role.VOLATILE,
        "error": Role.FAILED,
        "{model,id}": Role.NAME,
    },
    scores=True,
)
REQUEST = compile_questions(
    {"model": Role.ASK_MODEL, "{documents,texts,input,inputs,passages,records}": Role.ASK_PROMPTS},
    nested=NESTED,
)
BOUND = TOP = None
GRAMMAR = None
Stream = partial(embeddings.Stream, error_body=error_body)
