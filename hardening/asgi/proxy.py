"""A streaming reverse proxy as an ASGI app, for model servers in which nothing can be mounted.

It changes nothing but what HTTP says a proxy changes: headers of one connection (RFC 9110 section 7.6.1; of
requests only the known ones), `host`, and the `x-forwarded-*` headers; and it sends none on that names another method or
path. Bodies pass as they come, in both
directions, packed or not.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote_to_bytes

import httpx
from starlette.types import Receive, Scope, Send

from hardening.asgi.body import ClientGone
from hardening.asgi.headers import Headers, joined, without
from hardening.asgi.refusals import refuse
from hardening.errors import StartError
from hardening.facts import Refusal
from hardening.observe import LOG
from hardening.wire.doors import Doors

T = TypeVar("T")

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_FORWARDED = frozenset({b"host", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
# By these some frameworks take another method or path than those that were looked at here.
_OTHER_TARGETS = frozenset(
    {b"x-http-method", b"x-http-method-override", b"x-method-override", b"x-original-url", b"x-rewrite-url"}
)
_LATE = Refusal(504, "internal", "the model server did not answer in time")
_UNSENT: dict[type[httpx.TransportError], Refusal] = {  # by the error, whose own text may hold addresses
    httpx.ConnectTimeout: _LATE,
    httpx.ReadTimeout: _LATE,
    httpx.WriteTimeout: Refusal(504, "internal", "the model server did not take the request in time"),
    httpx.PoolTimeout: Refusal(503, "unavailable", "too many requests are being answered", 1.0),
}
_UNREACHED = Refusal(502, "internal", "the model server cannot be reached")
_UNSENDABLE = Refusal(
    400,
    "unreadable",
    "found a path that cannot be passed on, allowed are printable ASCII and no dot segments",
)
_RESTED = Refusal(408, "unreadable", "the request body did not come in time")
_slashes = re.compile(rb"[/\\]").split
_is_target = re.compile(rb"[!-~]+").fullmatch  # what HTTP allows there (RFC 9112 section 3.2)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go: `url` with a path before theirs, and how long and how often at once."""

    url: httpx.URL
    connections: int = 512
    connect_s: float = 10.0
    silence_s: float = 600.0
    upload_silence_s: float = 60.0  # of a client, whose body holds a connection meanwhile
    rest_s: float = 1.0  # of a connection, then it is closed: servers do so after as little as 2, and lose what comes then

    @classmethod
    def of(cls, url: str, *, connections: int = 512, silence_s: float = 600.0) -> Upstream:
        """The upstream at an address.

        Raises:
            StartError: it is no http or https address of a host.
        """
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.userinfo:
            raise StartError(
                "upstream: found an address that cannot be used, allowed is http(s)://HOST[:PORT][/PATH]"
            )
        return cls(parsed, connections=connections, silence_s=silence_s)

    @property
    def timeouts(self) -> dict[str, float]:
        """As httpx's transports take them."""
        return {
            "connect": self.connect_s,
            "read": self.silence_s,
            "write": self.silence_s,
            "pool": self.connect_s,
        }


class Proxy:
    """An ASGI app that answers with what the upstream answers; websockets are denied."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._doors = Doors()
        # The transport alone: a client would follow redirects, keep cookies and read proxies from the environment.
        limits = httpx.Limits(
            max_connections=upstream.connections,
            max_keepalive_connections=64,
            keepalive_expiry=upstream.rest_s,
        )
        self._transport = httpx.AsyncHTTPTransport(limits=limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in start and stop."""
        if scope["type"] == "http":
            await self._forward(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not open"})
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._transport.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._target(scope)
        if target is None:
            await self._say(scope, send, _UNSENDABLE)
            return
        client = _Client(
            receive, sends=_has_body(scope["headers"]), silence_s=self._upstream.upload_silence_s
        )
        request = httpx.Request(
            scope["method"],
            self._upstream.url,
            headers=_to_upstream(scope, self._upstream.url),
            content=client.body() if client.sends else None,
            extensions={"timeout": self._upstream.timeouts, "target": target},
        )
        async with client:
            try:
                response = await client.unless_gone(self._transport.handle_async_request(request))
            except ClientGone:
                return
            except _RestedError:
                await self._say(scope, send, _RESTED)
                return
            except httpx.TransportError as fault:
                LOG.warning("the upstream did not answer: %s", type(fault).__name__)
                await self._say(scope, send, _UNSENT.get(type(fault), _UNREACHED))
                return
            try:
                await client.unless_gone(_pass_on(response, send))
            except ClientGone:
                return
            except httpx.TransportError as fault:
                # No end is made up: what stands outside sees an answer without one.
                LOG.warning("the upstream broke off its answer: %s", type(fault).__name__)
            finally:
                await response.aclose()

    def _target(self, scope: Scope) -> bytes | None:
        """The path and query as the client wrote them, below the upstream's own path; None where they may leave it.

        As bytes, since a URL of httpx resolves dot segments: `/../admin` would leave the upstream's path.
        """
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        segments = [part.partition(b";")[0] for part in _slashes(unquote_to_bytes(raw))]
        query: bytes = scope.get("query_string", b"")
        asked = raw + b"?" + query if query else raw
        if segments[0] or b".." in segments or not _is_target(asked):
            return None
        return self._upstream.url.raw_path.rstrip(b"/") + asked

    async def _say(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        """Answer in the upstream's place, in the shape of the API whose door was asked."""
        await refuse(send, self._doors.match(scope["path"]), refusal, f"req_{secrets.token_hex(8)}")


class _RestedError(Exception):
    """A client has begun a body and does not go on."""


class _Client:
    """The client's side of one request: its body, and whether it is still there."""

    def __init__(self, receive: Receive, *, sends: bool, silence_s: float) -> None:
        self.sends = sends
        self._silence_s = silence_s
        self._receive = receive
        self._sent = asyncio.Event()
        if not sends:
            self._sent.set()

    async def __aenter__(self) -> None:
        self._leaving = asyncio.ensure_future(self._leaves())

    async def __aexit__(self, *exception: object) -> None:
        self._leaving.cancel()

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the request's body.

        Raises:
            ClientGone: the client left before its end.
            _RestedError: nothing more came for too long.
        """
        more = True
        while more:
            try:
                message = await asyncio.wait_for(self._receive(), self._silence_s)
            except TimeoutError:
                raise _RestedError from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self._sent.set()

    async def unless_gone(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives. Raises ClientGone, with `work` cancelled, where the client goes away first."""
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait((working, self._leaving), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise ClientGone
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait((working,))

    async def _leaves(self) -> None:
        """Return when the client goes away; what it sends is `body`'s to read first."""
        await self._sent.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request says that it has one (RFC 9112 section 6.3)."""
    return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in headers)


def _to_upstream(scope: Scope, upstream: httpx.URL) -> Headers:
    """The request's headers as a proxy sends them on."""
    headers: Headers = scope["headers"]
    # Not what `connection` names besides: a caller could take away the key that he was counted by.
    gone = _FORWARDED | _HOP_BY_HOP | _OTHER_TARGETS
    if joined(headers, b"transfer-encoding"):
        gone |= {b"content-length"}  # it does not count beside the other (RFC 9112 section 6.3)
    kept = without(headers, gone)
    forwarded = joined(headers, b"x-forwarded-for") or b""
    client = scope["client"][0].encode() if scope.get("client") else b""
    # Our server has read the client from the last one where it trusts who sent it; then it stands there already.
    if client and forwarded.rpartition(b",")[2].strip() != client:
        forwarded = forwarded + b", " + client if forwarded else client
    return [
        (b"host", upstream.netloc),
        *kept,
        *([(b"x-forwarded-for", forwarded)] if forwarded else []),
        (b"x-forwarded-proto", scope.get("scheme", "http").encode()),
        *[(b"x-forwarded-host", value) for name, value in headers if name == b"host"],
    ]


def _hop_by_hop(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names of an upstream's headers for one connection only: the known ones, and those that say so."""
    named = joined(headers, b"connection") or b""
    return _HOP_BY_HOP | {name.strip().lower() for name in named.split(b",")}


async def _pass_on(response: httpx.Response, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in response.headers.raw]
    kept = without(headers, _hop_by_hop(headers))
    await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
    async with aclosing(cast(AsyncGenerator[bytes], response.aiter_raw())) as pieces:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
