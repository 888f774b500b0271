"""The app of the workers: a small model server behind the middleware, and what each worker saw of it.

`uvicorn bench.load.server:app`; LOAD_FOLDER names the folder with `policy.yaml`, into which each worker
writes what it saw when it is stopped.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from bench.load.plan import CHUNK_TEXT, CHUNK_TOKENS, PROMPT_TOKENS
from bench.load.stores import spent
from hardening import HardeningMiddleware, Receipt
from hardening.asgi.service import Service
from hardening.facts import Account
from hardening.state import MemoryStore

_START: dict[str, Any] = {"type": "http.response.start"}
_PAUSE_S = 0.001  # between chunks, in which a client that leaves is heard of
_SSE = [(b"content-type", b"text/event-stream")]
_JSON = [(b"content-type", b"application/json")]


class Seen:
    """What one worker counts: tokens that its app made, tokens of receipts, and outcomes, by account."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.unanswered = 0
        self.begun_s: float | None = None
        """The time of this process at its first request, when it has started for good."""

    def take(self, receipt: Receipt) -> None:
        self.settled[receipt.account] += receipt.tokens.settled
        self.outcomes[f"{receipt.account} {receipt.outcome}"] += 1
        self.unanswered += "store_failed" in receipt.reasons

    async def write(self, folder: Path, service: Service) -> None:
        """Leave it all in a file; where this worker alone knows its store, what that says too."""
        found: dict[str, object] = {
            "made": self.made,
            "settled": self.settled,
            "outcomes": self.outcomes,
            "unanswered": self.unanswered,
            "cpu_s": 0.0 if self.begun_s is None else time.process_time() - self.begun_s,
        }
        if isinstance(service.store, MemoryStore):
            found["open"] = service.store.open_leases
            found["spent"] = await spent(service.store, dict(service.in_force.policy.limits))
        (folder / f"seen-{os.getpid()}.json").write_text(json.dumps(found), encoding="utf-8")


class ModelBroke(Exception):
    """What the app of `broken` raises in mid-stream; it is in no log, for one in twenty would fill it."""


class Model:
    """Streams chunks that each say what was used so far, and ends as the name of the model tells."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self.seen.begun_s is None:
            self.seen.begun_s = time.process_time()
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        kind, chunks, ends_at = orjson.loads(body)["model"].split("-")[1:]
        account = dict(scope["headers"])[b"x-account"].decode()
        if kind == "failed":
            await send({**_START, "status": 500, "headers": _JSON})
            await send({"type": "http.response.body", "body": b'{"error":{"message":"out of luck"}}'})
        elif kind == "whole":
            await self._whole(account, int(chunks), send)
        else:
            await self._stream(account, int(chunks), int(ends_at) if kind == "broken" else -1, receive, send)

    async def _whole(self, account: str, chunks: int, send: Send) -> None:
        self.seen.made[account] += PROMPT_TOKENS + chunks * CHUNK_TOKENS
        message = {"role": "assistant", "content": CHUNK_TEXT * chunks}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "c", "object": "chat.completion", "choices": [choice], "usage": _usage(chunks)}
        await send({**_START, "status": 200, "headers": _JSON})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    async def _stream(self, account: str, chunks: int, breaks_at: int, receive: Receive, send: Send) -> None:
        """Chunk after chunk, as long as the client is there."""
        await send({**_START, "status": 200, "headers": _SSE})
        self.seen.made[account] += PROMPT_TOKENS
        leaving = asyncio.ensure_future(receive())
        try:
            for number in range(chunks):
                if number == breaks_at:
                    raise ModelBroke
                self.seen.made[account] += CHUNK_TOKENS
                await send(_piece(_chunk(CHUNK_TEXT, None, number + 1)))
                await asyncio.sleep(_PAUSE_S)
                if leaving.done():
                    return
            await send(_piece(_chunk("", "stop", chunks)))
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
        finally:
            leaving.cancel()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        assert app.service is not None
        await self.seen.write(Path(os.environ["LOAD_FOLDER"]), app.service)
        await send({"type": "lifespan.shutdown.complete"})


def _usage(chunks: int) -> dict[str, int]:
    completion = chunks * CHUNK_TOKENS
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion,
        "total_tokens": PROMPT_TOKENS + completion,
    }


@functools.cache
def _chunk(text: str, finish: str | None, chunks: int) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": _usage(chunks)}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _piece(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _account(scope: Scope) -> Account:
    return Account(dict(scope["headers"])[b"x-account"].decode())


def _is_of_interest(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ModelBroke))


logging.getLogger("uvicorn.error").addFilter(_is_of_interest)
_seen = Seen()
app = HardeningMiddleware(
    Model(_seen),
    policy=Path(os.environ.get("LOAD_FOLDER", "."), "policy.yaml"),
    identify=_account,
    on_receipt=_seen.take,
)
