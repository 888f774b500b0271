"""`hardening redteam detection`: the shipped signals against prompts that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hardening import kernels
from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.detection import figures, insider, pools, tables, takings, world
from hardening.redteam.detection.control import Control, WindowTest
from hardening.redteam.detection.drift import Drifted, drifted
from hardening.redteam.detection.flood import Flooded, flooded
from hardening.redteam.detection.picture import draw
from hardening.redteam.detection.pools import Pools
from hardening.redteam.detection.runs import Run, Runner, simulated
from hardening.redteam.detection.tables import CAMPAIGNS, JUDGED, SHARES, WINDOWS, Row
from hardening.redteam.options import Options
from hardening.redteam.report import Report, Table
from hardening.scoring import reference, tokens
from hardening.scoring.tokens import TokenCounter

NAME = "redteam detection"
LEFT_OUT = ("self_instruct", "tools", "makers", "traces_grades")
KINDS_LEFT_OUT = (*world.HONEST, world.PEOPLE)
_KIND_WINDOWS = (50, 100, 200)
POISONS = (0.05, 0.3)
_CALIBRATED = (0.1, 0.25)
"""Shares of a campaign that the risk is fitted to, and held to."""


class Sizes(NamedTuple):
    """How many accounts: of each honest kind, of each campaign and share, of those followed to the end, of refits, and over thirty days."""

    honest: int
    copying: int
    long: int
    refitted: int
    drifting: int


def attack(options: Options, sizes: Sizes | None = None) -> Report:
    """Measure on the part of the sets that no fit has seen; `sizes` in place of those that the options mean.

    Raises:
        LookupError: no folder of sets is named, or one is not there.
    """
    if options.data is None:
        raise LookupError("--data names the folder of prompt sets that this measures on")
    kernels.warm()
    part, counter, known = pools.load(options.data, "test"), tokens.load(), reference.load()
    run, runner, calibration = (
        _Measuring(options, part, counter, sizes),
        Runner(known, counter),
        known.calibration(),
    )
    honest, copying = run.honest(runner), run.copying(runner)
    judged = tables.Judged(figures.grouped([*honest, *copying]), calibration)
    control = run.control(runner, options.data)
    alike = [one for one in (*honest, *copying) if not one.share or one.share in _CALIBRATED]
    bins = figures.calibration_bins(alike, (1, JUDGED), calibration)
    count = run.sizes.copying * len(CAMPAIGNS)
    drift, flood = run.drift(runner), run.flood(runner)
    measured = {
        "detection_false_positives": Measured(judged.worst_honest[1], run.sizes.honest * len(judged.kinds)),
        "detection_tpr_10": Measured(judged.worst_campaign(0.1)[1], count, control.worst(0.1)),
        "detection_tpr_25": Measured(judged.worst_campaign(0.25)[1], count, control.worst(0.25)),
        "detection_calibration_error": Measured(figures.calibration_error(bins), len(alike)),
        "detection_burners_new": Measured(takings.worst_of_burners(judged), count * len(SHARES), 1.0),
        "detection_drift_false_positives": Measured(drift.worst, drift.accounts),
        "detection_flood_acting": Measured(
            flood.alarm.acting["copying"], flood.accounts["copying"], flood.shadow.acting["copying"]
        ),
        "detection_flood_false_positives": Measured(flood.alarm.acting["honest"], flood.accounts["honest"]),
    }
    learnt = insider.learnt(known, runner, part.chat, options.seed)
    shown = [
        *tables.all_of(judged, control),
        *takings.tables(judged),
        tables.drifted(drift),
        tables.flooded(flood),
        tables.calibrated(bins),
        tables.learnt(learnt),
        *run.refits(options.data),
    ]
    picture = draw(options.out, judged.curves(), bins)
    claims = judge(goals(NAME), measured, seed=options.seed)
    return Report(
        NAME, tuple(claims), tuple(shown), (*judged.notes(), *_NOTES, *picture.notes), picture.files
    )


_NOTES = (
    "people: some 390 prompts of two sets that no fit has seen; accounts draw from the same ones, so intervals are wider than their number says",
    "agents, travel, evaluations, batches, the kinds that no fit knows, and campaigns but self_instruct and tools, are written from sentences with slots; the phrases that tell them come from the same hands: what can be reached, not what is to be expected",
    "an attacker who takes a new account at the first change of his headers is the table of burners; evidence fades by half in 14 days, so slowness costs him days",
)


class _Measuring:
    """Simulations on one part of the sets."""

    def __init__(self, options: Options, part: Pools, counter: TokenCounter, sizes: Sizes | None) -> None:
        self._options = options
        self._part = part
        self._counter = counter
        self.sizes = sizes or (Sizes(60, 8, 3, 0, 40) if options.quick else Sizes(300, 40, 10, 16, 200))

    def honest(self, runner: Runner) -> list[Run]:
        """Honest accounts of each kind."""
        kinds = (*world.honest_kinds(self._part), *world.UNFITTED, world.DRIFTING)
        return self._simulated(runner, self.sizes.honest, kinds=kinds)

    def copying(self, runner: Runner) -> list[Run]:
        """Accounts of each campaign at each share."""
        return self._simulated(runner, self.sizes.copying, campaigns=CAMPAIGNS, shares=SHARES)

    def _simulated(
        self,
        runner: Runner,
        accounts: int,
        kinds: Sequence[str] = (),
        campaigns: Sequence[str] = (),
        shares: Sequence[float] = (),
    ) -> list[Run]:
        """So many up to the window that is judged, and some others to the end."""
        runs: list[Run] = []
        for count, windows in ((accounts, WINDOWS[: JUDGED + 1]), (self.sizes.long, WINDOWS)):
            seed = self._options.seed + len(windows)
            runs += simulated(
                runner, self._part, seed=seed, accounts=count, windows=windows,
                kinds=kinds, campaigns=campaigns, shares=shares, say=self._options.say,
            )  # fmt: skip
        return runs

    def drift(self, runner: Runner) -> Drifted:
        """Honest accounts over thirty days."""
        self._options.say(f"{self.sizes.drifting} accounts: thirty days")
        return drifted(runner, self._part, seed=self._options.seed, accounts=self.sizes.drifting)

    def flood(self, runner: Runner) -> Flooded:
        """A flood of flagged accounts."""
        self._options.say("a flood")
        return flooded(runner, self._part, seed=self._options.seed, honest=2 * self.sizes.honest)

    def control(self, runner: Runner, data: Path) -> Control:
        """The literature's test on accounts drawn alike."""
        self._options.say("the control: MMD on windows of 100")
        fitted, held, seed = pools.load(data, "fit"), pools.load(data, "calibrate"), self._options.seed
        test = WindowTest(runner, fitted, held, WINDOWS[JUDGED], seed)
        count = self.sizes.copying
        return Control(
            {
                kind: test.rate(self._part, count, seed, kind=kind)
                for kind in (*world.HONEST, *world.UNFITTED)
            },
            {
                (name, share): test.rate(self._part, count, seed, campaign=name, share=share)
                for name in CAMPAIGNS
                for share in SHARES
            },
        )

    def refits(self, data: Path) -> list[Table]:
        """What is told where the fit did not know a campaign, or was poisoned; nothing in a quick run."""
        if not self.sizes.refitted:
            return []
        from hardening.redteam.detection.making import make  # needs SciPy, of the extra `redteam`

        def refit(**changed: Any) -> Runner:
            self._options.say(f"refitting: {changed}")
            known = make(
                data, self._counter, seed=self._options.seed, accounts=16, say=self._options.say, **changed
            )
            return Runner(known, self._counter)

        left_out: tuple[Row, ...] = tuple(
            (name, *self._told(refit(without=[name]), name)) for name in LEFT_OUT
        )
        poisoned: tuple[Row, ...] = tuple(
            (f"{poison:.0%}", *self._told(refit(poison=poison), "self_instruct")) for poison in POISONS
        )
        columns = (
            "told after 100 requests, share of the campaign",
            *(f"{share:.0%}" for share in SHARES[1:]),
            "people",
        )
        kinds: tuple[Row, ...] = tuple(
            (kind, *self._mistaken(refit(without=[kind]), kind))
            for kind in KINDS_LEFT_OUT
            if kind in world.honest_kinds(self._part)
        )
        return [
            Table(
                "Honest accounts that are told by a fit that did not know their kind, after requests",
                ("kind", *map(str, _KIND_WINDOWS)),
                kinds,
            ),
            Table("A fit that did not know the campaign", ("campaign", *columns[1:]), left_out),
            Table(
                "A fit whose honest prompts were poisoned with self_instruct",
                ("poison", *columns[1:]),
                poisoned,
            ),
        ]

    def _mistaken(self, runner: Runner, kind: str) -> list[float]:
        runs = simulated(
            runner, self._part, seed=self._options.seed, accounts=100, windows=_KIND_WINDOWS, kinds=(kind,)
        )
        return [figures.rate(runs, place, runner.calibration) for place in range(len(_KIND_WINDOWS))]

    def _told(self, runner: Runner, name: str) -> list[float]:
        runs = simulated(
            runner, self._part, seed=self._options.seed, accounts=self.sizes.refitted, windows=(100,),
            kinds=("chat",), campaigns=(name,), shares=SHARES[1:],
        )  # fmt: skip
        groups = figures.grouped(runs)
        told = [figures.rate(groups[name, share], 0, runner.calibration) for share in SHARES[1:]]
        return [*told, figures.rate(groups["chat", 0.0], 0, runner.calibration)]
