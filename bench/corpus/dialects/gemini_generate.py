"""Gemini generateContent, read by `google-genai`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import httpx2
from google import genai
from google.genai import types

from bench.corpus.dialects.dialect import HELPER, LENIENT, Dialect, Ways
from bench.corpus.reading import Answer, objects

ELEMENTS = "as an array"
logging.getLogger("google_genai.types").setLevel(logging.ERROR)  # it warns of every call beside a text

_CALLS = ("functionCall", "function_call", "toolCall", "executableCode", "executable_code")
_RESULTS = ("codeExecutionResult", "code_execution_result", "toolResponse", "inlineData", "inline_data")


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says."""
    for position, candidate in enumerate(objects(value, "candidates")):
        index = candidate.get("index", position)
        content = candidate.get("content")
        for part in objects(content if isinstance(content, dict) else {}, "parts"):
            _part(index, part, answer)
        if end := candidate.get("finishReason") or candidate.get("finish_reason"):
            answer.ends[index] = end


def _part(index: int, part: dict, answer: Answer) -> None:
    if not part.get("thought"):
        answer.say(index, part.get("text"))
    for name in _CALLS:
        if name in part:
            call = part[name]
            answer.call(index, len(answer.calls), call.get("name", name), call)
    answer.results += [json.dumps(part[name], sort_keys=True) for name in _RESULTS if name in part]


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `google-genai` asks for content, and how other clients read the array that it does not ask for."""
    http = httpx2.Client(transport=transport)
    options = types.HttpOptions(base_url="http://model", httpx_client=http)
    client = genai.Client(api_key="none", http_options=options)

    def plain() -> None:
        _use(client.models.generate_content(model="m", contents="?"))

    def chunks() -> None:
        for chunk in client.models.generate_content_stream(model="m", contents="?"):
            _use(chunk)

    def chat() -> None:
        for chunk in client.chats.create(model="m").send_message_stream("?"):
            _use(chunk)

    def elements() -> None:
        found = json.loads(http.post("http://model/").content.decode("utf-8-sig"))
        if not isinstance(found, list):
            raise TypeError("no array")
        for value in found:
            _use(types.GenerateContentResponse.model_validate(value))

    ways: dict[str, Callable[[], None]] = {LENIENT: plain}
    return {LENIENT: chunks, HELPER: chat, ELEMENTS: elements} if stream else ways


def _use(response: types.GenerateContentResponse) -> None:
    """What applications look at."""
    _ = response.text, response.parts, response.function_calls


DIALECT = Dialect("gemini_generate", "/v1beta/models/m:generateContent", read, ways)
STREAM = Dialect("gemini_generate", "/v1beta/models/m:streamGenerateContent", read, ways)
