"""What the toy server and its caller need of an API: how a question is spelled, and how an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import orjson

Asked = dict[str, Any]
"""A body; the server works with the names of chat completions, and with `prompt`."""
Values = dict[str, float]
"""Of one position: each token with its value, the first the likeliest."""
HIDDEN = -9999.0
"""The value that stands for none."""


class Said(NamedTuple):
    """One answer of the toy: its words, their rows as chat completions have them, and what stands beside."""

    words: list[str]
    rows: list[Asked]
    prompt_rows: list[Asked]
    echo: str


class Told(NamedTuple):
    """What a piece of a response tells of one answer; `again` where it repeats the answer from its beginning."""

    number: int
    text: str
    rows: list[Values]
    again: bool = False


class Dialect(ABC):
    """One endpoint. Its streams are server-sent events, unless it says otherwise."""

    path: ClassVar[str]
    stream_path: ClassVar[str]
    stream_type: ClassVar[bytes] = b"text/event-stream"

    @abstractmethod
    def body(self, prompt: str, asked: Asked, *, stream: bool) -> Asked:
        """The question of a caller who wants one token of `prompt` with its row, and all that is `asked`."""

    @abstractmethod
    def asked(self, body: Asked) -> Asked:
        """What a body asks, by the names that the server knows."""

    @abstractmethod
    def whole(self, answers: list[Said]) -> Asked:
        """A response that comes at once."""

    @abstractmethod
    def frames(self, answers: list[Said]) -> Iterator[Asked]:
        """The pieces of a response that comes as a stream."""

    @abstractmethod
    def told(self, piece: Asked) -> Iterator[Told]:
        """What a whole response or a piece of one tells."""

    def written(self, frames: Iterable[Asked]) -> Iterator[bytes]:
        """A stream on the wire."""
        for frame in frames:
            yield b"data: %b\n\n" % orjson.dumps(frame)
        yield b"data: [DONE]\n\n"

    def pieces(self, raw: bytes) -> list[Asked]:
        """The pieces of a body, whole or streamed."""
        if not raw.startswith((b"data:", b"event:")):
            return [orjson.loads(raw)]
        lines = (line for line in raw.splitlines() if line.startswith(b"data:") and b"[DONE]" not in line)
        return [orjson.loads(line[5:]) for line in lines]


def positions(rows: Iterable[Asked] | None) -> list[Values]:
    """The values of rows as chat completions have them, the drawn token's with them."""
    return [
        with_drawn(
            {one["token"]: one["logprob"] for one in row["top_logprobs"]}, row["token"], row["logprob"]
        )
        for row in rows or ()
    ]


def with_drawn(values: Values, token: str, value: float | None) -> Values:
    """`values` with that of the drawn token, where it is told."""
    if value is not None and value != HIDDEN:
        values.setdefault(token, value)
    return values
