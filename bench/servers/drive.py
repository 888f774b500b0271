"""Sends asks to a server and keeps each answer, with what went before it, as a transcript."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.servers.asks import Ask

_AT_ONCE = 8
_PATIENCE_S = 120.0
_unsafe = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    took_s: float

    @property
    def seen(self) -> bytes:
        """Everything that a client can read."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers).encode() + b"\n\n" + self.body


def send(base: str, asks: Iterable[Ask], transcripts: Path, **headers: str) -> dict[str, Answer]:
    """The answer to each ask by its name; at most eight are open at a time."""
    transcripts.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_send(base, list(asks), transcripts, headers))


async def _send(base: str, asks: list[Ask], transcripts: Path, headers: dict[str, str]) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    seats = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(timeout=_PATIENCE_S, headers=headers) as client:

        async def one(ask: Ask) -> None:
            async with seats:
                answers[ask.name] = answer = await _ask(client, base, ask)
            _keep(transcripts, ask, answer)

        await asyncio.gather(*(one(ask) for ask in asks if not ask.after))
        await asyncio.gather(*(one(_placed(ask, answers)) for ask in asks if ask.after))
    return answers


def _placed(ask: Ask, answers: dict[str, Answer]) -> Ask:
    """An ask for what another answer is kept as."""
    try:
        id = json.loads(answers[ask.after].body)["id"]
    except (ValueError, KeyError, TypeError):
        id = "none"
    return replace(ask, path=ask.path.replace("{id}", str(id)))


async def _ask(client: httpx.AsyncClient, base: str, ask: Ask) -> Answer:
    body = None if ask.body is None else json.dumps(ask.body).encode()
    headers = {"content-type": "application/json", **ask.headers}
    path, _, query = ask.path.partition("?")
    url = httpx.URL(base).copy_with(raw_path=(path + ("?" + query if query else "")).encode())
    began = time.monotonic()
    try:
        answer = await client.request(ask.method, url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        return Answer(0, (), type(fault).__name__.encode(), time.monotonic() - began)
    shown = tuple(answer.headers.multi_items())
    return Answer(answer.status_code, shown, answer.content, time.monotonic() - began)


def _keep(folder: Path, ask: Ask, answer: Answer) -> None:
    name = _unsafe.sub("-", ask.name).strip("-")[:150]
    asked = "" if ask.body is None else json.dumps(ask.body, indent=1)
    head = f"{ask.method} {urlsplit(ask.path).path}\n{asked}\n\n{answer.status} after {answer.took_s:.2f} s\n"
    (folder / f"{name}.txt").write_bytes(head.encode() + answer.seen)
