"""An ASGI server in the test's own process: split bodies, disconnects, and time that jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import ASGIApp, Message, Scope

T = TypeVar("T")
START_S = 1_000.0


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps for a timer: when nothing is ready, the loop's time jumps instead."""

    now = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which a minute of silence takes no time."""

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


class LoopClock:
    """The time of the running loop."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_800_000_000.0 + asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on a jumping loop; afterwards no task may be left."""

    async def counted() -> T:
        try:
            return await main
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(counted())


@dataclass
class Answer:
    """What a client saw."""

    messages: list[Message] = field(default_factory=list)
    raised: BaseException | None = None

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def chunks(self) -> list[bytes]:
        return [message["body"] for message in self.messages if message["type"] == "http.response.body"]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def ended(self) -> bool:
        """Whether the response was ended, once, and nothing came after."""
        last = [not m.get("more_body", False) for m in self.messages if m["type"] == "http.response.body"]
        return last.count(True) == 1 and last[-1]


def scope_of(path: str, method: str = "POST", **more: Any) -> Scope:
    headers = [(b"host", b"test"), (b"content-type", b"application/json")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*headers, *more.pop("headers", ())],
        "client": ("203.0.113.9", 4711),
        "server": ("test", 80),
        "extensions": {},
        **more,
    }


async def ask(
    app: ASGIApp,
    body: bytes | Sequence[bytes] = b"",
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    disconnect_after: int | None = None,
    send_fails_after: int | None = None,
    on_send: Callable[[Message], Awaitable[None]] | None = None,
    **scope: Any,
) -> Answer:
    """Send one request; `disconnect_after` that many body messages the client is gone."""
    answer = Answer()
    gone = asyncio.Event()
    pieces = [body] if isinstance(body, bytes) else list(body)
    inbound = [
        {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
        for at, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        if inbound:
            return inbound.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        bodies = sum(m["type"] == "http.response.body" for m in answer.messages)
        if message["type"] == "http.response.body" and send_fails_after == bodies:
            raise OSError("the client is gone")
        if gone.is_set():
            return
        answer.messages.append(message)
        if on_send is not None:
            await on_send(message)
        if message["type"] == "http.response.body":
            left = disconnect_after is not None and bodies + 1 >= disconnect_after
            if left or not message.get("more_body", False):
                gone.set()

    try:
        await app(scope_of(path, method, **scope), receive, send)
    except Exception as fault:  # noqa: BLE001  a server logs what an app raises; a test looks at it
        answer.raised = fault
    return answer


def replies(
    chunks: Iterable[bytes],
    *,
    kind: bytes = b"text/event-stream",
    status: int = 200,
    headers: Sequence[tuple[bytes, bytes]] = (),
    seen: list[tuple[Scope, bytes]] | None = None,
) -> ASGIApp:
    """A raw app that reads its request and answers with these chunks."""

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        if seen is not None:
            seen.append((scope, body))
        start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), *headers],
        }
        await send(start)
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app
