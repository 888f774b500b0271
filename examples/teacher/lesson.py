"""One lesson: the teacher's tokens for a request, counted and cut at the caller's limit."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Any

from anyio import sleep

from teacher import Token, teach
from teacher.tokens import split

Content = str | list[dict[str, Any]]


class Lesson:
    """The tokens of one answer as an async iterator, with what usage needs to know afterwards."""

    def __init__(
        self,
        texts: list[str],
        *,
        limit: int | None,
        seed: int = 0,
        temperature: float = 1.0,
        think: bool = True,
        delay_s: float = 0.0,
    ) -> None:
        self.question = texts[-1] if texts else ""
        self.prompt_tokens = sum(len(split(text)) for text in texts)
        self.reasoning_tokens = 0
        self.tokens = 0
        self.cut = False
        self._limit = limit
        self._delay_s = delay_s
        self._source = teach(self.question, seed=seed, temperature=temperature, think=think)
        self.id = blake2b(f"{seed}/{temperature}/{texts}".encode(), digest_size=12).hexdigest()

    async def __aiter__(self) -> AsyncIterator[Token]:
        for token in self._source:
            if self.tokens == self._limit:
                self.cut = True
                return
            self.tokens += 1
            self.reasoning_tokens += token.part == "reasoning"
            await sleep(self._delay_s)
            yield token


def text_of(content: Content) -> str:
    """The text of a message: a string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text" and "text" in part)


def signature(trace: str) -> str:
    """The teacher's opaque mark on a trace, as long as the real ones are."""
    blocks = (blake2b(trace.encode(), key=b"teacher", person=bytes([i])) for i in range(3))
    return base64.b64encode(b"".join(block.digest() for block in blocks)).decode()
