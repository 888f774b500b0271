"""Mistral's chat completions, read by `mistralai`: a dialect of OpenAI's."""

from __future__ import annotations

import httpx2
from mistralai.client import Mistral

from bench.corpus.dialects import openai_chat
from bench.corpus.dialects.dialect import STRICT, Dialect, Ways

_MESSAGES = [{"role": "user", "content": "?"}]


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `mistralai` asks for chat completions; it always validates."""
    client = Mistral(api_key="none", server_url="http://model", client=httpx2.Client(transport=transport))

    def plain() -> None:
        client.chat.complete(model="m", messages=_MESSAGES)

    def chunks() -> None:
        with client.chat.stream(model="m", messages=_MESSAGES) as events:
            for _ in events:
                pass

    return {STRICT: chunks if stream else plain}


DIALECT = Dialect("openai_chat", "/v1/chat/completions", openai_chat.read, ways)
