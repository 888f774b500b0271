"""OpenAI responses, read by `openai`."""

from __future__ import annotations

import json

import httpx2
import openai

from bench.corpus.dialects.dialect import Dialect, Ways, ways_of
from bench.corpus.reading import Answer, objects

_ITEMS = 1_000  # where the texts of whole items begin: beside the pieces of a stream they stand once more
_PARTS = 100  # of an item
_ENDS = ("response.completed", "response.incomplete", "response.failed")


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says; each of the places that repeat a text is a text of its own."""
    kind, at = value.get("type"), value.get("output_index", 0)
    place = at * _PARTS + value.get("content_index", 0)
    if kind in ("response.output_text.delta", "response.refusal.delta"):
        answer.say(place, value["delta"])
    elif kind in ("response.output_text.done", "response.refusal.done"):
        answer.say(-1 - place, value.get("text") or value.get("refusal"))
    elif kind == "response.output_item.done":
        _item(_ITEMS * (1 + at), value["item"], answer)
    elif isinstance(kind, str) and "_call" in kind and isinstance(value.get("delta"), str):
        answer.call(at, "pieces", None, value["delta"])
    response = value.get("response") if kind in _ENDS else value if "output" in value else None
    for position, item in enumerate(objects(response, "output") if isinstance(response, dict) else []):
        _item(-_ITEMS * (1 + position), item, answer)
    if isinstance(response, dict):
        answer.ends[0] = str(response.get("status"))
        # A trace that quotes what the caller wrote tells nothing where that is echoed.
        answer.results.append(json.dumps([response.get(name) for name in ("instructions", "tools")]))


def _item(place: int, item: dict, answer: Answer) -> None:
    if item.get("type") == "reasoning":
        return
    for number, part in enumerate(objects(item, "content")):
        answer.say(place + number, part.get("text") or part.get("refusal"))
    if item.get("type") != "message":
        whole = item.get("arguments") or item.get("input") or item.get("code")
        answer.call(place, item.get("id"), item.get("name"), whole)
        answer.results.append(json.dumps(item, sort_keys=True))


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `openai` asks for responses."""
    clients = {
        strict: openai.OpenAI(
            api_key="none",
            base_url="http://model",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
            _strict_response_validation=strict,
        )
        for strict in (False, True)
    }

    def plain(strict: bool) -> None:
        clients[strict].responses.create(model="m", input="?")

    def events(strict: bool) -> None:
        for _ in clients[strict].responses.create(model="m", input="?", stream=True):
            pass

    def helper() -> None:
        with clients[False].responses.stream(model="m", input="?") as told:
            told.until_done().get_final_response()

    return ways_of(plain, events, helper, stream=stream)


DIALECT = Dialect("openai_responses", "/v1/responses", read, ways)
