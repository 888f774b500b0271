"""Reads a request body from ASGI messages, up to a limit."""

from __future__ import annotations

from starlette.types import Message, Receive


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class BodyTooLarge(Exception):
    """The request body is longer than the limit; `taken` are the messages that were read by then."""

    def __init__(self, taken: list[Message]) -> None:
        super().__init__()
        self.taken = taken


async def read_body(announced: bytes | None, receive: Receive, limit: int) -> bytes:
    """The whole request body; where it came as one message, that very object.

    `announced` is the value of `content-length`.

    Raises:
        ClientGone: the client went away first.
        BodyTooLarge: the announced or the true length passes `limit` bytes.
    """
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge([])
    taken: list[Message] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        taken.append(message)
        body: bytes = message.get("body", b"")
        size += len(body)
        if size > limit:
            raise BodyTooLarge(taken)
        more = message.get("more_body", False)
    return body if len(taken) == 1 else b"".join(message.get("body", b"") for message in taken)
