"""What an embedding costs in process, beside reading and writing it once: its own share, and the whole request."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import Callable
from time import perf_counter

import numpy as np
import orjson
from starlette.types import ASGIApp

from bench import streams
from bench.apps import EMBEDDINGS, EmptyAsgi, Playback, Player, one_core, started
from bench.latency import (
    POLICY,
    QUICK_ROUNDS,
    ROUNDS,
    SEED,
    Figures,
    Progress,
    Way,
    added,
    column,
    interleave,
    ratio,
    us,
)
from bench.report import Row
from hardening import HardeningMiddleware
from hardening.testing import harden

_SECTION = "added to an embedding of 1,536 values"
_NOISED = """\
version: 1
extends: baseline
defaults: {embeddings: {noise: 0.5}}
"""
_REQUESTS = 8  # of one way in one round
_TINY = b'{"ok":true}'


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """The rows about embeddings, as numbers in JSON and packed."""
    progress("embeddings")
    with one_core():
        return asyncio.run(_measure(QUICK_ROUNDS if quick else ROUNDS))


async def _measure(rounds: int) -> list[Row]:
    plain = Playback()
    hardened = HardeningMiddleware(plain, policy=POLICY)
    noised = harden(plain, _NOISED)
    async with started(hardened), started(noised):
        assert noised.service is not None
        noised.service.warm()
        gc.collect()
        gc.freeze()
        rows = await _of(plain, hardened, rounds, packed=False)
        rows += await _of(plain, hardened, rounds, packed=True)
        rows += await _of(plain, noised, rounds, packed=False, with_noise=True)
        return rows + await _of(plain, noised, rounds, packed=True, with_noise=True)


async def _of(
    plain: Playback, hardened: ASGIApp, rounds: int, *, packed: bool, with_noise: bool = False
) -> list[Row]:
    """A request has its own budget, so the claim is about what a vector costs beyond a tiny answer."""

    def body(number: int) -> bytes:
        return streams.embedding(SEED + number, packed=packed)

    def tiny(number: int) -> bytes:
        return _TINY

    async def parse(number: int) -> Figures:
        text = body(number)
        began = perf_counter()
        for _ in range(_REQUESTS):
            read_and_write(text)
        return (perf_counter() - began) / _REQUESTS, 0.0

    empty = EmptyAsgi(plain)
    ways: dict[str, Way] = {
        "parse": parse,
        "empty": _asking(plain, empty, body),
        "empty, tiny": _asking(plain, empty, tiny),
        "hardened": _asking(plain, hardened, body),
        "hardened, tiny": _asking(plain, hardened, tiny),
    }
    samples = await interleave(ways, rounds)
    whole = added(samples, "hardened", over="empty")
    request = added(samples, "hardened, tiny", over="empty, tiny")
    own = [one - other for one, other in zip(whole, request, strict=True)]
    words, claim = ("packed", "base64") if packed else ("numbers in JSON", "json")
    if with_noise:
        words, claim = f"{words}, noised", f"noised_{claim}"
    to = "parse"
    beside, all_in = (ratio(seconds, column(samples, "parse")) for seconds in (own, whole))
    return [
        Row(_SECTION, f"{words}: beyond a tiny answer", us(own), "us", beside, to, f"embeddings_{claim}_vs_parse"),
        Row(_SECTION, f"{words}: request and receipt and all", us(whole), "us", all_in, to),
    ]  # fmt: skip


def read_and_write(text: bytes) -> bytes:
    """An answer read to numbers, as clients read it, and written as it was."""
    answer = orjson.loads(text)
    for one in answer["data"]:
        if isinstance(one["embedding"], str):
            values = np.frombuffer(base64.b64decode(one["embedding"]), "<f4").tolist()
            one["embedding"] = base64.b64encode(np.array(values, "<f4").tobytes()).decode()
    return orjson.dumps(answer)


def _asking(plain: Playback, app: ASGIApp, body: Callable[[int], bytes]) -> Way:
    async def ask(number: int) -> Figures:
        plain.chunks = [body(number)]
        # A new caller each round, so that no round comes near a limit.
        player = Player(f"sk-bench-{number}", streams.embedding_request(), path=EMBEDDINGS)
        await player.play(app)
        seconds = sum([await player.play(app) for _ in range(_REQUESTS)]) / _REQUESTS
        return seconds, seconds

    return ask
