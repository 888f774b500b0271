"""What the app receives: the body that it may read, then what the server says, or that the client left."""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.types import Message, Receive

_DISCONNECT: Message = {"type": "http.disconnect"}


class Inbound:
    """The app's `receive`; `stop` lets a waiting app hear at once that nobody listens any more.

    `gone` is True once the server said that the client went away.
    """

    __slots__ = ("_body", "_receive", "_stopped", "_waiting", "gone")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._stopped = False
        self._waiting: asyncio.Future[None] | None = None
        self.gone = False

    def offer(self, body: bytes) -> bool:
        """Let the app read this body instead; False where it has read the other."""
        if self._body is None:
            return False
        self._body = body
        return True

    async def receive(self) -> Message:
        """The whole body first; after it what comes from the server."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._stopped:
            return dict(_DISCONNECT)
        message = await self._from_server()
        self.gone = self.gone or message["type"] == "http.disconnect"
        return message

    def stop(self) -> None:
        """From here on the app hears `http.disconnect`."""
        self._stopped = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _from_server(self) -> Message:
        # Only who cancels the app may end its wait by a CancelledError: anyio knows its own by their text.
        reading = asyncio.ensure_future(_message(self._receive))
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((reading, self._waiting), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else dict(_DISCONNECT)
        finally:
            self._waiting = None
            reading.cancel()


class Replay:
    """A `receive` that first gives the messages that were taken, in their order."""

    __slots__ = ("_receive", "_taken")

    def __init__(self, taken: list[Message], receive: Receive) -> None:
        self._taken = deque(taken)
        self._receive = receive

    async def receive(self) -> Message:
        """The next message."""
        return self._taken.popleft() if self._taken else await self._receive()


async def _message(receive: Receive) -> Message:
    return await receive()
