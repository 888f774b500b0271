"""The official clients before a real server, bare and hardened: each call of theirs that a door knows, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import anthropic
import openai

from bench.corpus.leaks import find
from bench.corpus.reading import on_one_line, without_trace
from bench.servers.asks import QUESTION
from bench.servers.judge import Trace

PACKAGES = ("openai", "anthropic")
_MOST = 160
_PATIENCE_S = 120.0
_TURNS: Any = [{"role": "user", "content": QUESTION}]
_MANY: Any = [
    *_TURNS,
    {"role": "assistant", "content": "Frost."},
    {"role": "user", "content": "Is that all?"},
]

Read = tuple[str, str]
"""The text that a client shows, and all that it holds."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one way of calling came to; `fault` says what went wrong with us and not without, "" where nothing did."""

    server: str
    name: str
    fault: str
    bare_chars: int
    hidden_chars: int


@dataclass(frozen=True, slots=True)
class Address:
    """Where the clients of one side are pointed to."""

    base: str
    key: str = "none"
    headers: Mapping[str, str] | None = None


def check_clients(server: str, model: str, bare: Address, hardened: Address, trace: Trace) -> list[Call]:
    """Each way of calling on both sides; one that the bare server fails is left out."""
    before, after = ways(model, bare), ways(model, hardened)
    found = []
    for name, call in before.items():
        try:
            text, held = call()
        except Exception:  # noqa: BLE001  the server has no such door
            continue
        found.append(_checked(server, name, (_plain(text), _chars(held, trace)), after[name], trace))
    return found


def _checked(server: str, name: str, bare: tuple[str, int], call: Callable[[], Read], trace: Trace) -> Call:
    try:
        text, held = call()
    except Exception as fault:  # noqa: BLE001  whatever a client raises is its answer
        return Call(server, name, type(fault).__name__, bare[1], 0)
    fault = "" if _plain(text) == bare[0] else "another text"
    return Call(server, name, fault, bare[1], _chars(held, trace))


def _plain(text: str) -> str:
    return on_one_line(without_trace(text))


def _chars(held: str, trace: Trace) -> int:
    return find(held.encode(), [trace.text], spoken=trace.answer).chars


def versions() -> str:
    """The clients' releases."""
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def ways(model: str, address: Address) -> dict[str, Callable[[], Read]]:
    """By its name each way of calling."""
    headers = dict(address.headers or {})
    first = openai.OpenAI(
        base_url=f"{address.base}/v1",
        api_key=address.key,
        default_headers=headers,
        timeout=_PATIENCE_S,
        max_retries=0,
    )
    second = anthropic.Anthropic(
        base_url=address.base,
        api_key=address.key,
        default_headers=headers,
        timeout=_PATIENCE_S,
        max_retries=0,
    )
    return {**dict(_openai(first, model)), **dict(_anthropic(second, model))}


def _openai(client: openai.OpenAI, model: str) -> Iterator[tuple[str, Callable[[], Read]]]:
    chat: Any = {"model": model, "messages": _TURNS, "max_tokens": _MOST}
    many = {**chat, "messages": _MANY}
    rows = {**chat, "logprobs": True, "top_logprobs": 5}
    counted = {**chat, "stream_options": {"include_usage": True}}
    for name, body in (("chat", chat), ("chat of turns", many), ("chat logprobs", rows)):
        yield f"openai {name} whole", lambda body=body: _chat(client.chat.completions.create(**body))
        yield (
            f"openai {name} stream",
            lambda body=body: _chunks(client.chat.completions.create(**body, stream=True)),
        )
    yield "openai chat usage stream", lambda: _chunks(client.chat.completions.create(**counted, stream=True))
    yield "openai chat helper", lambda: _chat_helper(client, counted)
    text: Any = {"model": model, "prompt": QUESTION, "max_tokens": _MOST}
    yield "openai completions whole", lambda: _completion(client.completions.create(**text))
    yield "openai completions stream", lambda: _completions(client.completions.create(**text, stream=True))
    asked: Any = {"model": model, "input": QUESTION, "max_output_tokens": _MOST}
    yield "openai responses whole", lambda: _response(client.responses.create(**asked))
    yield "openai responses stream", lambda: _events(client.responses.create(**asked, stream=True))
    yield "openai responses helper", lambda: _response_helper(client, asked)


def _anthropic(client: anthropic.Anthropic, model: str) -> Iterator[tuple[str, Callable[[], Read]]]:
    plain: Any = {"model": model, "messages": _TURNS, "max_tokens": _MOST}
    thinking = {**plain, "max_tokens": 1200, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    for name, body in (
        ("messages", plain),
        ("messages thinking", thinking),
        ("messages of turns", {**plain, "messages": _MANY}),
    ):
        yield f"anthropic {name} whole", lambda body=body: _message(client.messages.create(**body))
        yield (
            f"anthropic {name} stream",
            lambda body=body: _message_events(client.messages.create(**body, stream=True)),
        )
        yield f"anthropic {name} helper", lambda body=body: _message_helper(client, body)


def _chat(answer: Any) -> Read:
    return answer.choices[0].message.content or "", answer.model_dump_json(warnings=False)


def _chunks(stream: Any) -> Read:
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return text, "".join(chunk.model_dump_json(warnings=False) + "\n" for chunk in chunks)


def _chat_helper(client: openai.OpenAI, body: Any) -> Read:
    with client.chat.completions.stream(**body) as stream:
        held = [event.model_dump_json(warnings=False) for event in stream]
        text, whole = _chat(stream.get_final_completion())
    return text, "\n".join([*held, whole])


def _completion(answer: Any) -> Read:
    return answer.choices[0].text, answer.model_dump_json(warnings=False)


def _completions(stream: Any) -> Read:
    chunks = list(stream)
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    return text, "\n".join(chunk.model_dump_json(warnings=False) for chunk in chunks)


def _response(answer: Any) -> Read:
    return answer.output_text, answer.model_dump_json(warnings=False)


def _events(stream: Any) -> Read:
    events = list(stream)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    return text, "\n".join(event.model_dump_json(warnings=False) for event in events)


def _response_helper(client: openai.OpenAI, body: Any) -> Read:
    with client.responses.stream(**body) as stream:
        held = [event.model_dump_json(warnings=False) for event in stream]
        text, whole = _response(stream.get_final_response())
    return text, "\n".join([*held, whole])


def _message(answer: Any) -> Read:
    text = "".join(block.text for block in answer.content if block.type == "text")
    return text, answer.model_dump_json(warnings=False)


def _message_events(stream: Any) -> Read:
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    text = "".join(delta.text for delta in deltas if delta.type == "text_delta")
    return text, "\n".join(event.model_dump_json(warnings=False) for event in events)


def _message_helper(client: anthropic.Anthropic, body: Any) -> Read:
    with client.messages.stream(**body) as stream:
        held = [event.model_dump_json(warnings=False) for event in stream]
        text, whole = _message(stream.get_final_message())
    return text, "\n".join([*held, whole])
