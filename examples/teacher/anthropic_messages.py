"""The teacher's tokens as Anthropic messages: a thinking block with its signature, then a text block."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teacher.lesson import Content, Lesson, signature, text_of

Json = dict[str, Any]


class Message(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="allow")
    role: Literal["user", "assistant", "system"]
    content: Content


class Thinking(BaseModel):
    """Whether the teacher thinks aloud before the answer."""

    model_config = ConfigDict(extra="allow")
    type: Literal["enabled", "adaptive", "disabled"]


class MessagesRequest(BaseModel):
    """The fields of a messages request that the teacher obeys; others are ignored."""

    model_config = ConfigDict(extra="allow")
    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    system: Content = ""
    stream: bool = False
    temperature: float = Field(default=1.0, ge=0, le=1)
    thinking: Thinking = Thinking(type="disabled")

    def lesson(self, delay_s: float) -> Lesson:
        """The lesson that this request asks for."""
        texts = [text_of(self.system), *(text_of(message.content) for message in self.messages)]
        think = self.thinking.type != "disabled"
        return Lesson(
            texts, limit=self.max_tokens, temperature=self.temperature, think=think, delay_s=delay_s
        )


def usage(lesson: Lesson) -> Json:
    """What the lesson cost so far; `output_tokens` includes the thinking."""
    details = {"thinking_tokens": lesson.reasoning_tokens}
    return {
        "input_tokens": lesson.prompt_tokens,
        "output_tokens": lesson.tokens,
        "output_tokens_details": details,
    }


def message(request: MessagesRequest, lesson: Lesson, content: list[Json], stop: str | None) -> Json:
    """A message object, whole or as `message_start` carries it."""
    head = {"id": f"msg_{lesson.id}", "type": "message", "role": "assistant", "model": request.model}
    return head | {"content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage(lesson)}


def stop_reason(lesson: Lesson) -> str:
    """Why the lesson ended."""
    return "max_tokens" if lesson.cut else "end_turn"


async def whole(request: MessagesRequest, lesson: Lesson) -> Json:
    """The whole answer as one message."""
    thinking, text = "", ""
    async for token in lesson:
        if token.part == "reasoning":
            thinking += token.text
        else:
            text += token.text
    content: list[Json] = []
    if thinking:
        content.append({"type": "thinking", "thinking": thinking, "signature": signature(thinking)})
    if text:
        content.append({"type": "text", "text": text})
    return message(request, lesson, content, stop_reason(lesson))


async def events(request: MessagesRequest, lesson: Lesson) -> AsyncIterator[str]:
    """The answer as server-sent events, one token a delta."""
    yield frame("message_start", message=message(request, lesson, [], None))
    yield frame("ping")
    index, part, thinking = -1, "", ""
    async for token in lesson:
        if token.part != part:
            if part:
                yield closing(index, part, thinking)
            index, part = index + 1, token.part
            empty: Json = {"type": "text", "text": ""}
            if part == "reasoning":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
            yield frame("content_block_start", index=index, content_block=empty)
        if part == "reasoning":
            thinking += token.text
            delta = {"type": "thinking_delta", "thinking": token.text}
        else:
            delta = {"type": "text_delta", "text": token.text}
        yield frame("content_block_delta", index=index, delta=delta)
    if part:
        yield closing(index, part, thinking)
    stop = {"stop_reason": stop_reason(lesson), "stop_sequence": None}
    yield frame("message_delta", delta=stop, usage=usage(lesson))
    yield frame("message_stop")


def closing(index: int, part: str, thinking: str) -> str:
    """What ends a block; a thinking block is signed first."""
    end = frame("content_block_stop", index=index)
    if part != "reasoning":
        return end
    delta = {"type": "signature_delta", "signature": signature(thinking)}
    return frame("content_block_delta", index=index, delta=delta) + end


def frame(kind: str, **fields: Any) -> str:
    """One server-sent event with its name."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n"


def error(text: str) -> Json:
    """The body of a 400."""
    return {"type": "error", "error": {"type": "invalid_request_error", "message": text}, "request_id": None}
