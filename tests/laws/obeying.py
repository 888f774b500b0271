"""A model server that does what every switch says: then all that it hides stands in the plain text of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.exchanges import (
    ANSWER,
    DONE,
    NDJSON,
    SSE,
    USAGE,
    chunk,
    completion,
    event,
    gemini_event,
    line,
    message_item,
    response,
    spoke,
    spoken,
    told_response,
    told_text,
)

SECRET = "the trace, its rows and its ids: 5 - 2 = 3 because a gift goes away"

PREFILL = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nOkay"}]
BEGUN = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Sure, "}]

LOGS = [
    "langfuse_host",
    "langfuse_public_key",
    "langfuse_secret",
    "langfuse_secret_key",
    "langsmith_api_key",
    "langsmith_base_url",
    "arize_api_key",
    "arize_space_id",
    "arize_space_key",
    "humanloop_api_key",
    "posthog_api_key",
    "posthog_api_url",
    "lunary_public_key",
    "weave_project_id",
    "wandb_api_key",
    "gcs_bucket_name",
    "gcs_path_service_account",
    "langsmith_project",
    "langsmith_tenant_id",
    "slack_webhook_url",
    "braintrust_api_key",
    "braintrust_project",
    "braintrust_host",
    "posthog_host",
    "dd_api_key",
    "dd_site",
    "dd_agent_host",
    "dd_agent_port",
    "newrelic_api_key",
    "newrelic_region",
    "signoz_ingestion_endpoint",
    "signoz_ingestion_key",
]
FALLBACKS = [
    f"{place}{kind}"
    for place in ("", "router_settings_override.")
    for kind in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
]
PLACES = ("", "metadata.", "litellm_metadata.", "litellm_params.metadata.")
SET: Mapping[str, object] = {
    "reasoning_format": "raw",
    "include_reasoning": False,
    "separate_reasoning": False,
    "stream_reasoning": False,
    "reasoning_in_content": True,
    "merge_reasoning_content_in_choices": True,
    "thinking_forced_open": True,
    "chat_format": 3,
    "chat_parser": "peg",
    "response_fields": ["content", "generation_settings/prompt"],
    "additionalModelResponseFieldPaths": ["/reasoning"],
    "thinking_display": "full",
    "preserve_thinking": True,
    "reasoning.exclude": True,
    "reasoning.enabled": False,
    "enable_thinking": False,
    "disable_reasoning": True,
    "chat_template": "{{ messages }}",
    "generation_prompt": "<think>",
    "input_ids": [1, 2],
    "prompt_token_ids": [1, 2],
    "prompt_embeds": "AAAA",
    "previous_input_messages": [{"role": "assistant", "channel": "analysis"}],
    "chat_template_kwargs": {"enable_thinking": False},
    "add_generation_prompt": False,
    "do_preprocess": False,
    "continue_final_message": True,
    "nvext.use_raw_prompt": True,
    "messages": PREFILL,
    "messages[].prefix": True,
    "messages[].partial": True,
    "skip_special_tokens": False,
    "detokenize": False,
    "stop": ["\n\nUser:", "</think>"],
    "stop_sequences": "</thi",
    "stop_regex": "<.think>",
    "logit_bias": {"151667": -100},
    "allowed_token_ids": [7, 8],
    "bad_words": ["<think>"],
    "bad_words_ids": [[151667]],
    "logits_processors": ["app.Ban"],
    "custom_logit_processor": '{"callable": "8004"}',
    "prompt_logprobs": 5,
    "logprob_token_ids": [7, 8],
    "token_ids_logprob": [7, 8],
    "label_token_ids": [7, 8],
    "echo_last": 9,
    "echo": True,
    "return_logprob": True,
    "post_sampling_probs": True,
    "return_sampling_mask": True,
    "return_logits": True,
    "return_context_logits": True,
    "return_generation_logits": True,
    "return_token_ids": True,
    "return_tokens_as_token_ids": True,
    "return_prompt_token_ids": True,
    "return_tokens": True,
    "return_input_ids_in_sglext": True,
    "return_output_ids_in_sglext": True,
    "nvext.annotations": ["token_ids", "formatted_prompt"],
    "nvext.extra_fields": ["token_ids"],
    "nvext.token_data": [1, 2],
    "return_hidden_states": "last",
    "return_pooled_hidden_states": True,
    "return_encoder_output": True,
    "return_routed_experts": True,
    "return_indexer_topk": True,
    "additional_model_outputs": [{"name": "hidden_states"}],
    "return_prompt_text": True,
    "return_meta_info": True,
    "verbose": True,
    "raw_output": True,
    "enable_response_messages": True,
    "_debug_render_only": True,
    "debug": {"echo_upstream_body": True},
    "webhook": "http://other",
    "webhook_url": "http://other",
    "callback_url": "http://other",
    "callbacks": ["langfuse"],
    "success_callback": ["langsmith"],
    "failure_callback": ["s3"],
    **{f"{place}{name}": "mine" for place in PLACES for name in LOGS},
    **{name: [{"glass-1": [{"model": "n", "webhook": "http://other"}]}] for name in FALLBACKS},
}
"""By path, how a caller sets a switch that all formats have."""

ONLY: Mapping[str, Mapping[str, object]] = {
    "openai_completions": {"prompt": [[1, 2], [3]]},
    "openai_responses": {"input": [{"role": "assistant", "status": "incomplete", "content": "<think>"}]},
    "gemini_generate": {
        "contents": [{"role": "model", "parts": [{"text": "<think>"}]}],
        "generationConfig.stopSequences": ["</think>"],
        "generationConfig.stop_sequences": ["[/THINK]"],
        "generation_config.stopSequences": ["<think>"],
        "generation_config.stop_sequences": ["◁/think▷"],
    },
    "ollama_chat": {"options.stop": ["</think>"], "raw": True, "template": "{{ .Prompt }}"},
    "ollama_generate": {"options.stop": ["</think>"], "raw": True, "template": "{{ .Prompt }}"},
}
"""What single formats have beside."""

NEVER = frozenset({"messages", "input", "contents", "prompt"})
"""What no server can be told to do otherwise: refused, also where switches are forced."""


@dataclass(frozen=True)
class Speech:
    """Where a format is spoken, how it asks, and how it says a text, in pieces and whole."""

    path: str
    asked: Mapping[str, object]
    pieces: Callable[[str], list[bytes]]
    whole: Callable[[str], object]
    kind: bytes = SSE
    streamed_path: str = ""


def _messages(text: str) -> list[bytes]:
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": usage,
    }
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40}),
        event("message_stop"),
    ]


_ASKED = {"model": "m", "messages": [{"role": "user", "content": "How many are left?"}]}
SPEECHES: Mapping[str, Speech] = {
    "openai_chat": Speech(
        "/v1/chat/completions",
        _ASKED,
        lambda text: [chunk({"content": text}), chunk({}, finish="stop"), USAGE, DONE],
        lambda text: {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]},
    ),
    "openai_completions": Speech(
        "/v1/completions",
        {"model": "m", "prompt": "q"},
        lambda text: [completion(text), completion("", finish="stop"), DONE],
        lambda text: {"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]},
    ),
    "openai_responses": Speech(
        "/v1/responses",
        {"model": "m", "input": "q"},
        lambda text: told_response(told_text(text, 0), [message_item(text)]),
        lambda text: response([message_item(text)]),
    ),
    "anthropic_messages": Speech(
        "/v1/messages",
        {**_ASKED, "max_tokens": 50},
        _messages,
        lambda text: {"type": "message", "role": "assistant", "content": [{"type": "text", "text": text}]},
    ),
    "gemini_generate": Speech(
        "/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "q"}]}]},
        lambda text: [gemini_event(spoke({"text": text}, finish="STOP"))],
        lambda text: spoke({"text": text}, finish="STOP"),
        streamed_path="/v1beta/models/m:streamGenerateContent",
    ),
    "ollama_chat": Speech(
        "/api/chat",
        _ASKED,
        lambda text: [line(**spoken(text)), line(1, **spoken(""), done=True)],
        lambda text: {"model": "m", **spoken(text), "done": True},
        kind=NDJSON,
    ),
    "ollama_generate": Speech(
        "/api/generate",
        {"model": "m", "prompt": "q"},
        lambda text: [line(response=text), line(1, response="", done=True)],
        lambda text: {"model": "m", "response": text, "done": True},
        kind=NDJSON,
    ),
}


def asking(format: str, switches: Mapping[str, object], *, stream: bool) -> bytes:
    """A request with switches set, each by its path."""
    body = json.loads(json.dumps(SPEECHES[format].asked))
    body["stream"] = stream
    for path, value in switches.items():
        _put(body, path, value)
    return json.dumps(body).encode()


def _put(body: dict[str, Any], path: str, value: object) -> None:
    at = body
    *above, key = path.split(".")
    for name in above:
        if name.endswith("[]"):
            at.setdefault(name[:-2], []).append({"role": "assistant", "content": "Sure, "})
            at = at[name[:-2]][-1]
        else:
            at = at.setdefault(name, {})
    at[key] = json.loads(json.dumps(value))


def _at(value: Any, path: str) -> Iterator[object]:
    """Every value at a path, keys in any case, elements of a list by `[]`."""
    key, _, rest = path.partition(".")
    if not isinstance(value, dict):
        return
    for name, one in value.items():
        if name.lower() != key.removesuffix("[]").lower():
            continue
        for each in one if key.endswith("[]") and isinstance(one, list) else [one]:
            if rest:
                yield from _at(each, rest)
            else:
                yield each


def obeying(
    format: str, switches: Mapping[str, object], seen: list[bytes] | None = None, *, together: bool = False
) -> ASGIApp:
    """The server: it tells its secret where any of the switches stands as it was set, or all `together`."""
    speech = SPEECHES[format]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if seen is not None:
            seen.append(body)
        asked = json.loads(body)
        told = (all if together else any)(value in _at(asked, path) for path, value in switches.items())
        text = f"{SECRET}. {ANSWER}" if told else ANSWER
        streamed = asked.get("stream", False) or scope["path"] == speech.streamed_path
        pieces = speech.pieces(text) if streamed else [json.dumps(speech.whole(text)).encode()]
        kind = speech.kind if streamed else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app
