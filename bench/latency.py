"""What a chunk and a request cost in process: interleaved rounds on one core, ratios inside each round."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from time import perf_counter

import orjson
from starlette.types import ASGIApp

from bench import streams
from bench.apps import NO_DOOR, SSE, EmptyAsgi, EmptyBaseHttp, Playback, Player, Routed, one_core, started
from bench.formats import FORMATS, Format
from bench.report import Row, Spread
from bench.state.sqlite import opened
from hardening import HardeningMiddleware, Policy
from hardening.policy.written import BandKeys, PolicyKeys

POLICY = "baseline"
SEED = 7
ROUNDS, QUICK_ROUNDS = 61, 15
_TREATED: PolicyKeys = {
    "limits": {
        "requests": {"requests": "3k", "per": "1m", "burst": "6k"},
        "tokens": {"tokens": "20M", "per": "1m", "burst": "40M"},
    },
    "defaults": {
        "limits": ["requests", "tokens"],
        "reasoning": {"show": "summary", "seal": True},
        "logprobs": {"top": 5, "step": 0.25},
    },
}
_REQUESTS = 40  # of one way in one round, where a single one is too short for the clock

Progress = Callable[[str], None]
Figures = tuple[float, float]
"""Two looks at the same seconds: of a stream its median chunk and its mean, of a request before the app and all."""
Way = Callable[[int], Awaitable[Figures]]
Samples = Mapping[str, Sequence[Figures]]


@dataclass(frozen=True, slots=True)
class Rig:
    """The same two apps bare and wrapped; hardened ones have started."""

    plain: Playback
    routed: Routed
    hardened: ASGIApp
    hardened_routed: ASGIApp


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """Every row of the in-process part; one core is used where the system lets a process choose."""
    with one_core():
        return asyncio.run(_measure(progress, QUICK_ROUNDS if quick else ROUNDS))


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


async def interleave(ways: Mapping[str, Way], rounds: int) -> Samples:
    """The figures of each way in each round; every other round goes through the ways backwards."""
    samples: dict[str, list[Figures]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(-2, rounds):  # two rounds warm caches up and are not kept
        for name in names:
            figures = await ways[name](number)
            if number >= 0:
                samples[name].append(figures)
        names.reverse()
    return samples


def column(samples: Samples, way: str, which: int = 0) -> list[float]:
    """One of the two figures of a way, round by round."""
    return [figures[which] for figures in samples[way]]


def added(samples: Samples, way: str, *, over: str, which: int = 0) -> list[float]:
    """What `way` costs more than `over`, round by round."""
    pairs = zip(column(samples, way, which), column(samples, over, which), strict=True)
    return [one - base for one, base in pairs]


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
    ways: dict[str, Way] = {"one orjson parse + serialise": parsing("content")}
    for name, (app, source) in apps.items():
        ways[name] = streaming("content", app, source)
    samples = await interleave(ways, rounds)
    return [Row("content chunk, all of its way", name, us(column(samples, name, 1))) for name in samples]


def parsing(stream: str) -> Way:
    """Reads and writes each chunk of a stream once."""

    async def parse(number: int) -> Figures:
        texts = streams.texts(streams.STREAMS[stream](SEED + number))
        mean = parse_s(texts) / len(texts)
        return mean, mean

    return parse


def streaming(stream: str, app: ASGIApp, source: Playback | Routed) -> Way:
    """Plays a stream of `source` through `app`."""

    async def play(number: int) -> Figures:
        source.chunks = streams.STREAMS[stream](SEED + number)
        await Player(f"sk-bench-{number}", streams.request(2_000)).play(app)
        return _figures(source.sent_at)

    return play


def _figures(sent_at: Sequence[float]) -> Figures:
    """The median chunk and the mean one."""
    each = [end - begin for begin, end in pairwise(sent_at)]
    return median(each), (sent_at[-1] - sent_at[0]) / len(each)


_CHUNKS = {
    "content": ("content", "content_vs_parse"),
    "content_ids": ("content, ids and padding change", "content_ids_vs_parse"),
    "content_new_shape": ("content, no shape met before", "content_new_shape_vs_parse"),
    "logprobs": ("20 top_logprobs cut to 5, stepped", "logprobs_vs_parse"),
    "reasoning": ("reasoning, summary included", "reasoning_vs_parse"),
}
# A trace costs most where its sentences end, so its claim is about the mean.
_OF_THE_MEAN = frozenset({"reasoning"})
_ADDED = "added to a chunk over an empty pure ASGI wrapper"


async def _chunks(rig: Rig, rounds: int) -> list[Row]:
    """What is added to a chunk over an empty wrapper around the same app, beside one parse."""
    rows = []
    for stream, (what, claim) in _CHUNKS.items():
        ways = {
            "parse": parsing(stream),
            "empty": streaming(stream, EmptyAsgi(rig.plain), rig.plain),
            "hardened": streaming(stream, rig.hardened, rig.plain),
            "base_http": streaming(stream, EmptyBaseHttp(rig.plain), rig.plain),
        }
        samples = await interleave(ways, rounds)
        for which, words in enumerate(("median chunk", "mean, first and odd ones included")):
            cost = added(samples, "hardened", over="empty", which=which)
            claimed = which == (stream in _OF_THE_MEAN)
            beside = ratio(cost, column(samples, "parse"))
            name = claim if claimed else ""
            rows.append(Row(_ADDED, f"{what}: {words}", us(cost), "us", beside, "parse", name))
        if stream == "logprobs":
            cost, base_http = (added(samples, way, over="empty") for way in ("hardened", "base_http"))
            words = "the median chunk, to an empty BaseHTTPMiddleware"
            rows.append(
                Row(_ADDED, words, None, "us", ratio(cost, base_http), "BaseHTTP", "logprobs_vs_basehttp")
            )
    return rows


async def _formats(rig: Rig, rounds: int) -> list[Row]:
    """What is added to a chunk in each other streaming format, beside one parse of the same chunks."""
    rows = []
    for name, format in FORMATS.items():
        for trace in (False, True):
            ways = {
                "parse": _parsing_events(format, trace=trace),
                "empty": _playing_format(format, EmptyAsgi(rig.plain), rig.plain, trace=trace),
                "hardened": _playing_format(format, rig.hardened, rig.plain, trace=trace),
            }
            samples = await interleave(ways, rounds)
            which = int(trace)
            cost = added(samples, "hardened", over="empty", which=which)
            kind, words = ("reasoning", "mean") if trace else ("content", "median chunk")
            beside = ratio(cost, column(samples, "parse"))
            rows.append(
                Row(
                    _ADDED,
                    f"{name}, {kind}: {words}",
                    us(cost),
                    "us",
                    beside,
                    "parse",
                    f"{kind}_{name}_vs_parse",
                )
            )
    rig.plain.kind = SSE
    return rows


def _parsing_events(format: Format, *, trace: bool) -> Way:
    async def parse(number: int) -> Figures:
        texts = format.events(SEED + number, trace=trace)
        mean = parse_s(texts) / len(texts)
        return mean, mean

    return parse


def _playing_format(format: Format, app: ASGIApp, source: Playback, *, trace: bool) -> Way:
    asked = orjson.dumps(format.request)

    async def play(number: int) -> Figures:
        source.kind = format.kind
        source.chunks = format.chunks(format.events(SEED + number, trace=trace))
        await Player(f"sk-bench-{number}", asked, path=format.path).play(app)
        return _figures(source.sent_at)

    return play


async def _whole(rig: Rig, rounds: int) -> list[Row]:
    """A whole answer as one JSON text, its trace summarised."""
    body = streams.whole(SEED)

    def playing(app: ASGIApp) -> Way:
        async def play(number: int) -> Figures:
            rig.plain.chunks = [body]
            seconds = await Player(f"sk-bench-{number % 4}", streams.request(2_000, stream=False)).play(app)
            return seconds, seconds

        return play

    async def parse(number: int) -> Figures:
        return parse_s([body]), 0.0

    samples = await interleave(
        {"parse": parse, "empty": playing(EmptyAsgi(rig.plain)), "hardened": playing(rig.hardened)}, rounds
    )
    cost = added(samples, "hardened", over="empty")
    words = f"whole JSON answer, {len(body) / 1000:.1f} kB, request and all"
    return [Row("added to a request", words, us(cost), "us", ratio(cost, column(samples, "parse")), "parse")]


# -- requests


async def _no_door(rig: Rig, rounds: int) -> list[Row]:
    """A path that is no door, behind Starlette."""

    def playing(app: ASGIApp) -> Way:
        async def play(number: int) -> Figures:
            player = Player("sk-bench", path=NO_DOOR)
            seconds = sum([await player.play(app) for _ in range(_REQUESTS)]) / _REQUESTS
            return seconds, seconds

        return play

    apps = {"empty": EmptyAsgi(rig.routed), "hardened": rig.hardened_routed}
    samples = await interleave({name: playing(app) for name, app in apps.items()}, rounds)
    ours = column(samples, "hardened")
    words = "GET of a path that is no door, Starlette behind"
    times = ratio(ours, column(samples, "empty"))
    return [Row("a request", words, us(ours), "us", times, "empty ASGI", "no_door_vs_empty_asgi")]


@dataclass(frozen=True, slots=True)
class _Size:
    """Requests of one size: how many in a round, and the claim about them."""

    size: int
    words: str
    requests: int
    claim: str = ""
    body: Callable[..., bytes] = streams.request


_SIZES = (
    _Size(2_000, "2 kB", _REQUESTS, "before_app_us"),
    _Size(200_000, "200 kB", 4, "before_app_200kb_us"),
    _Size(200_000, "200 kB conversation", 4, body=streams.conversation),
    _Size(10_000_000, "10 MB", 1),
)


async def _before(rig: Rig, rounds: int) -> list[Row]:
    """What a proven caller's request costs until the app is called, and until all is settled."""
    rows = []
    for size in _SIZES:
        bodies = _questions(size.size, size.requests, size.body)
        apps = {"empty": EmptyAsgi(rig.plain), "hardened": rig.hardened}
        ways = {name: _asking(rig, app, bodies) for name, app in apps.items()}
        samples = await interleave(ways, rounds if size.requests > 1 else 9)
        for which, words in enumerate(("before the app is called", "request and receipt, tiny answer")):
            cost = us(added(samples, "hardened", over="empty", which=which))
            name = "" if which else size.claim
            rows.append(Row("added to a request", f"{words}, {size.words} body", cost, claim=name))
    return rows


async def _before_with_file(rig: Rig, rounds: int) -> list[Row]:
    """The same for a small body, with limits and standing in a file that other processes share."""
    bodies = _questions(2_000, _REQUESTS)
    with opened() as (file, _):
        on_file = HardeningMiddleware(rig.plain, policy=POLICY, state=file)
        async with started(on_file):
            apps = {"empty": EmptyAsgi(rig.plain), "hardened": on_file}
            ways = {name: _asking(rig, app, bodies) for name, app in apps.items()}
            samples = await interleave(ways, rounds)
    cost = us(added(samples, "hardened", over="empty"))
    words = "before the app is called, 2 kB body, state in a file"
    return [Row("added to a request", words, cost, claim="before_app_sqlite_us")]


async def _judged(rig: Rig, rounds: int) -> list[Row]:
    """What it adds that requests are judged: the same policy with a band, and without."""
    bodies = _questions(2_000, _REQUESTS)
    watch: BandKeys = {"enter": 0.5, "leave": 0.4, "charge": "4x"}
    known: dict[str, dict[str, BandKeys]] = {"unjudged": {}, "judged": {"watch": watch}}
    apps = {
        name: HardeningMiddleware(rig.plain, policy=Policy(name=name, **_TREATED, risk={"bands": bands}))
        for name, bands in known.items()
    }
    async with AsyncExitStack() as stack:
        for app in apps.values():
            await stack.enter_async_context(started(app))
        ways = {name: _asking(rig, app, bodies, each=median) for name, app in apps.items()}
        samples = await interleave(ways, rounds)
    cost = us(added(samples, "judged", over="unjudged"))
    words = "of it because requests are judged, 2 kB body, median request"
    return [Row("added to a request", words, cost, claim="judged_us")]


def _questions(size: int, count: int, body: Callable[..., bytes] = streams.request) -> list[bytes]:
    """Bodies that ask something else each: a message that was scored just now is not scored again."""
    return [body(size, number=number) for number in range(count + 1)]


def _asking(
    rig: Rig, app: ASGIApp, bodies: Sequence[bytes], *, each: Callable[[Sequence[float]], float] = fmean
) -> Way:
    async def ask(number: int) -> Figures:
        """Seconds until the app is called and all in all, for a caller whom the app has accepted."""
        rig.plain.chunks = [b'{"ok":true}']
        # A new caller each round, so that no round comes near a limit.
        first, *players = [Player(f"sk-bench-{len(bodies[0])}-{number}", body) for body in bodies]
        await first.play(app)
        before, total = [], []
        for player in players:
            total.append(await player.play(app))
            before.append(rig.plain.called_at - player.began)
        return each(before), each(total)

    return ask


_PARTS: dict[str, Callable[[Rig, int], Awaitable[list[Row]]]] = {
    "ways to send a chunk": _ways_to_send,
    "chunks": _chunks,
    "formats": _formats,
    "a path that is no door": _no_door,
    "before the app": _before,
    "before the app, state in a file": _before_with_file,
    "before the app, judged or not": _judged,
    "whole answers": _whole,
}
