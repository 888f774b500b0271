"""Reranked documents, read by `cohere` where it is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import httpx2

from bench.corpus.dialects.cohere_embed import IN_V1, client
from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.dialects.openai_embeddings import read


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `cohere` asks for an order."""
    if find_spec("cohere") is None:
        return {}
    cohere = import_module("cohere")
    newer, older = client(cohere.ClientV2, transport), client(cohere.Client, transport)
    asked = {"model": "m", "query": "?", "documents": ["a"]}
    return {LENIENT: lambda: newer.rerank(**asked), IN_V1: lambda: older.rerank(**asked)}  # type: ignore[attr-defined]


DIALECT = Dialect("scores", "/v2/rerank", read, ways)
