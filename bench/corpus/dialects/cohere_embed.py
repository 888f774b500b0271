"""Cohere's embeddings, read by `cohere` where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import httpx
import httpx2

from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.dialects.openai_embeddings import read

IN_V1 = "in version 1"


def client(made: Callable[..., object], transport: httpx2.MockTransport) -> object:
    """A client of `cohere`, which speaks through another `httpx`, over the same answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = transport.handle_request(httpx2.Request(request.method, str(request.url)))
        return httpx.Response(found.status_code, headers=dict(found.headers), content=found.content)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return made("none", base_url="http://model", httpx_client=http)


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `cohere` asks for embeddings."""
    if find_spec("cohere") is None:
        return {}
    cohere = import_module("cohere")
    newer, older = client(cohere.ClientV2, transport), client(cohere.Client, transport)
    asked = {"model": "m", "input_type": "search_query", "texts": ["?"], "embedding_types": ["float"]}
    return {LENIENT: lambda: newer.embed(**asked), IN_V1: lambda: older.embed(**asked)}  # type: ignore[attr-defined]


DIALECT = Dialect("cohere_embed", "/v2/embed", read, ways)
