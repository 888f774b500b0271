"""Cheap clients over plain sockets: each asks one after the other, and some leave in mid-stream."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

from bench.load.plan import Ask

_HEAD_END = b"\r\n\r\n"
_CHUNKED_END = b"\r\n0\r\n\r\n"
_PIECE = 65_536
_PATIENCE_S = 60.0
_CONTENT = b'"content": "word'  # once in each chunk that tells something


class Told:
    """What the clients were told: statuses, chunks by account, and connections that broke by themselves."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.chunks: Counter[str] = Counter()
        self.broken = 0


async def play(port: int, asks: Iterator[Ask], clients: int, done: Callable[[], None]) -> Told:
    """Let so many clients share the asks, until there are none; `done` hears of each."""
    told = Told()
    await asyncio.gather(*(_Client(port, told).ask_all(asks, done) for _ in range(clients)))
    return told


class _Client:
    """One caller, whose connection is kept while it lasts."""

    def __init__(self, port: int, told: Told) -> None:
        self._port = port
        self._told = told
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_all(self, asks: Iterator[Ask], done: Callable[[], None]) -> None:
        for ask in asks:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ask(ask)
            except (OSError, asyncio.IncompleteReadError):
                self._told.broken += 1
                self._leave()
            if ask.kind == "broken":
                self._leave()  # an app that raises ends its connection
            done()
        self._leave()

    async def _ask(self, ask: Ask) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = ask.body()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: load\r\nx-account: {ask.account}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(_HEAD_END)
        self._told.statuses[f"{ask.kind} {answer[9:12].decode()}"] += 1
        length = _length(answer)
        if length is not None:
            await reader.readexactly(length)
            return
        await self._stream(ask, reader)

    async def _stream(self, ask: Ask, reader: asyncio.StreamReader) -> None:
        """Read a stream to its end, or as far as a client goes that leaves."""
        chunks, last = 0, b""
        while not last.endswith(_CHUNKED_END):
            data = await reader.read(_PIECE)
            if not data:
                raise asyncio.IncompleteReadError(b"", None)
            chunks += (last[-len(_CONTENT) + 1 :] + data).count(_CONTENT)
            last = (last + data)[-len(_CONTENT) :]
            if ask.kind == "gone" and chunks >= ask.ends_at:
                self._leave()
                break
        self._told.chunks[ask.account] += chunks

    def _leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _length(head: bytes) -> int | None:
    """The length of a body that says it."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return None
