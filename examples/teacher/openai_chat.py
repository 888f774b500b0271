"""The teacher's tokens as OpenAI chat completions, with `reasoning_content` as model servers send it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from teacher import Token
from teacher.lesson import Content, Lesson, text_of

Json = dict[str, Any]


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="allow")
    role: str
    content: Content | None = None


class StreamOptions(BaseModel):
    """What a stream carries beside its deltas."""

    model_config = ConfigDict(extra="allow")
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields of a chat completion request that the teacher obeys; others are ignored."""

    model_config = ConfigDict(extra="allow")
    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(default=1, ge=1, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    @model_validator(mode="after")
    def _logprobs_are_asked(self) -> ChatRequest:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self

    @property
    def top(self) -> int | None:
        """How many alternatives a position shows; None where no log-probabilities are asked."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def lesson(self, delay_s: float) -> Lesson:
        """The lesson that this request asks for."""
        return Lesson(
            [text_of(message.content or "") for message in self.messages],
            limit=self.max_completion_tokens or self.max_tokens,
            seed=self.seed or 0,
            temperature=1.0 if self.temperature is None else self.temperature,
            delay_s=delay_s,
        )


def row(token: Token, top: int) -> Json:
    """One position of `logprobs.content`."""
    return entry(token.text, token.logprob) | {"top_logprobs": [entry(*other) for other in token.top[:top]]}


def entry(text: str, logprob: float) -> Json:
    """A token with its log-probability and its bytes."""
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def field(token: Token) -> str:
    """The message field that a token belongs to."""
    return "reasoning_content" if token.part == "reasoning" else "content"


def usage(lesson: Lesson) -> Json:
    """What the lesson cost; `completion_tokens` includes the reasoning."""
    return {
        "prompt_tokens": lesson.prompt_tokens,
        "completion_tokens": lesson.tokens,
        "total_tokens": lesson.prompt_tokens + lesson.tokens,
        "completion_tokens_details": {"reasoning_tokens": lesson.reasoning_tokens},
    }


async def completion(request: ChatRequest, lesson: Lesson, created: int) -> Json:
    """The whole answer as one `chat.completion` object."""
    tokens = [token async for token in lesson]
    said = {"reasoning_content": "", "content": ""}
    for token in tokens:
        said[field(token)] += token.text
    top = request.top
    choice = {
        "index": 0,
        "message": {"role": "assistant", **said},
        "logprobs": None if top is None else {"content": [row(token, top) for token in tokens]},
        "finish_reason": "length" if lesson.cut else "stop",
    }
    head = {"id": f"chatcmpl-{lesson.id}", "object": "chat.completion", "created": created}
    return head | {"model": request.model, "choices": [choice], "usage": usage(lesson)}


async def chunks(request: ChatRequest, lesson: Lesson, created: int) -> AsyncIterator[str]:
    """The answer as server-sent `chat.completion.chunk` objects, one token each."""
    head = {"id": f"chatcmpl-{lesson.id}", "object": "chat.completion.chunk", "created": created}
    head |= {"model": request.model}

    def event(delta: Json, finish: str | None = None, logprobs: Json | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return frame(head | {"choices": [choice]})

    yield event({"role": "assistant", "content": ""})
    top = request.top
    async for token in lesson:
        rows = None if top is None else {"content": [row(token, top)]}
        yield event({field(token): token.text}, logprobs=rows)
    yield event({}, finish="length" if lesson.cut else "stop")
    if request.stream_options and request.stream_options.include_usage:
        yield frame(head | {"choices": [], "usage": usage(lesson)})
    yield "data: [DONE]\n\n"


def frame(data: Json) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def error(message: str, param: str | None) -> Json:
    """The body of a 400."""
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": None}}
