"""Recordings of formats that no codec reads, through the whole middleware under `observe`: they leave as they came."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from bench.corpus.checks import Finding, Result
from bench.corpus.drive import pieces_of
from bench.corpus.recordings import Recording
from hardening.observe import LOG
from hardening.testing import harden

POLICY = "observe"

_BY_BYTE = (
    1 << 14
)  # bytes that are sent one by one, where that is asked; the rest of a longer body follows at once


class Passing:
    """The middleware in front of an app that answers with recordings."""

    def __init__(self, splits: tuple[str, ...], seed: int) -> None:
        self._splits = splits
        self._seed = seed
        self._app = harden(self._answer, POLICY)
        self._start: Message = {}
        self._pieces: Iterable[bytes] = ()

    def check(self, recording: Recording) -> Result:
        """Whether status, headers and every byte are those of the recording, under each split."""
        result = Result(recording.format, recording.stream, POLICY, Counter(exchanges=1))
        silent = logging.NullHandler()  # what is warned of is what the recordings were made for
        LOG.addHandler(silent)
        try:
            self._under(recording, result)
        finally:
            LOG.removeHandler(silent)
        return result

    def _under(self, recording: Recording, result: Result) -> None:
        for split in self._splits:
            first, rest = recording.body[:_BY_BYTE], recording.body[_BY_BYTE:]
            if split != "byte":
                first, rest = recording.body, b""
            for pieces in pieces_of(first, split, f"{self._seed}:{recording.id}"):
                result.figures.update(runs=1, shadowed=1)
                if not self._same(recording, chain(pieces(), [rest])):
                    result.figures["identity_changed"] += 1
                    what = "not the answer that came"
                    result.findings.append(Finding(recording.id, POLICY, split, what))

    def _same(self, recording: Recording, pieces: Iterable[bytes]) -> bool:
        headers = [(b"content-type", recording.content_type.encode()), (b"etag", b'"as-it-was"')]
        self._start = {"type": "http.response.start", "status": recording.status, "headers": headers}
        self._pieces = pieces
        came: list[Message] = []
        asyncio.run(self._ask(recording, came))
        start, *bodies = came
        same = start["status"] == recording.status and start["headers"] == headers
        return same and b"".join(message["body"] for message in bodies) == recording.body

    async def _ask(self, recording: Recording, came: list[Message]) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": recording.request, "more_body": False}

        async def send(message: Message) -> None:
            came.append({**message, "headers": list(message.get("headers", ()))})

        await self._app(_scope(recording), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({**self._start, "headers": list(self._start["headers"])})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _scope(recording: Recording) -> Scope:
    path, _, query = (recording.path or f"/{recording.format}").partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": recording.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"test"), (b"content-type", b"application/json")],
        "client": ("203.0.113.9", 4711),
        "server": ("test", 80),
        "extensions": {},
    }
