"""The way back where nothing may change: every message leaves as it came, and is read beside that."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import Message, Send

from hardening.asgi import headers as head
from hardening.asgi.control import Control
from hardening.asgi.encoding import Unpacker
from hardening.asgi.response import UNPACKED_BYTES
from hardening.exchange import Exchange


class Watched:
    """The app's `send` in shadow and for the exempt: counts what passes, changes no byte and no header."""

    __slots__ = (
        "_clock",
        "_control",
        "_exchange",
        "_reading",
        "_send",
        "_unpacker",
        "answered",
        "body_s",
        "status",
    )

    def __init__(self, *, exchange: Exchange, control: Control, send: Send) -> None:
        self._exchange = exchange
        self._control = control
        self._clock = control.now
        self._send = send
        self._reading = True
        self._unpacker: Unpacker | None = None
        self.answered: int | None = None
        self.status = 0
        self.body_s = 0.0

    def send(self, message: Message) -> Awaitable[None]:
        """Pass one message of the app."""
        if self._reading:
            now = self._clock()
            try:
                self._read(message, now)
            except Exception as fault:  # noqa: BLE001  our fault may not touch what we only watch
                self._reading = False
                self._control.passes(fault)
            self.body_s += self._clock() - now
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            return self._last(message)
        return self._send(message)

    async def app_returned(self) -> None:
        """Nothing: what the app left open is its server's to end."""

    async def app_raised(self) -> None:
        """Nothing, as above."""

    def close(self) -> None:
        """Read nothing more."""
        self._reading = False

    def _read(self, message: Message, now: float) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            data = bytes(message.get("body", b""))
            last = not message.get("more_body", False)
            if self._unpacker is not None:
                data = self._unpacker.feed(data)
            self._exchange.receive(data, now)
            if last:
                self._exchange.end(now)

    def _start(self, message: Message) -> None:
        self.answered = self.status = message["status"]
        headers = list(message.get("headers", ()))
        coding = head.joined(headers, b"content-encoding")
        if coding is not None and coding.strip().lower() != b"identity":
            self._unpacker = Unpacker(coding, UNPACKED_BYTES)
        self._exchange.start(self.status, headers)

    async def _last(self, message: Message) -> None:
        await self._send(message)
        await self._control.over("complete")
