"""OpenAI chat completions, read by `openai`."""

from __future__ import annotations

import httpx2
import openai

from bench.corpus.dialects.dialect import Dialect, Ways, ways_of
from bench.corpus.reading import Answer, objects

_MESSAGES = [{"role": "user", "content": "?"}]


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says."""
    for position, choice in enumerate(objects(value, "choices")):
        index = choice.get("index", position)
        spoken = choice.get("delta") or choice.get("message") or {}
        content = spoken.get("content")
        for part in content if isinstance(content, list) else [{"text": content}]:
            answer.say(index, part if isinstance(part, str) else part.get("text"))
        answer.say(-1 - index, spoken.get("refusal"))
        for call in objects(spoken, "tool_calls"):
            place = call.get("index", call.get("id"))
            function = call.get("function") or {}
            answer.call(index, place, function.get("name"), function.get("arguments"))
        if function := spoken.get("function_call"):
            answer.call(index, "function_call", function.get("name"), function.get("arguments"))
        if end := choice.get("finish_reason"):
            answer.ends[index] = end


def clients_of(transport: httpx2.MockTransport) -> dict[bool, openai.OpenAI]:
    """A client that validates strictly, and one that does not."""
    return {
        strict: openai.OpenAI(
            api_key="none",
            base_url="http://model",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
            _strict_response_validation=strict,
        )
        for strict in (False, True)
    }


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `openai` asks for chat completions."""
    clients = clients_of(transport)

    def plain(strict: bool) -> None:
        clients[strict].chat.completions.create(model="m", messages=_MESSAGES)

    def chunks(strict: bool) -> None:
        for _ in clients[strict].chat.completions.create(model="m", messages=_MESSAGES, stream=True):
            pass

    def helper() -> None:
        with clients[False].chat.completions.stream(model="m", messages=_MESSAGES) as events:
            events.until_done().get_final_completion()

    return ways_of(plain, chunks, helper, stream=stream)


DIALECT = Dialect("openai_chat", "/v1/chat/completions", read, ways)
