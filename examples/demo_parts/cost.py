"""What the middleware adds to a chunk, in this process: recorded chunks played with and without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from teacher.app import create_app

from demo_parts.accounts import INTERNAL, ORDINARY, POLICY, Caller, identify
from demo_parts.ask import QUESTION, TOP_ASKED, Api, Reply
from hardening import HardeningMiddleware

ROUNDS = 15
ASKED = [{"role": "user", "content": QUESTION}]
REQUESTS: dict[Api, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"logprobs": True, "top_logprobs": TOP_ASKED}),
    "anthropic": ("/v1/messages", {"max_tokens": 4000, "thinking": {"type": "adaptive"}}),
}
NAMES: dict[Api, str] = {
    "openai": f"OpenAI, {TOP_ASKED} alternatives a chunk",
    "anthropic": "Anthropic, no log-probabilities",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over interleaved rounds, in microseconds a chunk of one recorded stream."""

    name: str
    ordinary: float
    internal: float
    parse: float
    app: float
    chunk_bytes: float


class Playback:
    """An app that answers every request with recorded chunks, as fast as ASGI goes."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def measure(
    bare: Mapping[tuple[Api, bool], Reply], clock: Callable[[], float] = perf_counter
) -> tuple[Cost, ...]:
    """What is added to each chunk of the streamed replies, beside the app's own time and one JSON parse."""
    return tuple(asyncio.run(_measure(api, bare[api, True].chunks, clock)) for api in REQUESTS)


async def _measure(api: Api, chunks: Sequence[bytes], clock: Callable[[], float]) -> Cost:
    plain, teacher = Playback(chunks), create_app()
    hardened = HardeningMiddleware(Playback(chunks), policy=POLICY, identify=identify)
    rounds: list[tuple[float, float, float]] = []
    async with started(hardened):
        for _ in range(ROUNDS):
            base = await timed(plain, api, ORDINARY, clock)
            cut = await timed(hardened, api, ORDINARY, clock)
            exempt = await timed(hardened, api, INTERNAL, clock)
            rounds.append((cut - base, exempt - base, parse(chunks, clock)))
        app = median([await timed(teacher, api, INTERNAL, clock) for _ in range(5)])
    ordinary, internal, once = (median(column) for column in zip(*rounds, strict=True))
    us = 1e6 / len(chunks)
    size = sum(map(len, chunks)) / len(chunks)
    return Cost(NAMES[api], ordinary * us, internal * us, once * us, app * us, size)


async def timed(app: ASGIApp, api: Api, caller: Caller, clock: Callable[[], float]) -> float:
    """Seconds from the request to the last byte."""
    path, fields = REQUESTS[api]
    body = json.dumps({"model": "teacher", "messages": ASKED, "stream": True} | fields).encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {caller.key}".encode())]
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    left = [{"type": "http.request", "body": body, "more_body": False}]
    ended = asyncio.Event()

    async def receive() -> Message:
        if not left:
            await ended.wait()
            return {"type": "http.disconnect"}
        return left.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    begin = clock()
    await app(scope, receive, send)
    return clock() - begin


def parse(chunks: Sequence[bytes], clock: Callable[[], float]) -> float:
    """Seconds to parse and write every chunk's JSON once with orjson."""
    texts = [line[6:] for chunk in chunks for line in chunk.split(b"\n") if line.startswith(b"data: {")]
    begin = clock()
    for text in texts:
        orjson.dumps(orjson.loads(text))
    return clock() - begin


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """The app between its lifespan's startup and shutdown."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await from_app.get()
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await life
