"""Cheap clients over plain sockets: each asks one after the other, and some leave in mid-stream."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

from bench.load.plan import Ask

_HEAD_END = b"\r\n\r\n"
_CHUNKED_END = b"\r\n0\r\n\r\n"
_PATIENCE_S = 60.0
_CONTENT = b'"content":"word'  # once in each chunk that tells something


class Told:
    """What the clients were told: statuses, chunks by account, and connections that broke by themselves."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.chunks: Counter[str] = Counter()
        self.broken = 0


async def play(port: int, asks: Iterator[Ask], clients: int, done: Callable[[], None]) -> Told:
    """Let so many clients share the asks, until there are none; `done` hears of each."""
    told = Told()
    await asyncio.gather(*(_ask_all(port, asks, told, done) for _ in range(clients)))
    return told


async def _ask_all(port: int, asks: Iterator[Ask], told: Told, done: Callable[[], None]) -> None:
    """One caller, whose connection is kept while it lasts."""
    loop = asyncio.get_running_loop()
    connection: _Connection | None = None
    for ask in asks:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if connection is None or connection.is_over:
                    _, connection = await loop.create_connection(lambda: _Connection(told), "127.0.0.1", port)
                await connection.ask(ask)
        except OSError:
            told.broken += 1
            _leave(connection)
        if ask.kind == "broken":
            _leave(connection)  # an app that raises ends its connection
        done()
    _leave(connection)


def _leave(connection: _Connection | None) -> None:
    if connection is not None:
        connection.leave()


class _Connection(asyncio.Protocol):
    """One connection, which reads an answer as it comes and wakes its client once, when that is over.

    A client with streams of its own is woken by every chunk, and costs as much as the server.
    """

    def __init__(self, told: Told) -> None:
        self.is_over = False
        self._told = told
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[None] | None = None
        self._ask: Ask
        self._head = b""
        self._left_to_read: int | None = 0
        self._chunks = 0
        self._last = b""

    async def ask(self, ask: Ask) -> None:
        """Ask, and wait for the end of the answer, or as far as a client goes that leaves. Raises OSError."""
        self._ask, self._head, self._chunks, self._last = ask, b"", 0, b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(ask.head() + ask.body())
        await self._answered

    def leave(self) -> None:
        """Close it."""
        self.is_over = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, fault: Exception | None) -> None:
        """Tell a client that waits for an answer."""
        self.is_over = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError("closed before the answer was over"))

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if self._answered is None or self._answered.done():
            return  # a client that left has no eyes for what comes after
        if not self._head.endswith(_HEAD_END):
            self._head, end, data = (self._head + data).partition(_HEAD_END)
            self._head += end
            if not end:
                return
            self._told.statuses[f"{self._ask.kind} {self._head[9:12].decode()}"] += 1
            self._left_to_read = _length(self._head)
        if self._left_to_read is None:
            self._stream(data)
            return
        self._left_to_read -= len(data)
        if self._left_to_read <= 0:
            self._answered.set_result(None)

    def _stream(self, data: bytes) -> None:
        """Count the chunks of a stream."""
        self._chunks += (self._last[-len(_CONTENT) + 1 :] + data).count(_CONTENT)
        self._last = (self._last + data)[-len(_CONTENT) :]
        leaves = self._ask.kind == "gone" and self._chunks >= self._ask.ends_at
        if leaves or self._last.endswith(_CHUNKED_END):
            self._told.chunks[self._ask.account] += self._chunks
            if leaves:
                self.leave()
            assert self._answered is not None
            self._answered.set_result(None)


def _length(head: bytes) -> int | None:
    """The length of a body that says it; None for a stream."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return None
