"""The doors of LiteLLM's proxy 1.106 before a vLLM server, as its own OpenAPI document names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.servers.asks import (
    QUESTION,
    Ask,
    chat,
    completion,
    gemini,
    messages,
    open_doors,
    responses,
    whole_and_stream,
)

MODEL = "pattern"
TWIN = (
    "twin"  # the same model under a name that LiteLLM does not know, so that it hands on what it cannot route
)


def doors() -> Iterator[Ask]:
    """Every door that reaches a model."""
    yield from open_doors(MODEL)
    for path in ("/chat/completions", f"/engines/{MODEL}/chat/completions", "/cursor/chat/completions"):
        yield from whole_and_stream(chat(MODEL, path=path, name=f"chat at {path}"))
    deployed = f"/openai/deployments/{MODEL}"
    yield from whole_and_stream(chat(MODEL, path=f"{deployed}/chat/completions", name="chat at deployments"))
    yield replace(completion(MODEL, path=f"{deployed}/completions"), name="completions at deployments")
    yield from _kept()
    yield from whole_and_stream(messages(MODEL))
    for prefix in ("/v1beta", ""):
        yield gemini(MODEL, prefix=prefix)
        yield gemini(MODEL, prefix=prefix, stream=True)
    yield from _passed_through()
    yield from _others()


def _kept() -> Iterator[Ask]:
    """Responses, and those that are kept."""
    yield from whole_and_stream(responses(MODEL))
    rows = {"include": ["message.output_text.logprobs"], "top_logprobs": 5}
    yield from whole_and_stream(responses(MODEL).with_body("logprobs", **rows))
    for path in ("/responses", "/openai/v1/responses"):
        yield replace(responses(MODEL, path=path), name=f"responses at {path}")
    for path in ("/v1/responses/{id}", "/responses/{id}", "/v1/responses/{id}/input_items"):
        yield Ask(f"GET {path}", "openai_responses", path, None, "GET", after="responses whole")


def _passed_through() -> Iterator[Ask]:
    """What LiteLLM hands to the server behind as it came."""
    for prefix in ("/vllm/v1", "/openai", "/openai_passthrough", "/raw/v1"):
        name = f"through {prefix}"
        yield from whole_and_stream(chat(TWIN, path=f"{prefix}/chat/completions", name=f"chat {name}"))
        yield replace(completion(TWIN, path=f"{prefix}/completions"), name=f"completions {name}")
        yield replace(responses(TWIN, path=f"{prefix}/responses"), name=f"responses {name}")
    yield from whole_and_stream(
        messages(MODEL, path="/anthropic/v1/messages", name="messages through /anthropic")
    )
    yield messages(MODEL, path="/openai/messages", name="messages through /openai")
    for path in ("/vllm/invocations", "/vllm/v1/chat/completions/batch", "/vllm/inference/v1/generate"):
        yield Ask(f"through {path}", "", path, chat(TWIN).body, attack=True)


def _others() -> Iterator[Ask]:
    """Doors of LiteLLM's own."""
    body = chat(MODEL).body
    prompt = f"---\nmodel: {MODEL}\nmax_tokens: 160\n---\n\nUser: {QUESTION}"
    yield Ask("prompt", "", "/prompts/test", {"dotprompt_content": prompt}, attack=True)
    yield Ask("interactions", "", "/v1beta/interactions", {"model": MODEL, "input": "Why?"}, attack=True)
    yield Ask("spend logs", "", "/spend/logs", None, "GET", attack=True)
    yield Ask(
        "transformed", "", "/utils/transform_request", {"call_type": "completion", "request_body": body}
    )
    for path in ("/health/liveliness", "/v1/models", "/model/info", "/routes"):
        yield Ask(f"GET {path}", "", path, None, "GET")
