"""Days of requests, event by event: the policy's own charges and decisions on the store's own limits, in made-up time.

A request goes the way of `asgi/case.py`: charged, admitted, perhaps with less, decided, extended while its answer
grows, settled with what was written. Only the model server is left out: answers are as long as the set says, and come at
a steady speed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hardening.asgi.estimate import UsualLength
from hardening.facts import Account, Decision, Lease, LimitState, RequestFacts, Usage
from hardening.policy import Charges, Policy, charges, claimed, decide, extended, lowered, settled
from hardening.redteam.quotas.prompts import Asked
from hardening.state import MemoryStore

DAY_S = 86_400.0
BAND_RISK = 0.9
"""The risk at which an account is put into the band that it is simulated in."""

_FACTS = RequestFacts("/chat/completions", "openai_chat", model="glass-1", stream=True)
_TOKENS_PER_S = 80.0
_STEP_TOKENS = 256
_WALL = 1_800_000_000.0
_LONGEST_WAIT_S = 60.0  # SDKs wait so long for a client that people sit at
_RETRIES = 2
_AT_ONCE = 8
_PAUSE_S = 1.0
_BUSY_S = 5.0  # until one of the streams that run is over


@dataclass(slots=True)
class Caller:
    """One account, and what became of its requests; `charged` are units of the limit `day`, its price included."""

    account: Account
    useful: int = 0
    cut: int = 0
    refused: int = 0
    charged: float = 0.0
    waited_s: float = 0.0


@dataclass(slots=True)
class _Request:
    """A request on its way."""

    caller: Caller
    asked: Asked
    claim: Charges
    decision: Decision
    lease: Lease
    held: int


@dataclass(slots=True)
class World:
    """One store under one policy; `measured` names the limit whose units are the price."""

    policy: Policy
    measured: str = "day"
    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 0.0
    _lengths: UsualLength = field(default_factory=UsualLength)
    _events: list[tuple[float, int, Iterator[float]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)

    def flag(self, account: Account, band: str | None) -> None:
        """Put an account into a band for as long as the simulation goes."""
        if band is not None:
            self.store.flag(account.id, band, BAND_RISK, float("inf"), self.now)

    def add(self, at: float, process: Iterator[float]) -> None:
        """Let a process begin at a moment; it yields how long it sleeps."""
        heapq.heappush(self._events, (at, next(self._order), process))

    def run(self, days: float) -> None:
        """Pass so many days."""
        end = days * DAY_S
        while self._events and self._events[0][0] < end:
            self.now, _, process = heapq.heappop(self._events)
            sleep_s = next(process, None)
            if sleep_s is not None:
                self.add(self.now + sleep_s, process)
        self.now = end

    def left(self, caller: Caller) -> Iterator[tuple[LimitState, float]]:
        """What is left of each limit of an account, as it is told to it, and how often it counts its tokens."""
        asked = claimed(self.policy, _FACTS, caller.account, _WALL + self.now)
        found = self.store.look(caller.account, asked, self.now)
        for charge, state in zip(asked, found.limits, strict=True):
            yield state, charge.factor(found.standing)

    def admitted(self, caller: Caller, asked: Asked) -> _Request | float | None:
        """A request that has begun; or the seconds that it was told to wait, None where waiting does not help."""
        account, wall = caller.account, _WALL + self.now
        usual = self._lengths.of(account.scope)
        claim = charges(self.policy, _FACTS, account, asked.prompt, wall, usual_tokens=usual)
        answer = self.store.admit(account, claim.charges, self.now)
        if not answer.granted and (less := lowered(claim, answer)) is not None:
            claim, answer = less, self.store.admit(account, less.charges, self.now)
        if answer.lease is None:
            refusing = next(one.limit for one in claim.charges if one.limit.name == answer.refused_by)
            return _BUSY_S if refusing.unit == "streams" else answer.retry_after_s
        decision = decide(self.policy, _FACTS, account, answer.standing, wall)
        return _Request(caller, asked, claim, decision, answer.lease, claim.completion_reserve)

    def answered(self, request: _Request) -> Iterator[float]:
        """Let an answer be written to its end, or until its limit gives no more; then settle."""
        speed = min(_TOKENS_PER_S, request.decision.pace_per_s or _TOKENS_PER_S)
        written = min(request.held, request.asked.answer)
        yield written / speed
        while written < request.asked.answer:
            more = extended(request.claim, _STEP_TOKENS)
            answer = self.store.extend(request.lease, more, self.now)
            if answer.lease is None:
                break
            request.lease = answer.lease
            step = min(_STEP_TOKENS, request.asked.answer - written)
            written += step
            yield step / speed
        self._settle(request, written)

    def _settle(self, request: _Request, written: int) -> None:
        caller = request.caller
        actual = settled(request.claim, Usage(request.asked.prompt, written))
        self.store.settle(request.lease, actual, None, self.now)
        standing = self.store.look(caller.account, (), self.now).standing
        caller.charged += sum(
            one.amount * one.factor(standing) for one in actual if one.limit.name == self.measured
        )
        self._lengths.learn(caller.account.scope, written)
        if written < request.asked.answer:
            caller.cut += 1
        else:
            caller.useful += 1


class Collector:
    """An account of a campaign that wastes nothing: it looks at what is left, and asks when an answer fits."""

    def __init__(self, world: World, caller: Caller, prompts: Sequence[Asked]) -> None:
        self._world = world
        self._caller = caller
        self._supply = itertools.cycle(prompts)
        answers = sorted(one.answer for one in prompts)
        self._expected = answers[len(answers) * 19 // 20]
        self._running: list[_Request] = []

    def begin(self) -> None:
        """Let it ask side by side from now on."""
        for number in range(_AT_ONCE):
            self._world.add(number * _PAUSE_S, self._worker())

    def _worker(self) -> Iterator[float]:
        while True:
            asked = next(self._supply)
            wait_s = self._wait_s(asked)
            while wait_s:
                yield wait_s
                wait_s = self._wait_s(asked)
            request = None if wait_s is None else self._world.admitted(self._caller, asked)
            if isinstance(request, _Request):
                self._running.append(request)
                yield from self._world.answered(request)
                self._running.remove(request)
            else:
                self._caller.refused += 1
                yield max(_PAUSE_S, request or 0.0)

    def _wait_s(self, asked: Asked) -> float | None:
        """Until the longest answers but one in twenty would fit beside those that run; None where they never do."""
        longest = 0.0
        beside = sum(max(0, self._expected - one.held) for one in self._running)
        for state, factor in self._world.left(self._caller):
            limit = state.limit
            if limit.unit != "tokens":
                continue
            if asked.prompt * factor >= limit.burst:
                return None
            # A stream asks for so much ahead, and is cut where that is not there.
            tokens = asked.prompt + self._expected + beside + _STEP_TOKENS
            missing = min(limit.burst, tokens * factor) - state.remaining
            longest = max(longest, missing * limit.per_s / limit.amount)
        return max(longest, _PAUSE_S) if longest > 0.0 else 0.0


def living(world: World, caller: Caller, prompts: Sequence[Asked], days: float, draw: random.Random) -> None:
    """An account of people: its own number of requests a day, in sittings by day, as its client retries them."""
    a_day = min(2_000.0, 20.0 * draw.lognormvariate(0.0, 1.2))
    moments: list[float] = []
    while len(moments) < a_day * days:
        begin = (draw.randrange(max(1, int(days))) + draw.uniform(0.33, 0.9)) * DAY_S
        moments += itertools.accumulate(
            (draw.expovariate(1 / 40.0) for _ in range(draw.randint(1, 25))), initial=begin
        )
    for at in moments[: max(1, round(a_day * days))]:
        world.add(at, _asking(world, caller, draw.choice(prompts)))


def _asking(world: World, caller: Caller, asked: Asked) -> Iterator[float]:
    for _ in range(1 + _RETRIES):
        request = world.admitted(caller, asked)
        if isinstance(request, _Request):
            yield from world.answered(request)
            return
        if request is None or request > _LONGEST_WAIT_S:
            break
        caller.waited_s += max(_PAUSE_S, request)
        yield max(_PAUSE_S, request)
    caller.refused += 1


def unbanded(policy: Policy) -> Policy:
    """The same policy to which no band says anything."""
    return policy.but(layers=(), trials=())
