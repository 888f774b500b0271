"""`hardening redteam quotas`: the price of an answer for accounts that are flagged, and for everybody else.

Whether an account is flagged is given, with a rate of false alarms and of misses: to find out is another
attack's matter. Limits are each account's own, so accounts are simulated one by one in every standing, and groups with any
share of flags are put together of these.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from hardening.facts import Account
from hardening.policy import Policy, find_preset, load_policy
from hardening.policy.written import BandKeys, RiskKeys, ThresholdKeys
from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.options import Options
from hardening.redteam.quotas.days import Caller, Collector, World, living, unbanded
from hardening.redteam.quotas.picture import draw_curve
from hardening.redteam.quotas.prompts import Prompts, load
from hardening.redteam.report import Report, Table

NAME = "redteam quotas"
BAND = "harden"

FALSE_ALARMS = (0.001, 0.0025, 0.005, 0.01)
"""Shares of honest accounts that are flagged, for the curve; the claim is held at the last, the largest."""

FOUND = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Shares of a campaign's accounts that are flagged."""

_PRICES = (("4x", "100%"), ("25x", "100%"), ("25x", "40%"), ("50x", "100%"), ("50x", "40%"), ("100x", "40%"))
"""Of the band: its `charge` and its `scale`."""

_DRAWS = 200  # of which honest accounts are flagged by mistake


def attack(options: Options) -> Report:
    """Simulate days of a campaign and of honest accounts, with bands and without.

    Raises:
        LookupError: a set of the folder is not there.
    """
    seed = random.Random(options.seed)
    prompts = load(options.data, seed)
    policy = load_policy(_cookbook("extraction"))
    days, collectors, honest = (1.0, 1, 40) if options.quick else (2.0, 4, 300)
    run = _Run(prompts, days, options.seed)

    options.say(f"a campaign of {collectors} accounts for {days:g} days, in each standing")
    free = run.campaign(policy, None, collectors)
    flagged = run.campaign(policy, BAND, collectors)
    bare = run.campaign(unbanded(policy), BAND, collectors)
    options.say(f"{honest} honest accounts, in each standing")
    people = [run.people(chosen, band, honest) for chosen, band in _standings(policy)]

    price = run.days_each(flagged) / run.days_each(free)
    control = run.days_each(bare) / run.days_each(free)
    alarms = _alarms(people, options.seed)
    measured = {
        "quotas_price_flagged": Measured(price, sum(one.useful for one in flagged), control),
        "quotas_price_benign_p95": Measured(alarms[FALSE_ALARMS[-1]][0], honest),
    }
    priced = _priced_groups(run, options)
    curves = {name: _curve(run, free, group) for name, group in priced.items()}
    tables = (
        _campaign_table(run, free, flagged, bare),
        _prices_table(run, free, priced),
        Table(
            "A campaign of which a share is flagged",
            ("flagged", "price of an answer", "answers a day and account"),
            tuple((f"{100 * share:g}%", *rest) for share, *rest in _curve(run, free, flagged)),
        ),
        _first_day_table(run, policy, options),
        _alarm_table(alarms, people),
    )
    picture = draw_curve(options.out, {name: [row[:2] for row in curve] for name, curve in curves.items()})
    return Report(
        NAME,
        tuple(judge(goals(NAME), measured, seed=options.seed)),
        tables,
        (f"prompts: {prompts.source}; flags are given, not found", *picture.notes),
        picture.files,
    )


class _Run:
    """Simulations of the same people and campaigns under whatever policy and band."""

    def __init__(self, prompts: Prompts, days: float, seed: int) -> None:
        self._prompts = prompts
        self._days = days
        self._seed = seed

    def campaign(
        self, policy: Policy, band: str | None, count: int, *, days: float | None = None
    ) -> list[Caller]:
        """Accounts that collect as much as they get, for all the days or so many."""

        def begin(world: World, caller: Caller, draw: random.Random) -> None:
            Collector(
                world, caller, draw.sample(self._prompts.campaigns, len(self._prompts.campaigns))
            ).begin()

        return self._simulated(policy, band, count, begin, days or self._days)

    def people(self, policy: Policy, band: str | None, count: int) -> list[Caller]:
        """Accounts of people; each asks the same at the same moments in every standing."""

        def begin(world: World, caller: Caller, draw: random.Random) -> None:
            living(world, caller, self._prompts.people, self._days, draw)

        return self._simulated(policy, band, count, begin, self._days)

    def days_each(self, callers: Sequence[Caller]) -> float:
        """Account-days that a useful answer takes a group that asks as much as it can."""
        return self._days * len(callers) / max(1, sum(one.useful for one in callers))

    def a_day(self, callers: Sequence[Caller], *, days: float | None = None) -> float:
        """Useful answers of one account in a day, of so many that were simulated."""
        return sum(one.useful for one in callers) / (len(callers) * (days or self._days))

    def _simulated(
        self,
        policy: Policy,
        band: str | None,
        count: int,
        begin: Callable[[World, Caller, random.Random], None],
        days: float,
    ) -> list[Caller]:
        callers = []
        for number in range(count):
            world, caller = World(policy), Caller(Account(f"acct_{number}"))
            world.flag(caller.account, band)
            begin(world, caller, random.Random(f"{self._seed}/{number}"))
            world.run(days)
            callers.append(caller)
        return callers


def _standings(policy: Policy) -> tuple[tuple[Policy, str | None], ...]:
    """What honest accounts are simulated in: without bands, with them and not flagged, flagged."""
    return (unbanded(policy), None), (policy, None), (policy, BAND)


def _price(caller: Caller) -> float:
    """Units of the limit that a useful answer costs an account; all that it paid where it got none."""
    return caller.charged / max(1, caller.useful)


def _alarms(people: Sequence[Sequence[Caller]], seed: int) -> dict[float, tuple[float, float, float]]:
    """By the share of false alarms: the 95th percentile and the mean of what honest accounts pay, and the share that pays more."""
    bare, clean, flagged = people
    asking = [number for number, one in enumerate(bare) if one.useful]
    ratios = [(_price(clean[n]) / _price(bare[n]), _price(flagged[n]) / _price(bare[n])) for n in asking]
    draw = random.Random(seed)
    found = {}
    for share in FALSE_ALARMS:
        paid = [ratio[draw.random() < share] for _ in range(_DRAWS) for ratio in ratios]
        more = sum(one > 1.1 for one in paid) / len(paid)
        found[share] = (statistics.quantiles(paid, n=20)[-1], statistics.fmean(paid), more)
    return found


def _curve(
    run: _Run, free: Sequence[Caller], flagged: Sequence[Caller]
) -> tuple[tuple[float, float, float], ...]:
    """What a campaign pays of which a share is flagged, as a multiple of what it pays without flags."""
    a_day = [(1.0 - share) * run.a_day(free) + share * run.a_day(flagged) for share in FOUND]
    return tuple((share, run.a_day(free) / each, each) for share, each in zip(FOUND, a_day, strict=True))


def _campaign_table(
    run: _Run, free: Sequence[Caller], flagged: Sequence[Caller], bare: Sequence[Caller]
) -> Table:
    rows: tuple[tuple[str | float | None, ...], ...] = tuple(
        (name, run.a_day(group), run.days_each(group) / run.days_each(free), *map(float, _counts(group)))
        for name, group in (
            ("not flagged", free),
            (f"in the band {BAND}", flagged),
            ("flagged, policy without bands", bare),
        )
    )
    return Table(
        "Accounts of a campaign, asking as much as they get",
        ("account", "useful answers a day", "price", "useful", "cut", "refused"),
        rows,
    )


def _counts(group: Sequence[Caller]) -> tuple[int, int, int]:
    return sum(one.useful for one in group), sum(one.cut for one in group), sum(one.refused for one in group)


def _priced_groups(run: _Run, options: Options) -> dict[str, list[Caller]]:
    """The same flagged campaign under other prices of the band."""
    groups = {}
    for charge, scale in _PRICES:
        name = f"charge {charge}, scale {scale}"
        options.say(f"the campaign under {name}")
        band: BandKeys = {"enter": 0.8, "leave": 0.7, "charge": charge, "scale": scale}
        groups[name] = run.campaign(_changed({"bands": {BAND: band}}), BAND, 1 if options.quick else 2)
    return groups


def _prices_table(run: _Run, free: Sequence[Caller], groups: dict[str, list[Caller]]) -> Table:
    rows = tuple(
        (name, run.days_each(group) / run.days_each(free), run.a_day(group)) for name, group in groups.items()
    )
    return Table("The band's price", ("band", "price of an answer", "answers a day and account"), rows)


def _first_day_table(run: _Run, policy: Policy, options: Options) -> Table:
    """What an account gives before anybody has noticed it: the worth of a new one to who makes many."""
    options.say("the first day of accounts that are made for it")
    until: ThresholdKeys = {"requests": 50, "age": "1d"}
    known = run.campaign(policy, None, 1, days=1.0)
    rows: list[tuple[str | float | None, ...]] = [("no `risk.new`", 1.0, run.a_day(known, days=1.0))]
    for charge in ("4x", "10x"):
        new = run.campaign(_changed({"new": {"until": until, "charge": charge}}), None, 1, days=1.0)
        worth = run.a_day(new, days=1.0)
        rows.append((f"`risk.new: {{charge: {charge}}}`", run.a_day(known, days=1.0) / worth, worth))
    return Table(
        "An account in its first day, not flagged", ("policy", "price of an answer", "answers"), tuple(rows)
    )


def _changed(risk: RiskKeys) -> Policy:
    """The policy with another `risk` over its own."""
    return Policy(name="changed", extends=str(_cookbook("extraction")), risk=risk)


def _alarm_table(
    alarms: dict[float, tuple[float, float, float]], people: Sequence[Sequence[Caller]]
) -> Table:
    lost = sum(one.useful for one in people[2]) / max(1, sum(one.useful for one in people[1]))
    rows = tuple((f"{100 * share:g}%", *found) for share, found in alarms.items())
    title = f"Honest accounts; one that is flagged by mistake gets {100 * lost:.0f}% of its answers"
    return Table(
        title, ("false alarms", "price, 95th percentile", "mean", "share that pays 1.1 and more"), rows
    )


def _cookbook(name: str) -> Path:
    return find_preset("baseline").parents[1] / "cookbook" / name / "policy.yaml"
