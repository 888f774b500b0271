"""The doors of vLLM 0.32, as its own list of routes names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.servers.asks import (
    QUESTION,
    Ask,
    chat,
    completion,
    messages,
    open_doors,
    responses,
    spelled,
    whole_and_stream,
)

MODEL = "pattern"


def doors(ids: list[int]) -> Iterator[Ask]:
    """Every door; `ids` are the tokens of a prompt."""
    yield from open_doors(MODEL)
    yield from _responses()
    yield from whole_and_stream(messages(MODEL))
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1200}
    yield from whole_and_stream(messages(MODEL, name="messages thinking").with_body("budget", **thinking))
    for ask in (chat(MODEL), completion(MODEL)):
        yield from whole_and_stream(replace(ask, name=f"invocations {ask.name}", path="/invocations"))
    yield from _side_doors(ids)
    yield from spelled(MODEL)
    yield from _harmless(ids)


def _responses() -> Iterator[Ask]:
    yield from whole_and_stream(responses(MODEL))
    rows = {"include": ["message.output_text.logprobs"], "top_logprobs": 5}
    yield from whole_and_stream(responses(MODEL).with_body("logprobs", **rows))
    sealed = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "detailed"}}
    yield from whole_and_stream(responses(MODEL).with_body("summary", **sealed))
    yield responses(MODEL, name="responses messages").with_body("raw", enable_response_messages=True)
    kept, format = "responses whole", "openai_responses"
    yield Ask("responses stored", format, "/v1/responses/{id}", None, "GET", after=kept)
    yield Ask("responses replay", format, "/v1/responses/{id}?stream=true", None, "GET", after=kept)
    yield Ask("responses items", "", "/v1/responses/{id}/input_items", None, "GET", after=kept)
    later = responses(MODEL).with_body("background", background=True, store=True)
    yield later
    yield Ask("responses of the background", format, "/v1/responses/{id}", None, "GET", after=later.name)


def _side_doors(ids: list[int]) -> Iterator[Ask]:
    """Doors that are not read but closed."""
    turns = [{"role": "user", "content": QUESTION}]
    batch = {"model": MODEL, "messages": [turns, turns], "max_tokens": 120}
    yield Ask("chat batch", "", "/v1/chat/completions/batch", batch)
    drawn = {"max_tokens": 120, "logprobs": 2}
    tokens = {"model": MODEL, "token_ids": ids, "sampling_params": drawn}
    yield from whole_and_stream(Ask("generate", "", "/inference/v1/generate", tokens))
    text = {**tokens, "output_mode": "text"}
    yield from whole_and_stream(Ask("generate text", "", "/inference/v1/generate", text))
    items = {
        "model": MODEL,
        "query": QUESTION,
        "items": ["Okay, let", "Cool nights"],
        "label_token_ids": [300, 301],
    }
    yield Ask("scoring", "", "/generative_scoring", items)
    decide = {
        "model": MODEL,
        "state": QUESTION,
        "questions": {"a": {"type": "boolean", "instructions": "Red?"}},
    }
    yield Ask("decisions", "", "/v1/systemone", decide)
    rendered = {"model": MODEL, "choices": [], "token_ids": ids, "output": [ids]}
    for name in ("chat/completions", "completions"):
        yield Ask(f"derender {name}", "", f"/v1/{name}/derender", rendered)


def _harmless(ids: list[int]) -> Iterator[Ask]:
    """What tells nothing of an answer."""
    yield Ask("tokenize", "", "/tokenize", {"model": MODEL, "prompt": QUESTION})
    yield Ask("detokenize", "", "/detokenize", {"model": MODEL, "tokens": ids})
    for ask in (chat(MODEL), completion(MODEL), responses(MODEL), messages(MODEL)):
        yield Ask(f"render {ask.name}", "", f"{ask.path}/render", ask.body)
    yield Ask("count_tokens", "", "/v1/messages/count_tokens", messages(MODEL).body)
    for path in ("/health", "/load", "/version", "/metrics", "/v1/models", "/ping"):
        yield Ask(f"GET {path}", "", path, None, "GET")
