"""Ollama's embeddings, read by `ollama`."""

from __future__ import annotations

import httpx2

from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.dialects.ollama_chat import client_of
from bench.corpus.dialects.openai_embeddings import read

OF_ONE = "of one prompt"


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `ollama` asks for embeddings."""
    client = client_of(transport)

    def many() -> None:
        _ = client.embed("m", "?").embeddings

    def one() -> None:
        _ = client.embeddings("m", "?").embedding

    return {LENIENT: many, OF_ONE: one}


DIALECT = Dialect("ollama_embed", "/api/embed", read, ways)
