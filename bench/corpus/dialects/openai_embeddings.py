"""OpenAI embeddings, read by `openai`, and what a bare model answers, which no official client reads."""

from __future__ import annotations

import httpx2

from bench.corpus.dialects import openai_chat
from bench.corpus.dialects.dialect import LENIENT, STRICT, Dialect, Ways
from bench.corpus.reading import Answer

AS_FLOATS = "as floats"


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says: vectors are looked at apart."""


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `openai` asks for embeddings: packed, as it does unless told otherwise, and as floats."""
    clients = openai_chat.clients_of(transport)

    def packed(strict: bool) -> None:
        clients[strict].embeddings.create(model="m", input="?")

    def floats() -> None:
        clients[True].embeddings.create(model="m", input="?", encoding_format="float")

    return {STRICT: lambda: packed(True), LENIENT: lambda: packed(False), AS_FLOATS: floats}


def no_ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """None: the format has no official client."""
    return {}


DIALECT = Dialect("openai_embeddings", "/v1/embeddings", read, ways)
FEATURES = Dialect("openai_embeddings", "/embed", read, no_ways)
