"""Recordings through the real Exchange, under the real decision of a policy, in pieces of any size."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.corpus.dialects import DIALECTS
from bench.corpus.recordings import Recording
from hardening.asgi.tools import Toolbox
from hardening.errors import WireError
from hardening.exchange import Exchange, Settlement
from hardening.facts import Account, Decision, RequestFacts, Standing
from hardening.policy import decide, load_policy
from hardening.transform.reasoning import Summarising
from hardening.transform.seal import Sealer
from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors

POLICIES = ("baseline", "strict", "observe")
SPLITS = ("whole", "byte", "boundary", "random", "event")
DEFAULT_SPLITS = ("whole", "byte", "random", "event")

_ACCOUNT = Account("acct_ordinary")
_DOORS = Doors()
_STANDING = Standing(requests=1_000, age_s=30 * 86_400.0)
SEALER = Sealer(b"a key for the corpus", random=bytes, wall=lambda: 0.0)
"""Seals as an installation with a key does, but without chance: the same trace has the same seal."""

_event = re.compile(rb".+?(?:(?<=\n)\r?\n|(?<=\})\r?\n(?!\r?\n)|\Z)", re.DOTALL).finditer
_EVERY_BOUNDARY_BYTES = 512  # of a longer body as many boundaries are drawn
_PIECE_BYTES = 64  # largest random piece, about half an event

Pieces = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What left for one recording; `body` is empty where it was withheld as unreadable."""

    body: bytes
    settlement: Settlement
    summaries: tuple[str, ...]
    withheld: bool

    @property
    def read(self) -> bool:
        """Whether all of the body was understood."""
        return not self.withheld and not any("unreadable" in why for why in self.settlement.reasons)


def pieces_of(body: bytes, split: str, seed: str) -> Iterator[Callable[[], Pieces]]:
    """The ways to cut `body` that belong to a split; each call gives the pieces anew."""
    if split == "whole":
        yield lambda: iter((body,))
    elif split == "byte":
        yield lambda: (body[at : at + 1] for at in range(len(body)))
    elif split == "random":
        yield lambda: _random_pieces(body, random.Random(seed))
    elif split == "event":  # as most servers send them
        yield lambda: (found[0] for found in _event(body))
    else:
        places: list[int] | range = range(1, len(body))
        if len(places) > _EVERY_BOUNDARY_BYTES:
            places = sorted(random.Random(seed).sample(places, _EVERY_BOUNDARY_BYTES))
        for place in places:
            yield lambda place=place: iter((body[:place], body[place:]))


def _random_pieces(body: bytes, draw: random.Random) -> Pieces:
    at = 0
    while at < len(body):
        size = draw.randint(1, _PIECE_BYTES)
        yield body[at : at + size]
        at += size


class Drive:
    """One policy with what its exchanges share, as a process that serves would hold it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._policy = load_policy(name)
        self._summaries: list[str] = []
        toolbox = Toolbox(SEALER)
        toolbox.warm()
        tools = toolbox.tools(self._policy)
        made = tools.makers.summariser
        makers = replace(tools.makers, summariser=lambda budget: _Noting(made(budget), self._summaries))
        self._tools = replace(tools, makers=makers)

    def decision(self, facts: RequestFacts) -> Decision:
        """What the policy decides for an ordinary account that somebody vouched for."""
        return decide(self._policy, facts, _ACCOUNT, _STANDING, 0.0)

    def facts(self, recording: Recording) -> RequestFacts:
        """What the recorded request asked for; where none was kept, what can be told from the answer."""
        dialect = DIALECTS[recording.format]
        codec = CODECS[dialect.codec]
        door = _DOORS.match(recording.path) or _DOORS.match(dialect.path)
        model, stream = (door.model, door.streams) if door else ("", False)
        if not recording.request:
            return RequestFacts(dialect.path, codec.name, model, stream or recording.stream)
        return codec.read_request(recording.request, door=dialect.path, model=model, stream=stream)

    def send(self, recording: Recording, pieces: Pieces) -> Outcome:
        """What leaves when the upstream answers with the recording in these pieces."""
        self._summaries.clear()
        facts = self.facts(recording)
        codec = CODECS[DIALECTS[recording.format].codec]
        exchange = Exchange(codec, facts, self.decision(facts), self._tools)
        exchange.request(recording.request)
        exchange.start(recording.status, [(b"content-type", recording.content_type.encode())])
        out: list[bytes] = []
        withheld = False
        try:
            out += [exchange.receive(piece, 0.0) for piece in pieces]
            out.append(exchange.end(0.0))
        except WireError:
            withheld = True
        return Outcome(b"".join(out), exchange.settlement(), tuple(self._summaries), withheld)


class _Noting:
    """A summariser whose summaries are kept, to tell what the policy let out from what slipped out."""

    def __init__(self, inner: Summarising, summaries: list[str]) -> None:
        self._inner = inner
        self._summaries = summaries

    def feed(self, text: str) -> None:
        self._inner.feed(text)

    def finish(self, question_values: frozenset[str]) -> str:
        summary = self._inner.finish(question_values)
        self._summaries.append(summary)
        return summary
