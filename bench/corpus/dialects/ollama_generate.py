"""Ollama's completions, read by `ollama`."""

from __future__ import annotations

import httpx2

from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.dialects.ollama_chat import client_of
from bench.corpus.reading import Answer


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says."""
    answer.say(0, value.get("response"))
    if value.get("done"):
        answer.ends[0] = str(value.get("done_reason"))


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `ollama` asks for a completion."""
    client = client_of(transport)

    def plain() -> None:
        client.generate("m", "?")

    def lines() -> None:
        for _ in client.generate("m", "?", stream=True):
            pass

    return {LENIENT: lines if stream else plain}


DIALECT = Dialect("ollama_generate", "/api/generate", read, ways)
