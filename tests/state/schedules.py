"""Random schedules of leases, and one harness that plays them to any store beside the simulator.

A schedule is a tuple of steps over two accounts of one organisation and one without. `play` asserts
after each step that the store says what the simulator says, and at the end that nothing is lost,
doubled or left reserved. To run a store under it, give `play` a `Subject`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fractions import Fraction
from inspect import isawaitable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from hardening.facts import Account, Admission, Charge, Lease, Limit, NewPrice, Prior, Standing
from hardening.state import Accounts, StateStore
from tests.state.simulator import Ask, Bucket, Simulator

LEASE_S = 40.0
ORG = Limit("team", "tokens", amount=120.0, per_s=60.0, burst=150.0, by="org")
MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=100.0)
THIRDS = Limit("thirds", "completion", amount=7.0, per_s=3.0, burst=20.0)
HOUR = Limit("hour", "prompt", amount=90.0, per_s=30.0, burst=90.0, window="sliding")
CALLS = Limit("calls", "requests", amount=4.0, per_s=16.0, burst=4.0, window="sliding")
OPEN = Limit("open", "streams", amount=3.0, per_s=1.0, burst=3.0)
MODEL = Limit("glass", "tokens", amount=50.0, per_s=10.0, burst=50.0, by="model")
FIRST = Limit("first", "tokens", amount=6.0, per_s=60.0, burst=45.0)
"""Of new accounts alone."""
TOTAL = Limit("total", "tokens", amount=1e6, per_s=316_224_000.0, burst=1e6)
"""So large that it never refuses and hardly refills: it counts whether anything was lost or doubled."""

ACCOUNTS = (Account("anne", org="acme"), Account("bob", org="acme"), Account("carl"))
_LIMITS = (ORG, MINUTE, THIRDS, HOUR, CALLS, OPEN, MODEL, FIRST)

EFFORT = settings(max_examples=int(os.environ.get("HARDENING_SCHEDULES", "150")), deadline=None)
"""How many schedules are tried for each store; the long run is HARDENING_SCHEDULES=100000 and `--timeout=0`."""

# A verdict this near to the border may go either way: stores count in floats.
_NEAR = Fraction(1, 10_000)
_CLOSE = 1e-3
_MOMENT = Fraction(1, 100_000)


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes, in quarters of a second."""

    quarters: int


@dataclass(frozen=True, slots=True)
class Admit:
    """A request of an account, by units of each limit; `obey` waits as told where it is refused, and asks again."""

    account: int
    units: tuple[tuple[int, int], ...]
    obey: bool = False


@dataclass(frozen=True, slots=True)
class Extend:
    """More units on a lease, by the order in which leases were given; `debt` is how much it may owe."""

    lease: int
    units: tuple[tuple[int, int], ...]
    debt: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """The end of a lease: so many eighths of each reservation were used; of what `silent` covers nothing is told."""

    lease: int
    eighths: int
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """An operator puts an account into a band, or with None out of it."""

    account: int
    band: str | None


_DEBT = 25
_FACTORS = {"watch": 2.0, "harden": 4.0}
"""What a band pays."""

_BANDS = (None, *_FACTORS)
_PRIOR = Prior(requests=2, age_s=5.1)
_NEW_FACTORS = {"": 1.5, "watch": 3.0, "harden": 5.0}
"""What a new account pays of some limits; never less than others, so that who waits for what he was refused gets it."""
_PRICES = {
    MINUTE.name: NewPrice(_PRIOR, _NEW_FACTORS, alone=False),
    FIRST.name: NewPrice(_PRIOR, _NEW_FACTORS, alone=True),
}

Step = Wait | Admit | Extend | Settle | Place
Schedule = tuple[Step, ...]

_STEP_BYTES = 10


def _step(drawn: bytes, limits: list[int]) -> Step:
    """A step as these bytes say, any of them; less is less. Of one drawn value, where ten take ten times as long."""
    kind, who, how, count, *pairs = drawn
    units = tuple(
        (limits[pairs[at] % len(limits)], pairs[at + 1] % 61) for at in range(0, 2 * (count % 4), 2)
    )
    kind %= 8
    if kind == 0:
        return Wait(who % 101)
    if kind <= 3:
        return Admit(who % len(ACCOUNTS), units, bool(how % 2))
    if kind == 4:
        return Extend(who % 8, units, (0, 0, _DEBT)[how % 3])
    if kind <= 6:
        return Settle(who % 8, how % 13, (0, 0, 1, 3)[count % 4])
    return Place(who % len(ACCOUNTS), _BANDS[how % len(_BANDS)])


_DRAWN = st.binary(min_size=_STEP_BYTES, max_size=_STEP_BYTES)


@st.composite
def _schedules(draw: st.DrawFn) -> Schedule:
    # Of few limits at a time, and often of many steps: else hardly any limit would ever be full.
    limits = draw(st.lists(st.integers(0, len(_LIMITS) - 1), min_size=1, max_size=3, unique=True))
    least = draw(st.sampled_from((1, 12, 30)))
    return tuple([_step(drawn, limits) for drawn in draw(st.lists(_DRAWN, min_size=least, max_size=40))])


schedules: st.SearchStrategy[Schedule] = _schedules()


@dataclass(frozen=True, slots=True)
class Subject:
    """A store under test, empty, whose leases live `LEASE_S`.

    Args:
        store: the store.
        at: tells it what time it is, before each call; for a store that keeps a clock of its own.
        wait: runs what an awaited store returns, to its end.
        desk: the operators' side of the store; without one nobody is put into a band.
    """

    store: StateStore
    at: Callable[[float], object] = lambda now: None
    wait: Callable[[Awaitable[Any]], Any] | None = None
    desk: Accounts | None = None


def play(subject: Subject, schedule: Schedule) -> Simulator:
    """Play a schedule and look closely; the simulator as it stands at the end."""
    play = _Play(subject)
    for step in schedule:
        play.step(step)
    play.end()
    return play.simulator


@dataclass(slots=True)
class _Play:
    subject: Subject
    simulator: Simulator = field(default_factory=lambda: Simulator(Fraction(LEASE_S)))
    now: Fraction = Fraction(4)
    leases: list[tuple[Lease, tuple[Ask, ...], Standing]] = field(default_factory=list)
    bands: dict[str, str] = field(default_factory=dict)
    begun: dict[str, list[Fraction]] = field(default_factory=dict)
    """When each account was granted its requests."""

    def step(self, step: Step) -> None:
        if isinstance(step, Wait):
            self.now += Fraction(step.quarters, 4)
            return
        if isinstance(step, Admit):
            self._admit(ACCOUNTS[step.account], step)
        elif isinstance(step, Place):
            self._place(ACCOUNTS[step.account], step.band)
        elif self.leases:
            number = step.lease % len(self.leases)
            if isinstance(step, Extend):
                self._extend(number, step)
            else:
                self._settle(number, step)

    def end(self) -> None:
        """All leases run out: nothing is held, all that was ever used is spent once, no limit was passed."""
        self.now += Fraction(LEASE_S) + 1
        self._begin()
        assert not self.simulator.open
        for account in ACCOUNTS:
            asks = _asks(account, tuple((index, 0) for index in range(len(_LIMITS))))
            answer = self._call(self.subject.store.admit, account, _charges(asks))
            self._same_states(answer, _priced(asks, self._standing(account)))
            if answer.lease is not None:  # what is owed beyond the burst refuses even those who want nothing
                self._call(self.subject.store.settle, answer.lease, (), None)
        for bucket, limit in self.simulator.limits.items():
            _never_passed(self.simulator, bucket, limit)

    def _begin(self) -> None:
        ends = [lease.expires_at for lease in self.simulator.open.values()]
        if Fraction(float(self.now)) != self.now and any(abs(end - self.now) < _MOMENT for end in ends):
            self.now += 2 * _MOMENT  # whether a lease lives at its very end a rounded time does not tell
        self.subject.at(float(self.now))
        self.simulator.pass_time(self.now)

    def _call(self, act: Callable[..., Any], *arguments: object) -> Any:
        answer = act(*arguments, float(self.now))
        if not isawaitable(answer):
            return answer
        assert self.subject.wait is not None
        return self.subject.wait(answer)

    def _admit(self, account: Account, step: Admit) -> None:
        self._begin()
        asks = _asks(account, step.units)
        answer = self._asked(account, asks)
        if answer.granted or not step.obey or answer.retry_after_s is None or not self._nothing_held(asks):
            return
        self.now += Fraction(answer.retry_after_s) + _MOMENT
        self._begin()
        assert self._asked(account, asks).granted, "refused after the wait that was told"

    def _place(self, account: Account, band: str | None) -> None:
        if self.subject.desk is None:
            return
        self._begin()
        if band is None:
            self.bands.pop(account.id, None)
            self._call(self.subject.desk.unflag, account.id)
        else:
            self.bands[account.id] = band
            now = float(self.now)
            flagged = self.subject.desk.flag(account.id, band, 0.5, float("inf"), now, account.org)
            if isawaitable(flagged):
                assert self.subject.wait is not None
                self.subject.wait(flagged)

    def _asked(self, account: Account, asks: tuple[Ask, ...]) -> Admission:
        known = self._standing(account)
        answer: Admission = self._call(self.subject.store.admit, account, _charges(asks))
        assert (answer.standing.band, answer.standing.requests) == (known.band, known.requests)
        assert abs(answer.standing.age_s - known.age_s) < _CLOSE
        priced = _priced(asks, known)
        self._judge(answer, priced)
        if answer.granted:
            assert answer.lease is not None
            self.leases.append((answer.lease, asks, known))
            self.begun.setdefault(account.id, []).append(self.now)
            self.simulator.reserve(len(self.leases) - 1, priced)
        self._same_states(answer, priced)
        return answer

    def _standing(self, account: Account) -> Standing:
        """How an account stands before its next request."""
        begun = self.begun.get(account.id, [])
        age_s = float(self.now - begun[0]) if begun else 0.0
        return Standing(band=self.bands.get(account.id), requests=len(begun), age_s=age_s)

    def _extend(self, number: int, step: Extend) -> None:
        self._begin()
        lease, held, known = self.leases[number]
        own = {ask.scope for ask in held}
        account = next(one for one in ACCOUNTS if one.scope in own)
        asks = _asks(account, step.units, debt=step.debt)
        answer: Admission = self._call(self.subject.store.extend, lease, _charges(asks))
        if number not in self.simulator.open:
            assert (answer.granted, answer.lease, answer.refused_by) == (False, None, None)
            return
        priced = _priced(asks, known)
        self._judge(answer, priced)
        if answer.granted:
            assert answer.lease is not None
            self.leases[number] = (answer.lease, held + asks, known)
            self.simulator.reserve(number, priced)
        self._same_states(answer, priced)

    def _settle(self, number: int, step: Settle) -> None:
        self._begin()
        lease, held, known = self.leases[number]
        totals: dict[Bucket, Ask] = {}
        for ask in held:
            before = totals.get(ask.bucket)
            totals[ask.bucket] = Ask(ask.limit, ask.scope, ask.units + (before.units if before else 0))
        actual = tuple(
            Ask(ask.limit, ask.scope, ask.units * step.eighths / 8)
            for ask in list(totals.values())[step.silent :]
        )
        self._call(self.subject.store.settle, lease, _charges(actual), None)
        self.simulator.settle(number, _priced(actual, known))

    def _judge(self, answer: Admission, asks: tuple[Ask, ...]) -> None:
        """The verdict is the simulator's, but for the width of a float; a refusal names who and tells how long."""
        slack = self.simulator.slack(asks)
        least = min(slack.values(), default=Fraction(0))
        if abs(least) > _NEAR:
            assert answer.granted == (least >= 0), f"granted {answer.granted}, left {float(least)}"
        if answer.granted:
            return
        assert answer.lease is None
        refusing = {ask.limit.name for ask in asks if slack[ask.bucket] < _NEAR}
        assert answer.refused_by in refusing
        self._honest(answer, asks)

    def _honest(self, answer: Admission, asks: tuple[Ask, ...]) -> None:
        wait_s = answer.retry_after_s
        if wait_s is None:
            slack = self.simulator.slack(asks)
            asked: dict[Bucket, Fraction] = {}
            for ask in asks:
                asked[ask.bucket] = asked.get(ask.bucket, Fraction(0)) + ask.units
            hopeless = [ask for ask in asks if asked[ask.bucket] > Fraction(ask.limit.burst) - _NEAR]
            streams = [ask for ask in asks if ask.limit.unit == "streams" and slack[ask.bucket] < 0]
            assert hopeless or streams
            return
        assert wait_s >= 0.0
        assert self.simulator.would_fit(asks, self.now + Fraction(wait_s) + _MOMENT)
        if wait_s > 0.02:
            assert not self.simulator.would_fit(
                [Ask(ask.limit, ask.scope, ask.units + _NEAR) for ask in asks],
                self.now + Fraction(wait_s) - Fraction(1, 50),
            )

    def _nothing_held(self, asks: tuple[Ask, ...]) -> bool:
        return all(self.simulator.held(ask.limit, ask.scope) == 0 for ask in asks)

    def _same_states(self, answer: Admission, asks: tuple[Ask, ...]) -> None:
        """What the store shows is what the simulator has left; also after a refusal, which changes nothing."""
        shown = {state.limit.name: state.remaining for state in answer.limits}
        for ask in asks:
            left = max(0.0, float(self.simulator.left(ask.limit, ask.scope)))
            remaining = shown[ask.limit.name]
            assert abs(remaining - left) < _CLOSE, f"{ask.limit.name}: {remaining}, is {left}"


def _asks(account: Account, units: tuple[tuple[int, int], ...], *, debt: int = 0) -> tuple[Ask, ...]:
    """What an account asks of which buckets; the total always, as the last."""
    asks = [
        Ask(_owing(_LIMITS[index], debt), _scope(account, _LIMITS[index]), Fraction(n)) for index, n in units
    ]
    total = sum((ask.units for ask in asks), Fraction(0))
    return (*asks, Ask(TOTAL, account.scope, total))


def _owing(limit: Limit, debt: int) -> Limit:
    """The limit of an answer that may be finished in debt, as `policy.charges` asks for it."""
    return Limit(
        limit.name, limit.unit, limit.amount, limit.per_s, limit.burst + debt, limit.window, limit.by
    )


def _scope(account: Account, limit: Limit) -> str:
    if limit.by == "org" and account.org is not None:
        return f"org:{account.org}"
    return f"model:{account.id}\nglass" if limit.by == "model" else account.scope


def _charges(asks: tuple[Ask, ...]) -> tuple[Charge, ...]:
    return tuple(
        Charge(ask.limit, ask.scope, float(ask.units), _FACTORS, _PRICES.get(ask.limit.name)) for ask in asks
    )


def _priced(asks: tuple[Ask, ...], known: Standing) -> tuple[Ask, ...]:
    """The asks as an account of this standing pays them; without those on limits that are not for it."""
    is_new = known.requests < _PRIOR.requests or known.age_s < _PRIOR.age_s
    priced = []
    for ask in asks:
        price = _PRICES.get(ask.limit.name)
        if price is not None and price.alone and not is_new:
            continue
        factor = _NEW_FACTORS[known.band or ""] if price and is_new else _FACTORS.get(known.band or "", 1.0)
        priced.append(Ask(ask.limit, ask.scope, ask.units * Fraction(factor)))
    return tuple(priced)


def _never_passed(simulator: Simulator, bucket: Bucket, limit: Limit) -> None:
    """Nothing above the limit was spent, beyond what was used without being reserved, or owed on purpose."""
    entries = simulator.ledger[bucket]
    allowed = Fraction(limit.burst) + simulator.overused.get(bucket, Fraction(0)) + _DEBT + _MOMENT
    if limit.window == "sliding":
        windows: dict[int, Fraction] = {}
        for entry in entries:
            number = entry.at // Fraction(limit.per_s)
            windows[number] = windows.get(number, Fraction(0)) + entry.units
        assert max(windows.values()) <= allowed
        return
    rate = Fraction(limit.amount) / Fraction(limit.per_s)
    for first, begin in enumerate(entries):
        total = Fraction(0)
        for entry in entries[first:]:
            total += entry.units
            assert total <= allowed + rate * (entry.at - begin.at)
