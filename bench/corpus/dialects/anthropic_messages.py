"""Anthropic messages, read by `anthropic`."""

from __future__ import annotations

import json

import anthropic
import httpx2

from bench.corpus.dialects.dialect import Dialect, Ways, ways_of
from bench.corpus.reading import Answer, objects

_COMMON = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "?"}]}


def read(value: dict, answer: Answer) -> None:
    """Add what a value of a body says."""
    kind = value.get("type")
    if kind == "message":
        for index, block in enumerate(objects(value, "content")):
            _anthropic_block(index, block, answer)
    elif kind == "content_block_start":
        _anthropic_block(value.get("index", 0), value["content_block"], answer)
    elif kind == "content_block_delta":
        index, delta = value.get("index", 0), value["delta"]
        answer.say(index, delta.get("text"))
        if "partial_json" in delta:
            answer.call(index, 0, None, delta["partial_json"])
    end = value.get("stop_reason") or (value.get("delta") or {}).get("stop_reason")
    if end:
        answer.ends[0] = end


def _anthropic_block(index: int, block: dict, answer: Answer) -> None:
    answer.say(index, block.get("text"))
    if "name" in block:
        answer.call(index, 0, block["name"], block.get("input"))
    if "tool_use_id" in block:
        answer.results.append(json.dumps(block, sort_keys=True))


def ways(transport: httpx2.MockTransport, stream: bool) -> Ways:
    """How `anthropic` asks for messages."""
    clients = {
        strict: anthropic.Anthropic(
            api_key="none",
            base_url="http://model",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
            _strict_response_validation=strict,
        )
        for strict in (False, True)
    }

    def plain(strict: bool) -> None:
        clients[strict].messages.create(**_COMMON)

    def events(strict: bool) -> None:
        for _ in clients[strict].messages.create(**_COMMON, stream=True):
            pass

    def helper() -> None:
        with clients[False].messages.stream(**_COMMON) as stream:
            stream.get_final_message()

    return ways_of(plain, events, helper, stream=stream)


DIALECT = Dialect("anthropic_messages", "/v1/messages", read, ways)
