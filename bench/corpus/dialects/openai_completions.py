"""OpenAI text completions, read by `openai`."""

from __future__ import annotations

import httpx2

from bench.corpus.dialects import openai_chat
from bench.corpus.dialects.dialect import LENIENT, STRICT, Dialect, Ways
from bench.corpus.reading import Answer, objects


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says; some servers answer chat chunks here."""
    for position, choice in enumerate(objects(value, "choices")):
        answer.say(choice.get("index", position), choice.get("text"))
    openai_chat.read(value, answer)


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `openai` asks for text completions."""
    clients = openai_chat.clients_of(transport)

    def ask(strict: bool) -> None:
        answer = clients[strict].completions.create(model="m", prompt="?", stream=stream)
        for _ in answer if stream else ():
            pass

    return {STRICT: lambda: ask(True), LENIENT: lambda: ask(False)}


DIALECT = Dialect("openai_completions", "/v1/completions", read, ways)
