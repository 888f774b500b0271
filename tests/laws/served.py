"""A real server on loopback with the official SDKs as its clients, for law 3."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening import AccountError
from hardening.testing import Hardened, harden
from tests.laws.upstream import model_server

TIGHT = """\
version: 1
name: tight
limits:
  window: {requests: 1, per: 30s}
  trial: {requests: 100, per: 1m}
  quota: {requests: 3, per: 30d}
accounts: {unproven: {limits: [trial]}}
defaults: {limits: [quota], reasoning: {show: none}}
rules:
  - {name: closed, match: {model: closed}, refuse: {status: 403, message: closed for now}}
  - {name: window, match: {account: "window-*"}, limits: [window]}
runtime: {max_body: 4k}
"""
SHORT = """\
version: 1
name: short
limits: {few: {tokens: 40, per: 30d}, trial: {requests: 100, per: 1m}}
accounts: {unproven: {limits: [trial]}}
defaults: {limits: [few], reasoning: {show: full}}
"""


STRICT = """\
version: 1
name: strict-but-for-usage
extends: strict
defaults: {usage: keep}
"""
DROP = STRICT.replace("keep", "drop")


class Site:
    """The model server as it is and behind policies, each below a path of its own; `left` is what left."""

    def __init__(self) -> None:
        self.left: list[bytes] = []
        self.address = ""
        self.mounts: dict[str, ASGIApp] = {"bare": model_server}
        for name, policy in (
            ("baseline", "baseline"),
            ("strict", STRICT),  # what may be compared with the answer without us, its counts included
            ("round", "strict"),
            ("drop", DROP),
            ("tight", TIGHT),
            ("short", SHORT),
        ):
            self.mounts[name] = harden(model_server, policy, identify=who)
        self.mounts["faulty"] = harden(model_server, "no-such-policy.yaml")

    def asked(self, mount: str) -> int:
        """Requests that one policy has seen."""
        mounted = self.mounts[mount]
        assert isinstance(mounted, Hardened)
        return len(mounted.receipts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self.left.append(message.get("body", b""))
            await send(message)

        await self.mounts[scope["path"].split("/")[1]](scope, receive, noted)


def who(scope: Scope) -> str | None:
    name = dict(scope["headers"]).get(b"x-who", b"").decode()
    if name == "nobody":
        raise AccountError("no such account")
    return name or None


@contextmanager
def serving() -> Iterator[Site]:
    """The site on a real server, until the block ends."""
    served = Site()
    with listening(served) as address:
        served.address = address
        yield served


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of an app on a real server on loopback, in a thread of its own, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


Client = Callable[..., Any]


@contextmanager
def clients(kind: Callable[..., Any], address: str, path: str) -> Iterator[Client]:
    """Makes clients that validate what they read, one for each mount and name; closed at the end."""
    made: dict[tuple[str, str, int], Any] = {}

    def client(mount: str, name: str = "reader", retries: int = 0) -> Any:
        key = (mount, name, retries)
        if key not in made:
            made[key] = kind(
                base_url=f"{address}/{mount}{path}",
                api_key="sk-x",
                max_retries=retries,
                timeout=60.0,
                default_headers={"x-who": name},
                _strict_response_validation=True,
            )
        return made[key]

    yield client
    for one in made.values():
        one.close()
