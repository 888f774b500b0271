"""The apps and wrappers that are compared, and one request played through them in process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter

from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DOOR = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
NO_DOOR = "/health"

SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"


class Playback:
    """Answers with `chunks` of the content type `kind`, as fast as ASGI goes; one chunk is a JSON body.

    `called_at` is when the app was called, `sent_at` when the first chunk was handed over and when each was taken.
    """

    def __init__(self, chunks: Sequence[bytes] = ()) -> None:
        self.chunks = chunks
        self.kind = SSE
        self.called_at = 0.0
        self.sent_at: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.called_at = perf_counter()
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        while (await receive()).get("more_body", False):
            pass
        streams = len(self.chunks) > 1
        headers = [(b"content-type", self.kind if streams else JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if streams:
            self.sent_at = sent_at = [perf_counter()]
            for chunk in self.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent_at.append(perf_counter())
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b"".join(self.chunks), "more_body": False})


class EmptyAsgi:
    """A pure ASGI middleware in the form that Starlette's documentation shows, which does nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            await send(message)

        await self.app(scope, receive, send_on)


class EmptyBaseHttp(BaseHTTPMiddleware):
    """Starlette's convenience class for middleware, which does nothing."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


class Routed:
    """A Starlette app with the same answer behind a route, and a path that is no door."""

    def __init__(self, chunks: Sequence[bytes] = ()) -> None:
        self.chunks = chunks
        self.sent_at: list[float] = []
        routes = [Route(DOOR, self._door, methods=["POST"]), Route(NO_DOOR, self._health)]
        self._app = Starlette(routes=routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _door(self, request: Request) -> Response:
        await request.body()
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        self.sent_at = sent_at = [perf_counter()]
        for chunk in self.chunks:
            yield chunk
            sent_at.append(perf_counter())

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": "1.4.2"})


async def _live(receive: Receive, send: Send) -> None:
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """The app between its lifespan's startup and shutdown. Raises RuntimeError where it does not start."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.ensure_future(_run(app, scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    answer = await from_app.get()
    if answer["type"] != "lifespan.startup.complete":
        raise RuntimeError(answer.get("message", answer["type"]))
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await life


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


class Player:
    """Plays requests of one caller; `status` and `received` tell of the last answer."""

    def __init__(self, caller: str, body: bytes = b"", *, path: str = DOOR) -> None:
        self.status = 0
        self.received = 0
        self._message = {"type": "http.request", "body": body, "more_body": False}
        self._scope = _scope(caller, path, len(body))

    async def play(self, app: ASGIApp) -> float:
        """Seconds from the request to the last byte. Raises RuntimeError where the answer is no 200."""
        left: list[Message] = [self._message]
        ended = asyncio.Event()
        self.received = 0

        async def receive() -> Message:
            if left:
                return left.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.received += len(message.get("body", b""))
                if not message.get("more_body", False):
                    ended.set()
            else:
                self.status = message["status"]

        scope = {**self._scope, "headers": list(self._scope["headers"])}
        self.began = perf_counter()
        await app(scope, receive, send)
        seconds = perf_counter() - self.began
        if self.status != 200:
            raise RuntimeError(f"{self._scope['path']} answered {self.status}")
        return seconds


def _scope(caller: str, path: str, size: int) -> Scope:
    headers = [
        (b"host", b"api.example.com"),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"OpenAI/Python 2.6.1"),
        (b"authorization", f"Bearer {caller}".encode()),
        (b"x-stainless-lang", b"python"),
        (b"content-length", str(size).encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST" if size else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.7", 50412),
        "server": ("192.0.2.1", 443),
    }


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
