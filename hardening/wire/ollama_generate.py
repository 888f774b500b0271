"""Ollama's completions: a piece of text a line. What both of Ollama's endpoints share is in `wire.ollama`."""

from __future__ import annotations

from functools import partial

from hardening.wire import ollama
from hardening.wire.ndjson import NDJSON
from hardening.wire.ollama import BOUND, REQUEST, RESPONSE, TOP, error_body

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "ollama_generate"
GRAMMAR = "", NDJSON
Stream = partial(ollama.Stream, silence={"response": ""})
