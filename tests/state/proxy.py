"""A TCP proxy that counts round trips, and delays, cuts or withholds what passes through."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Self


class Proxy:
    """Stands before a server; its attributes may be changed while it runs.

    Args:
        port: where the server listens.
        tls: what it shows to those who connect, where they must speak TLS.

    `delay_s` is waited before an answer leaves, `answered` is how many bytes of each answer leave at
    most before the connection is cut, `deaf` withholds what is asked, `closed` refuses connections.
    `trips` counts the times at which the side that speaks changed from server to client.
    """

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.delay_s = 0.0
        self.answered: int | None = None
        self.deaf = False
        self.closed = False
        self.trips = 0
        self._target = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *fault: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.closed:
                await self._between(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._target)
        asked = False

        async def ask() -> None:
            nonlocal asked
            while data := await reader.read(65_536):
                if not self.deaf:
                    asked = True
                    downstream.write(data)

        async def answer() -> None:
            nonlocal asked
            while data := await upstream.read(65_536):
                self.trips += asked
                asked = False
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.answered is not None:
                    writer.write(data[: self.answered])
                    return
                writer.write(data)

        directions = [asyncio.ensure_future(ask()), asyncio.ensure_future(answer())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            downstream.close()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
