"""What a chunk and a request cost in process: interleaved rounds on one core, ratios inside each round."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import perf_counter

import orjson
from starlette.types import ASGIApp

from bench import streams
from bench.apps import NO_DOOR, EmptyAsgi, EmptyBaseHttp, Playback, Player, Routed, started
from bench.report import Row, Spread
from hardening import HardeningMiddleware

POLICY = "baseline"
SEED = 7
ROUNDS, QUICK_ROUNDS = 61, 15
_REQUESTS = 40  # of one way in one round, where a single one is too short for the clock
_SIZES = {2_000: "2 kB", 200_000: "200 kB", 10_000_000: "10 MB"}

Progress = Callable[[str], None]
Samples = Mapping[str, Sequence[float]]
Ways = Mapping[str, Callable[[int], Awaitable[float]]]


@dataclass(frozen=True, slots=True)
class Rig:
    """The same two apps bare and wrapped; hardened ones have started."""

    plain: Playback
    routed: Routed
    hardened: ASGIApp
    hardened_routed: ASGIApp


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """Every row of the in-process part; one core is used where the system lets a process choose."""
    pin()
    return asyncio.run(_measure(progress, QUICK_ROUNDS if quick else ROUNDS))


def pin() -> None:
    """Keep this process on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


async def _measure(progress: Progress, rounds: int) -> list[Row]:
    plain, routed = Playback(), Routed()
    rig = Rig(
        plain,
        routed,
        HardeningMiddleware(plain, policy=POLICY),
        HardeningMiddleware(routed, policy=POLICY),
    )
    async with AsyncExitStack() as stack:
        for app in (rig.hardened, rig.hardened_routed):
            await stack.enter_async_context(started(app))
        gc.collect()
        gc.freeze()
        rows: list[Row] = []
        for name, part in _PARTS.items():
            progress(name)
            rows += await part(rig, rounds)
        return rows


async def interleave(ways: Ways, rounds: int) -> Samples:
    """Seconds of each way in each round; every other round goes through the ways backwards."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(-2, rounds):  # two rounds warm caches up and are not kept
        for name in names:
            seconds = await ways[name](number)
            if number >= 0:
                samples[name].append(seconds)
        names.reverse()
    return samples


def added(samples: Samples, way: str, *, over: str) -> list[float]:
    """What `way` costs more than `over`, round by round."""
    return [one - base for one, base in zip(samples[way], samples[over], strict=True)]


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Spread:
    """The spread of the quotients, round by round."""
    return Spread.of([part / whole for part, whole in zip(parts, wholes, strict=True)])


def us(seconds: Sequence[float]) -> Spread:
    """The spread in microseconds."""
    return Spread.of([one * 1e6 for one in seconds])


def parse_s(texts: Sequence[bytes]) -> float:
    """Seconds to parse and write each JSON text once with orjson."""
    began = perf_counter()
    for text in texts:
        orjson.dumps(orjson.loads(text))
    return perf_counter() - began


# -- chunks


async def _ways_to_send(rig: Rig, rounds: int) -> list[Row]:
    """What stands between an app and its server, per chunk, nothing subtracted."""
    base = rig.routed
    apps: dict[str, tuple[ASGIApp, Playback | Routed]] = {
        "raw app": (rig.plain, rig.plain),
        "Starlette": (base, base),
        "Starlette + empty pure ASGI": (EmptyAsgi(base), base),
        "Starlette + empty BaseHTTPMiddleware": (EmptyBaseHttp(base), base),
        "Starlette + hardening": (rig.hardened_routed, base),
    }
    ways: dict[str, Callable[[int], Awaitable[float]]] = {"one orjson parse + serialise": _parsing("content")}
    for name, (app, source) in apps.items():
        ways[name] = _streaming("content", app, source)
    samples = await interleave(ways, rounds)
    return [Row("content chunk, all of its way", name, us(seconds)) for name, seconds in samples.items()]


def _parsing(stream: str) -> Callable[[int], Awaitable[float]]:
    async def parse(number: int) -> float:
        texts = streams.texts(streams.STREAMS[stream](SEED + number))
        return parse_s(texts) / len(texts)

    return parse


def _streaming(stream: str, app: ASGIApp, source: Playback | Routed) -> Callable[[int], Awaitable[float]]:
    async def play(number: int) -> float:
        source.chunks = streams.STREAMS[stream](SEED + number)
        await Player(f"sk-bench-{number}", streams.request(2_000)).play(app)
        return source.chunks_s / len(source.chunks)

    return play


_CHUNKS = {
    "content": ("content", "content_vs_parse"),
    "content_ids": ("content, ids and padding change", "content_ids_vs_parse"),
    "content_new_shape": ("content, no shape met before", "content_new_shape_vs_parse"),
    "logprobs": ("20 top_logprobs cut to 5, stepped", "logprobs_vs_parse"),
    "reasoning": ("reasoning, summarised at its end", "reasoning_vs_parse"),
}


async def _chunks(rig: Rig, rounds: int) -> list[Row]:
    """What is added to a chunk over an empty wrapper around the same app, beside one parse."""
    rows = []
    for stream, (what, claim) in _CHUNKS.items():
        ways = {
            "parse": _parsing(stream),
            "empty": _streaming(stream, EmptyAsgi(rig.plain), rig.plain),
            "hardened": _streaming(stream, rig.hardened, rig.plain),
            "base_http": _streaming(stream, EmptyBaseHttp(rig.plain), rig.plain),
        }
        samples = await interleave(ways, rounds)
        cost = added(samples, "hardened", over="empty")
        section = "added to a chunk over an empty pure ASGI wrapper"
        rows.append(Row(section, what, us(cost), "us", ratio(cost, samples["parse"]), "parse", claim))
        if stream == "logprobs":
            base_http = added(samples, "base_http", over="empty")
            against = ratio(cost, base_http)
            words = "the same beside BaseHTTPMiddleware"
            rows.append(Row(section, words, None, "us", against, "BaseHTTP", "logprobs_vs_basehttp"))
    return rows


async def _whole(rig: Rig, rounds: int) -> list[Row]:
    """A whole answer as one JSON text, its trace summarised."""
    body = streams.whole(SEED)

    def playing(app: ASGIApp) -> Callable[[int], Awaitable[float]]:
        async def play(number: int) -> float:
            rig.plain.chunks = [body]
            player = Player(f"sk-bench-{number % 4}", streams.request(2_000, stream=False))
            return await player.play(app)

        return play

    async def parse(number: int) -> float:
        return parse_s([body])

    samples = await interleave(
        {"parse": parse, "empty": playing(EmptyAsgi(rig.plain)), "hardened": playing(rig.hardened)}, rounds
    )
    cost = added(samples, "hardened", over="empty")
    words = f"whole JSON answer, {len(body) / 1000:.1f} kB, request and all"
    return [Row("added to a request", words, us(cost), "us", ratio(cost, samples["parse"]), "parse")]


# -- requests


async def _no_door(rig: Rig, rounds: int) -> list[Row]:
    """A path that is no door, behind Starlette."""

    def playing(app: ASGIApp) -> Callable[[int], Awaitable[float]]:
        async def play(number: int) -> float:
            player = Player("sk-bench", path=NO_DOOR)
            return sum([await player.play(app) for _ in range(_REQUESTS)]) / _REQUESTS

        return play

    apps = {"empty": EmptyAsgi(rig.routed), "hardened": rig.hardened_routed}
    samples = await interleave({name: playing(app) for name, app in apps.items()}, rounds)
    times = ratio(samples["hardened"], samples["empty"])
    words = "GET of a path that is no door, Starlette behind"
    return [
        Row("a request", words, us(samples["hardened"]), "us", times, "empty ASGI", "no_door_vs_empty_asgi")
    ]


_BEFORE = {2_000: "before_app_us", 200_000: "before_app_200kb_us"}


async def _before(rig: Rig, rounds: int) -> list[Row]:
    """What a proven caller's request costs until the app is called, and until all is settled."""
    rows = []
    for size, words in _SIZES.items():
        requests = _REQUESTS if size < 10_000 else 4 if size < 1_000_000 else 1
        body = streams.request(size)
        rig.plain.chunks = [b'{"ok":true}']
        bare = _RequestTimes(rig, EmptyAsgi(rig.plain), body, requests)
        ours = _RequestTimes(rig, rig.hardened, body, requests)
        samples = await interleave(
            {"empty": bare.before, "hardened": ours.before}, rounds if requests > 1 else 9
        )
        section, claim = "added to a request", _BEFORE.get(size, "")
        cost = us(added(samples, "hardened", over="empty"))
        rows.append(Row(section, f"before the app is called, {words} body", cost, claim=claim))
        if size == 2_000:
            whole = us([a - b for a, b in zip(ours.totals, bare.totals, strict=True)])
            rows.append(Row(section, f"request and receipt, {words} body, no answer", whole))
    return rows


class _RequestTimes:
    """Plays requests of one size; `totals` are whole requests, round by round."""

    def __init__(self, rig: Rig, app: ASGIApp, body: bytes, requests: int) -> None:
        self._plain = rig.plain
        self._app = app
        self._body = body
        self._requests = requests
        self.totals: list[float] = []

    async def before(self, number: int) -> float:
        """Seconds from the request to the call of the app, of a caller whom the app has accepted."""
        # A new caller each round, so that no round comes near a limit.
        player = Player(f"sk-bench-{len(self._body)}-{number}", self._body)
        await player.play(self._app)
        before = total = 0.0
        for _ in range(self._requests):
            total += await player.play(self._app)
            before += self._plain.called_at - player.began
        self.totals.append(total / self._requests)
        return before / self._requests


_PARTS: dict[str, Callable[[Rig, int], Awaitable[list[Row]]]] = {
    "ways to send a chunk": _ways_to_send,
    "chunks": _chunks,
    "a path that is no door": _no_door,
    "before the app": _before,
    "whole answers": _whole,
}
