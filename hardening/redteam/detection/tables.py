"""The tables of `hardening redteam detection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hardening.redteam.detection import figures, world
from hardening.redteam.detection.control import Control
from hardening.redteam.detection.figures import Bin, Group
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
_BURNERS = (20, 50, 90)
_NEW = 50  # requests of an account that a policy may treat as new: `risk.new: {until: {requests: 50}}`
_ENTERS = (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)


class Judged:
    """All accounts, as they stand after each window."""

    def __init__(self, groups: Mapping[Group, list[Run]], calibration: Calibration) -> None:
        self.groups = groups
        self.calibration = calibration

    def rate(self, name: str, share: float = 0.0, *, window: int = JUDGED, enter: float = ENTER) -> float:
        """The share of a group that is told."""
        return figures.rate(self.groups[name, share], window, self.calibration, enter=enter)

    @property
    def worst_honest(self) -> tuple[str, float]:
        """The honest kind that is told most often."""
        return figures.worst({kind: self.rate(kind) for kind in world.HONEST}, most=True)

    def worst_campaign(self, share: float) -> tuple[str, float]:
        """The campaign that is told least often."""
        return figures.worst({name: self.rate(name, share) for name in CAMPAIGNS}, most=False)

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """For each campaign at a tenth: honest accounts told against its own, over thresholds."""
        false = [max(self.rate(kind, enter=enter) for kind in world.HONEST) for enter in _ENTERS]
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
        _burners(judged),
        _ablation(judged),
    ]


def _honest(judged: Judged, control: Control) -> Table:
    rows: list[Row] = [
        (kind, *_by_window(judged, kind, 0.0), judged.rate(kind, enter=_HARD), control.honest.get(kind))
        for kind in (*world.HONEST, world.DRIFTING)
    ]
    return Table(
        "Honest accounts that are told, after requests",
        ("kind", *map(str, WINDOWS), "100, risk .8", "100, MMD"),
        tuple(rows),
    )


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


def _burners(judged: Judged) -> Table:
    rows: list[Row] = []
    for name in CAMPAIGNS:
        runs = judged.groups[name, 1.0]
        got = [figures.given_out(runs, count) for count in _BURNERS]
        rows.append((name, *got, figures.given_out(runs, _BURNERS[-1], after=_NEW)))
    columns = ("campaign", *(f"of {count}" for count in _BURNERS), f"of 90, first {_NEW} under `risk.new`")
    return Table("Answers in full that an account of nothing but the campaign gets", columns, tuple(rows))


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


def calibrated(bins: Sequence[Bin]) -> Table:
    """How true risks are."""
    rows = tuple((f"{one.told:.2f}", one.true, one.weight) for one in bins)
    return Table("Risk after 50 and 100 requests", ("risk", "share that copies", "of accounts"), rows)


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
