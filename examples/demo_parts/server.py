"""A real uvicorn on loopback, in a thread, and a record of what leaves an app."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_parts import ServingError

CALL_ID = b"x-demo-call"
"""Request header that names a call, so that its bytes can be found again."""

Bodies = defaultdict[str, list[bytes]]


class Recorder:
    """Pure ASGI: passes everything on and keeps each named call's body, message by message."""

    def __init__(self, app: ASGIApp, bodies: Bodies | None = None) -> None:
        self.app = app
        self.bodies = Bodies(list) if bodies is None else bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = self.bodies[dict(scope["headers"]).get(CALL_ID, b"").decode()]

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                body.append(message["body"])
            await send(message)

        await self.app(scope, receive, keep)


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The base address of the app, served until the block ends; port 0 takes any free one."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as fault:
            raise ServingError(f"port {port} on 127.0.0.1 is not free: {fault.strerror}") from fault
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.005)
        if not server.started:
            raise ServingError("the app refused to start; its reason stands above")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
    finally:
        listener.close()
