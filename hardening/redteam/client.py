"""How attacks reach an app, bare or behind a policy, without a network, and how a toy app hears and answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.state import MemoryStore
from hardening.testing import ManualClock, harden

_ACCOUNT = b"x-account"
_RISK, _FOR_GOOD_S = 0.9, 1e9


def behind(app: ASGIApp, policy: str, *, account: str, band: str | None) -> tuple[ASGIApp, ManualClock]:
    """The app behind a policy, which takes the word of requests for who sends them, and the clock that it goes by.

    `account` is put into `band`, where one is named.
    """
    clock, store = ManualClock(), MemoryStore()
    if band is not None:
        store.flag(account, band, _RISK, _FOR_GOOD_S, clock.monotonic())
    return harden(app, policy, clock=clock, identify=_named, state=store), clock


def _named(scope: Mapping[str, Any]) -> str:
    """The account that a request is sent for."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next(value.decode() for name, value in headers if name == _ACCOUNT)


async def sent(app: ASGIApp, path: str, account: bytes, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request of an account."""
    status, parts, sent = 0, list[bytes](), False
    headers = [(b"content-type", b"application/json"), (_ACCOUNT, account)]
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
        "client": ("192.0.2.1", 1),
    }

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.sleep(3600)
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)


async def heard(receive: Receive) -> bytes:
    """The whole body of a request to a toy app."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send: Send, body: bytes) -> None:
    """Give a JSON text as the answer of a toy app."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
