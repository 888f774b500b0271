"""Requests that no codec answers: HEAD at a door, and paths that nobody declared."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.types import Message, Scope, Send

from hardening.asgi.headers import find

_ASKED_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})
# Enough of a body to see its first keys.
_SNIFFED_BYTES = 64
# How model output begins: the envelopes of the APIs whose doors are known, and those that imitate them.
_OUTPUT = re.compile(
    rb'"(?:object"\s*:\s*"(?:chat\.completion|text_completion|response)|id"\s*:\s*"(?:chatcmpl|cmpl|resp|msg)[-_]'
    rb'|choices"|candidates"|generated_text"|completion"|type"\s*:\s*"(?:message|response\.)|output_ids"'
    rb'|embeddings?"|content_block|delta"|token_ids"|logprobs")'
)
_TYPES = (b"application/json", b"text/event-stream", b"application/x-ndjson")
_HEAD_DROPS = frozenset({b"content-length", b"etag", b"content-md5", b"content-digest", b"repr-digest"})


def is_asked_only(method: str) -> bool:
    """Whether a method only asks for what is there, and so makes no model speak."""
    return method in _ASKED_ONLY


def route_of(scope: Scope) -> str:
    """The template of the route that answers, where routing has found one; else the path."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else str(scope["path"])


def bodiless(send: Send) -> Send:
    """A `send` for HEAD: no body whatever the app sends, and no header that tells of one."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _HEAD_DROPS]
            await send({**message, "headers": headers})
        elif message["type"] == "http.response.body":
            await send({**message, "body": b""})

    return sent


class Sniffing:
    """A `send` that changes nothing, and reports once a response that begins like a model's answer.

    `seen` is called when an answer that the app gave of itself has been looked at; after an error,
    which the next caller may not get, it is not.
    """

    __slots__ = ("_head", "_report", "_seen", "_send", "_typed")

    def __init__(self, send: Send, *, report: Callable[[], None], seen: Callable[[], None]) -> None:
        self._send = send
        self._report = report
        self._seen = seen
        self._typed = False
        self._head: bytes | None = b""

    def send(self, message: Message) -> Awaitable[None]:
        """Pass one message."""
        if self._head is not None:
            self._look(message)
        return self._send(message)

    def _look(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 300:
                self._head = None
            kind = find(message.get("headers", ()), b"content-type") or b""
            self._typed = kind.lower().startswith(_TYPES)
        elif not self._typed:
            self._done()
        elif message["type"] == "http.response.body" and self._head is not None:
            self._head += bytes(message.get("body", b""))[:_SNIFFED_BYTES]
            if _OUTPUT.search(self._head):
                self._report()
                self._done()
            elif len(self._head) >= _SNIFFED_BYTES or not message.get("more_body", False):
                self._done()

    def _done(self) -> None:
        self._head = None
        self._seen()
