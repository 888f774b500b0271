"""Reads a request body from ASGI messages, up to a limit."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope

from hardening.asgi.headers import find


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class BodyTooLarge(Exception):
    """The request body is longer than the limit; `taken` are the messages that were read by then."""

    def __init__(self, taken: list[Message]) -> None:
        super().__init__()
        self.taken = taken


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole request body; where it came as one message, that very object.

    Raises:
        ClientGone: the client went away first.
        BodyTooLarge: the announced or the true length passes `limit` bytes.
    """
    announced = find(scope["headers"], b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge([])
    taken: list[Message] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        taken.append(message)
        size += len(message.get("body", b""))
        if size > limit:
            raise BodyTooLarge(taken)
        more = message.get("more_body", False)
    if len(taken) == 1:
        body: bytes = taken[0].get("body", b"")
        return body
    return b"".join(message.get("body", b"") for message in taken)
