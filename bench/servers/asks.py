"""What is asked of a server: one request for each door and way of asking it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Body = dict[str, Any]

QUESTION = "Why do leaves turn red?"
_MOST = 160  # tokens of an answer, trace included
_ROWS: Body = {"logprobs": True, "top_logprobs": 5}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `format` is that of its answer, "" where no codec reads it.

    With `after` the path holds the `{id}` that the answer to that ask gave out. `attack` asks for what
    an honest client does not, so its answer may be refused or differ.
    """

    name: str
    format: str
    path: str
    body: Body | None = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    after: str = ""
    attack: bool = False

    def with_body(self, name: str, **more: Any) -> Ask:
        """The same ask with further members, as an attack of that name."""
        return replace(self, name=f"{self.name} + {name}", body={**(self.body or {}), **more}, attack=True)


def whole_and_stream(ask: Ask) -> Iterator[Ask]:
    """An ask for a whole answer, and for a streamed one."""
    yield replace(ask, name=f"{ask.name} whole")
    yield replace(ask, name=f"{ask.name} stream", body={**(ask.body or {}), "stream": True})


def chat(model: str, *, path: str = "/v1/chat/completions", name: str = "chat") -> Ask:
    """OpenAI chat."""
    turns = [{"role": "user", "content": QUESTION}]
    return Ask(name, "openai_chat", path, {"model": model, "messages": turns, "max_tokens": _MOST})


def completion(model: str, *, path: str = "/v1/completions", prompt: str = QUESTION) -> Ask:
    """OpenAI text completion."""
    body = {"model": model, "prompt": prompt, "max_tokens": _MOST}
    return Ask("completions", "openai_completions", path, body)


def responses(model: str, *, path: str = "/v1/responses", name: str = "responses") -> Ask:
    """OpenAI Responses."""
    body = {"model": model, "input": QUESTION, "max_output_tokens": _MOST}
    return Ask(name, "openai_responses", path, body)


def messages(model: str, *, path: str = "/v1/messages", name: str = "messages") -> Ask:
    """Anthropic messages."""
    turns = [{"role": "user", "content": QUESTION}]
    return Ask(name, "anthropic_messages", path, {"model": model, "messages": turns, "max_tokens": _MOST})


def gemini(model: str, *, stream: bool = False, prefix: str = "/v1beta") -> Ask:
    """Gemini's generateContent."""
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {
        "contents": [{"role": "user", "parts": [{"text": QUESTION}]}],
        "generationConfig": {"maxOutputTokens": _MOST, "thinkingConfig": {"includeThoughts": True}},
    }
    name = f"gemini {prefix.strip('/')} {'stream' if stream else 'whole'}"
    return Ask(name, "gemini_generate", f"{prefix}/models/{model}:{verb}", body)


def with_rows(ask: Ask) -> Ask:
    """A chat that asks for log-probabilities."""
    return replace(ask, name=f"{ask.name} logprobs", body={**(ask.body or {}), **_ROWS})


def open_doors(model: str) -> Iterator[Ask]:
    """The doors of the OpenAI API that most servers have, as honest clients ask them."""
    yield from whole_and_stream(chat(model))
    yield from whole_and_stream(with_rows(chat(model)))
    yield from whole_and_stream(completion(model))
    body = {**(completion(model).body or {}), "logprobs": 5}
    yield from whole_and_stream(replace(completion(model), name="completions logprobs", body=body))


def spelled(model: str) -> Iterator[Ask]:
    """The chat door under other spellings of its path."""
    for path in (
        "//v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/complet%69ons",
        "/V1/Chat/Completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/chat/completions;a=b",
    ):
        yield replace(chat(model, path=path, name=f"chat at {path}"), attack=True)
