"""For authors of apps: mount a policy in a test, move time by hand, look for a hidden trace in bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from hardening.asgi.admission import Deferred
from hardening.asgi.judge import AppSignal
from hardening.asgi.middleware import HardeningMiddleware
from hardening.asgi.service import Identify
from hardening.clock import Clock, SystemClock
from hardening.facts import Receipt
from hardening.policy import Policy, find_preset
from hardening.policy.load import Source, load_text
from hardening.state import StateStore

PIECE = 20
"""The shortest piece of a trace, in characters, that counts as a leak."""

_SEPARATOR = re.compile(r"\r\n|\n|\r")
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


_ENVIRONMENT: Mapping[str, str] = {"HARDENING_KEY": "a key for tests, and for nothing else"}


class ManualClock:
    """Time that stands still until `advance` is called."""

    def __init__(self, monotonic: float = 1_000.0, wall: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let both readings go on by `seconds`."""
        self._monotonic += seconds
        self._wall += seconds


class Hardened(HardeningMiddleware):
    """The middleware in a test: by itself, without threads; the plain twins of the kernels serve.

    Nothing is scored before a lifespan has begun.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: str | Path | Policy,
        *,
        identify: Identify | Deferred | None,
        state: StateStore | None,
        signals: Sequence[AppSignal] = (),
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        self.receipts: list[Receipt] = []
        """What was done, request by request."""
        super().__init__(app, policy, identify, state, signals, on_receipt=self.receipts.append)
        self.options = replace(
            self.options, clock=clock, environment=environment, argv=(), registry=CollectorRegistry()
        )

    def _warm_beside(self) -> None:
        """Nothing: a test that wants compiled kernels calls `kernels.warm` itself."""

    def _watch_beside(self) -> None:
        """Nothing: a test changes a policy by its `reload`, when it wants to."""


def harden(
    app: ASGIApp,
    policy: str | Path | Policy = "baseline",
    *,
    identify: Identify | Deferred | None = None,
    state: StateStore | None = None,
    signals: Sequence[AppSignal] = (),
    clock: Clock | None = None,
    environment: Mapping[str, str] = _ENVIRONMENT,
) -> Hardened:
    """`app` behind a policy: a path, a preset, a `Policy`, or the text of a policy file.

    Metrics, environment and time are the test's own, and there is a key, so accounts keep their ids.
    `identify`, `state` and `signals` are those of `HardeningMiddleware`; what was done is in `receipts`.

    Raises:
        PolicyError: the text is no policy.
    """
    if isinstance(policy, str) and "\n" in policy:
        source = Source("policy.yaml", "policy.yaml", policy.encode())
        policy = load_text(source, environment=environment, parents=_preset)
    return Hardened(
        app,
        policy,
        identify=identify,
        state=state,
        signals=signals,
        clock=clock or SystemClock(),
        environment=environment,
    )


def _preset(name: str, child: Source) -> Source:
    path = find_preset(name)
    return Source(str(path), str(path), path.read_bytes())


@dataclass(frozen=True, slots=True)
class Leak:
    """A piece of the trace, and the field whose values, joined in order, hold it."""

    where: str
    text: str


def find_leaks(body: bytes | Iterable[bytes], trace: str) -> list[Leak]:
    """Every longest piece of at least 20 characters of `trace` that a client can read out of `body`.

    Looks at the text as it stands, with JSON escapes resolved, and at each JSON field joined over all
    documents of a stream (so at deltas), lists of byte values included. Numbers in a path are left
    out but for an object's own `index`. A trace under 20 characters has no piece.
    """
    grams = {trace[i : i + PIECE] for i in range(len(trace) - PIECE + 1)}
    if not grams:
        return []
    raw = body if isinstance(body, bytes) else b"".join(body)
    leaks = [Leak(where, piece) for where, text in _views(raw) for piece in _pieces(text, grams)]
    return list(dict.fromkeys(leaks))


def _pieces(text: str, grams: set[str]) -> Iterator[str]:
    start = None
    for at in range(len(text) - PIECE + 2):
        if text[at : at + PIECE] in grams:
            start = at if start is None else start
        elif start is not None:
            yield text[start : at + PIECE - 1]
            start = None


def _views(raw: bytes) -> Iterator[tuple[str, str]]:
    text = raw.decode("utf-8", "replace")
    yield "text", text
    if "\\" in text:
        yield "unescaped text", _unescaped(text)
    fields: dict[str, list[str]] = {}
    for document in _documents(text):
        _collect(document, "", fields)
    for path, parts in fields.items():
        joined = "".join(parts)
        yield path, joined
        if "\\" in joined:
            yield f"unescaped {path}", _unescaped(joined)


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _SHORT.get(code, code)

    return _ESCAPE.sub(plain, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Object(list[tuple[str, object]]):
    """A JSON object with every pair, so that a repeated key hides nothing."""


def _documents(text: str) -> Iterator[object]:
    try:
        yield json.loads(text, object_pairs_hook=_Object)
    except ValueError:
        for block in _SEPARATOR.sub("\n", text).split("\n\n"):
            yield from _of_block(block)


def _of_block(block: str) -> Iterator[object]:
    """The JSON of one SSE event, its `data:` lines joined, or of each line of NDJSON."""
    lines = block.split("\n")
    data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
    for piece in ["\n".join(data)] if data else lines:
        try:
            yield json.loads(piece, object_pairs_hook=_Object)
        except ValueError:
            continue


def _collect(value: object, path: str, fields: dict[str, list[str]]) -> None:
    if isinstance(value, str):
        fields.setdefault(path, []).append(value)
    elif isinstance(value, _Object):
        own = next((item for key, item in value if key == "index" and isinstance(item, int)), None)
        here = path if own is None else f"{path}[{own}]"
        for key, item in value:
            _collect(item, f"{here}.{key}" if here else key, fields)
    elif isinstance(value, list):
        if value and all(type(item) is int and 0 <= item < 256 for item in value):
            fields.setdefault(f"{path}[]", []).append(bytes(value).decode("utf-8", "replace"))
        for item in value:
            _collect(item, path, fields)
