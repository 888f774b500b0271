"""Ollama's chat, read by `ollama`."""

from __future__ import annotations

import httpx
import httpx2
import ollama

from bench.corpus.dialects.dialect import LENIENT, Dialect, Ways
from bench.corpus.reading import Answer, objects

_MESSAGES = [{"role": "user", "content": "?"}]


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says."""
    message = value.get("message") or {}
    answer.say(0, message.get("content"))
    for call in objects(message, "tool_calls"):
        function = call.get("function") or {}
        answer.call(0, len(answer.calls), function.get("name"), function.get("arguments"))
    if value.get("done"):
        answer.ends[0] = str(value.get("done_reason"))


def client_of(transport: httpx2.MockTransport) -> ollama.Client:
    """A client of Ollama, which speaks through another `httpx`, over the same answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = transport.handle_request(httpx2.Request(request.method, str(request.url)))
        return httpx.Response(found.status_code, headers=dict(found.headers), content=found.content)

    return ollama.Client("http://model", transport=httpx.MockTransport(answer))


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `ollama` asks for a chat."""
    client = client_of(transport)

    def plain() -> None:
        client.chat("m", _MESSAGES)

    def lines() -> None:
        for _ in client.chat("m", _MESSAGES, stream=True):
            pass

    return {LENIENT: lines if stream else plain}


DIALECT = Dialect("ollama_chat", "/api/chat", read, ways)
