"""Gemini embeddings, read by `google-genai`; those of Vertex AI's `:predict` where a policy names the path."""

from __future__ import annotations

import httpx2
from google import genai
from google.genai import types

from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.dialects.openai_embeddings import no_ways, read


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `google-genai` asks for embeddings."""
    http = httpx2.Client(transport=transport)
    options = types.HttpOptions(base_url="http://model", httpx_client=http)
    client = genai.Client(api_key="none", http_options=options)

    def plain() -> None:
        found = client.models.embed_content(model="m", contents="?").embeddings or []
        _ = [one.values for one in found]

    return {LENIENT: plain}


DIALECT = Dialect("gemini_embed", "/v1beta/models/m:batchEmbedContents", read, ways)
PREDICT = Dialect("gemini_embed", "/v1/models/m:predict", read, no_ways)
