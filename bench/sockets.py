"""The same over sockets: uvicorn on the loopback, bare and hardened, in turns; bounded in requests and time.

Run as a module with `bare` or `hardened` it is the server: it prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from bench import streams
from bench.apps import DOOR, Playback
from bench.report import Row, Spread

SEED = 7
ROUNDS, QUICK_ROUNDS = 7, 3
_CONNECTIONS = 8
_REQUESTS = 60  # a connection, in one round
_STREAMS = 6  # a connection, in one round
_FIRST_BYTES = 60
_START_S, _ROUND_S, _STOP_S = 60.0, 60.0, 10.0

Progress = Callable[[str], None]


class Model:
    """A model server that has its answers ready: a stream where one is asked for, else a JSON text."""

    def __init__(self) -> None:
        self._stream = Playback([streams.first(SEED), *streams.content(SEED), *streams.last(SEED)])
        self._whole = Playback([streams.whole(SEED)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams_asked = (b"accept", b"text/event-stream") in scope.get("headers", ())
        await (self._stream if streams_asked else self._whole)(scope, receive, send)


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """Rows of requests, chunks and first bytes, hardened and bare."""
    progress("over sockets")
    with serving("bare") as bare, serving("hardened") as hardened:
        return asyncio.run(_measure({"bare": bare, "hardened": hardened}, QUICK_ROUNDS if quick else ROUNDS))


@contextmanager
def serving(kind: str) -> Iterator[int]:
    """The port of a server process, which is ended by its own id afterwards."""
    command = [sys.executable, "-m", "bench.sockets", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.terminate()
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()


@dataclass(frozen=True, slots=True)
class Figure:
    """One way to look at a server: what one round of it gives, in which unit."""

    what: str
    unit: str
    take: Callable[[int, int], Awaitable[float]]


async def _measure(ports: dict[str, int], rounds: int) -> list[Row]:
    for port in ports.values():
        await _ready(port)
    rows = []
    for figure in _FIGURES:
        seen: dict[str, list[float]] = {name: [] for name in ports}
        order = list(ports)
        for number in range(-1, rounds):
            for name in order:
                value = await asyncio.wait_for(figure.take(ports[name], number), _ROUND_S)
                if number >= 0:
                    seen[name].append(value)
            order.reverse()
        rows += _rows(figure, seen["bare"], seen["hardened"])
    return rows


def _rows(figure: Figure, bare: Sequence[float], hardened: Sequence[float]) -> list[Row]:
    section = f"over sockets, uvicorn, {_CONNECTIONS} connections"
    ratios = [ours / base for ours, base in zip(hardened, bare, strict=True)]
    return [
        Row(section, f"{figure.what}, bare app", Spread.of(bare), figure.unit),
        Row(section, f"{figure.what}, hardened", Spread.of(hardened), figure.unit, Spread.of(ratios), "bare"),
    ]


async def _ready(port: int) -> None:
    """Return when the server answers."""
    ends = perf_counter() + _START_S
    while True:
        try:
            await _Client(port, "ready").ask_once(_request(2_000, "ready", stream=False))
        except OSError:
            if perf_counter() > ends:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _requests_per_s(port: int, number: int) -> float:
    seconds = await _all_at_once(port, number, _request(2_000, f"sk-{number}", stream=False), _REQUESTS)
    return _CONNECTIONS * _REQUESTS / seconds


async def _chunks_per_s(port: int, number: int) -> float:
    seconds = await _all_at_once(port, number, _request(2_000, f"sk-{number}", stream=True), _STREAMS)
    return _CONNECTIONS * _STREAMS * (streams.CHUNKS + 3) / seconds


async def _first_byte_us(port: int, number: int) -> float:
    """The median of the times from the last byte of a request to the first of its answer's body."""
    client = _Client(port, "first")
    await client.open()
    request = _request(2_000, f"sk-{number}", stream=True)
    times = [await client.ask(request) for _ in range(_FIRST_BYTES)]
    await client.close()
    return Spread.of(times).median * 1e6


_FIGURES = (
    Figure("requests, whole JSON answers", "1/s", _requests_per_s),
    Figure("chunks of content streams", "1/s", _chunks_per_s),
    Figure("first byte of a stream", "us", _first_byte_us),
)


async def _all_at_once(port: int, number: int, request: bytes, times: int) -> float:
    clients = [_Client(port, f"{number}-{place}") for place in range(_CONNECTIONS)]
    for client in clients:
        await client.open()
    began = perf_counter()
    await asyncio.gather(*(client.ask_many(request, times) for client in clients))
    seconds = perf_counter() - began
    for client in clients:
        await client.close()
    return seconds


class _Client:
    """One kept-open connection that reads no more of HTTP than where an answer ends."""

    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self.name = name

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask_once(self, request: bytes) -> None:
        await self.open()
        await self.ask(request)
        await self.close()

    async def ask_many(self, request: bytes, times: int) -> None:
        for _ in range(times):
            await self.ask(request)

    async def ask(self, request: bytes) -> float:
        """Seconds until the first byte of the answer's body. Raises RuntimeError where it is no 200."""
        self._writer.write(request)
        began = perf_counter()
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.split(b"\r\n")[0].decode())
        if b"transfer-encoding: chunked" in head.lower():
            first = await self._reader.readexactly(1)
            seconds = perf_counter() - began
            await self._rest(first)
        else:
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await self._reader.readexactly(size)
            seconds = perf_counter() - began
        return seconds

    async def _rest(self, tail: bytes) -> None:
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = await self._reader.read(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection in mid-answer")
            tail = tail[-8:] + data


def _request(size: int, caller: str, *, stream: bool) -> bytes:
    body = streams.request(size, stream=stream)
    accept = "text/event-stream" if stream else "application/json"
    head = (
        f"POST {DOOR} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: {accept}\r\nauthorization: Bearer {caller}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def serve(kind: str) -> None:
    """Serve until ended, bare or hardened, on a port that the system chooses and this prints."""
    import uvicorn

    from hardening import HardeningMiddleware

    app: ASGIApp = Model()
    if kind == "hardened":
        app = HardeningMiddleware(app, policy="baseline")
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits for it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1])
