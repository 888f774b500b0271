"""The tables of `hardening redteam detection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hardening.redteam.detection import figures, world
from hardening.redteam.detection.control import Control
from hardening.redteam.detection.drift import Drifted
from hardening.redteam.detection.figures import Bin, Group
from hardening.redteam.detection.flood import Flooded
from hardening.redteam.detection.insider import Learnt
from hardening.redteam.detection.runs import ENTER, Run
from hardening.redteam.report import Table
from hardening.state.standing import Calibration

WINDOWS = (20, 50, 90, 100, 200, 500)
JUDGED = WINDOWS.index(100)
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
CAMPAIGNS = (*world.CAMPAIGNS, *world.EVASIONS)
Row = tuple[str | float | None, ...]
_HARD = 0.8  # where the second band of the presets begins
_ENTERS = (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)


class Judged:
    """All accounts, as they stand after each window."""

    def __init__(self, groups: Mapping[Group, list[Run]], calibration: Calibration) -> None:
        self.groups = groups
        self.calibration = calibration
        self.kinds = [name for name, share in groups if not share and name != world.DRIFTING]
        """Honest kinds, those that no fit knows among them."""

    def rate(self, name: str, share: float = 0.0, *, window: int = JUDGED, enter: float = ENTER) -> float:
        """The share of a group that is told."""
        return figures.rate(self.groups[name, share], window, self.calibration, enter=enter)

    @property
    def worst_honest(self) -> tuple[str, float]:
        """The honest kind that is told most often."""
        return figures.worst({kind: self.rate(kind) for kind in self.kinds}, most=True)

    def worst_campaign(self, share: float) -> tuple[str, float]:
        """The campaign that is told least often."""
        return figures.worst({name: self.rate(name, share) for name in CAMPAIGNS}, most=False)

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """For each campaign at a tenth: honest accounts told against its own, over thresholds."""
        false = [max(self.rate(kind, enter=enter) for kind in self.kinds) for enter in _ENTERS]
        return {
            name: [
                (one, self.rate(name, 0.1, enter=enter)) for one, enter in zip(false, _ENTERS, strict=True)
            ]
            for name in CAMPAIGNS
        }

    def notes(self) -> tuple[str, ...]:
        """Which are the worst."""
        told = [f"{share:.0%}: {self.worst_campaign(share)[0]}" for share in (0.1, 0.25)]
        return (
            f"worst honest kind after 100 requests: {self.worst_honest[0]}; worst campaigns: {', '.join(told)}",
        )


def all_of(judged: Judged, control: Control) -> list[Table]:
    """The tables that accounts make."""
    return [
        _honest(judged, control),
        *(_campaigns(judged, control, share) for share in SHARES),
        _times(judged),
        _ablation(judged),
        _curves(judged),
    ]


def _honest(judged: Judged, control: Control) -> Table:
    believed = Judged(judged.groups, figures.believed(judged.calibration))
    rows: list[Row] = [
        (
            kind,
            *_by_window(judged, kind, 0.0),
            judged.rate(kind, enter=_HARD),
            believed.rate(kind),
            control.honest.get(kind),
            _ever(judged, kind),
        )
        for kind in (*judged.kinds, world.DRIFTING)
    ]
    return Table(
        "Honest accounts that are told, after requests",
        (
            "kind",
            *map(str, WINDOWS),
            "100, risk .8",
            "100, largest prior",
            "100, MMD",
            "at any moment of 100",
        ),
        tuple(rows),
    )


def _ever(judged: Judged, kind: str) -> float:
    """The share that is told at some moment, which may have passed before a band begins."""
    runs, last = judged.groups[kind, 0.0], WINDOWS[JUDGED]
    return sum(run.told_at is not None and run.told_at <= last for run in runs) / len(runs)


def _campaigns(judged: Judged, control: Control, share: float) -> Table:
    rows: list[Row] = [
        (name, *_by_window(judged, name, share), control.campaigns[name, share]) for name in CAMPAIGNS
    ]
    return Table(
        f"Campaigns that are told, {share:.0%} of an account's requests",
        ("campaign", *map(str, WINDOWS), "100, MMD"),
        tuple(rows),
    )


def _by_window(judged: Judged, name: str, share: float) -> list[float]:
    return [judged.rate(name, share, window=window) for window in range(len(WINDOWS))]


def _times(judged: Judged) -> Table:
    rows: list[Row] = [
        (name, *[figures.median_told(judged.groups[name, share]) for share in SHARES]) for name in CAMPAIGNS
    ]
    return Table(
        "The request by which half of the accounts are told",
        ("campaign", *(f"{share:.0%}" for share in SHARES)),
        tuple(rows),
    )


def _ablation(judged: Judged) -> Table:
    weights = judged.calibration.weights
    names = [name for name in world.SIGNALS if weights.get(name)]
    deaf = {name: Judged(judged.groups, figures.without(judged.calibration, name)) for name in names}
    rows: list[Row] = [
        (name, judged.rate(name, 0.1), *(deaf[signal].rate(name, 0.1) for signal in names))
        for name in CAMPAIGNS
    ]
    title = "Told after 100 requests at 10 %, with all signals and without one"
    return Table(title, ("campaign", "all", *names), tuple(rows))


def _curves(judged: Judged) -> Table:
    curves = judged.curves()
    rows: list[Row] = [
        (f"{enter:g}", curves[CAMPAIGNS[0]][place][0], *(curves[name][place][1] for name in CAMPAIGNS))
        for place, enter in enumerate(_ENTERS)
    ]
    title = "Told after 100 requests at 10 %, by the risk at which an account is told"
    return Table(title, ("risk", "worst honest kind", *CAMPAIGNS), tuple(rows))


def calibrated(bins: Sequence[Bin]) -> Table:
    """How true risks are."""
    rows = tuple((f"{one.told:.2f}", one.true, one.weight) for one in bins)
    return Table("Risk after 50 and 100 requests", ("risk", "share that copies", "of accounts"), rows)


def drifted(found: Drifted) -> Table:
    """How many honest accounts are in a band that keep changing."""
    shown = (5, 10, 15, 20, 25, 30)
    columns = ("accounts", *(f"day {day}" for day in shown), "worst day", "at any time", "of requests")
    row: Row = (
        str(found.accounts),
        *(found.by_day[day - 1] for day in shown),
        found.worst,
        found.ever,
        found.requests,
    )
    title = "Honest accounts in a band that change what they do five times in 30 days, thresholds as they are"
    return Table(title, columns, (row,))


def flooded(found: Flooded) -> Table:
    """What a flood of flagged accounts ends."""
    cases = (("no flood", found.calm), ("above_max: alarm", found.alarm), ("above_max: shadow", found.shadow))
    rows: tuple[Row, ...] = tuple(
        (name, seen.flagged, float(seen.alarmed), seen.acting["copying"], seen.acting["honest"])
        for name, seen in cases
    )
    columns = ("", "in a band, of all", "alarm", "bands act on who copies", "on honest accounts")
    title = f"A flood among {sum(found.accounts.values()):,} accounts; the risk of others moved by {found.moved:g} at most"
    return Table(title, columns, rows)


def learnt(found: Learnt) -> Table:
    """What an insider with the store learns."""
    rows = (
        ("prompts of which one was asked", float(found.prompts)),
        ("bits told by the difference of one request", found.bits),
        ("first guess right, from one request", found.first_guess),
        ("the same if evidence were not rounded", found.exact_first_guess),
        ("one prompt among twenty, AUC from their sum (.5 is chance)", found.member_auc),
    )
    return Table("What somebody learns who reads the store", ("", "figure"), rows)
