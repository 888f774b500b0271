"""Figures of runs: who is told at which window, how true risks are, what each signal is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hardening.redteam.detection.fit import PREVALENCE
from hardening.redteam.detection.runs import ENTER, Run
from hardening.state.standing import BandAt, Calibration, Evidence, Scale, risk

BINS = 10
PRESET_BANDS = (BandAt("watch", ENTER, 0.4),)
"""The lowest band of the presets."""
Group = tuple[str, float]


def grouped(runs: Sequence[Run]) -> dict[Group, list[Run]]:
    """Runs by kind or campaign, and share."""
    groups: dict[Group, list[Run]] = {}
    for run in runs:
        groups.setdefault((run.campaign or run.kind, run.share), []).append(run)
    return groups


def rate(runs: Sequence[Run], window: int, calibration: Calibration, *, enter: float = ENTER) -> float:
    """The share of accounts whose risk is `enter` or more, by the record of a window's place, of those that got there."""
    risks = [risk(run.records[window], calibration) for run in runs if window < len(run.records)]
    return sum(one >= enter for one in risks) / len(risks)


def without(calibration: Calibration, signal: str) -> Calibration:
    """A calibration that does not listen to one signal."""
    return replace(
        calibration, weights={name: weight for name, weight in calibration.weights.items() if name != signal}
    )


def believed(calibration: Calibration) -> Calibration:
    """A calibration with the largest prior that an app can bring about, under the bands of the presets."""
    evidence = Evidence((), Scale(calibration, PRESET_BANDS), prior=math.inf)
    return replace(calibration, prior=evidence.start)


class Bin(NamedTuple):
    """Accounts with about one risk: what was told, and the share that copies; `weight` of all."""

    told: float
    true: float
    weight: float


def calibration_bins(runs: Sequence[Run], windows: Sequence[int], calibration: Calibration) -> list[Bin]:
    """Risk by ten bins against the share that copies, one account in ten being a campaign's."""
    groups = grouped(runs)
    copying = sum(group[0].campaign is not None for group in groups.values())
    sums = np.zeros((BINS, 3))
    for group in groups.values():
        copies = group[0].campaign is not None
        side = PREVALENCE / copying if copies else (1.0 - PREVALENCE) / (len(groups) - copying)
        for run in group:
            for window in windows:
                told, weight = risk(run.records[window], calibration), side / len(group) / len(windows)
                sums[min(int(told * BINS), BINS - 1)] += (weight * told, weight * copies, weight)
    return [
        Bin(float(told / weight), float(true / weight), float(weight))
        for told, true, weight in sums
        if weight
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: how far risks are from shares, over accounts."""
    return sum(one.weight * abs(one.told - one.true) for one in bins)


def median_told(runs: Sequence[Run]) -> float | None:
    """The request by which half of the accounts are told; None where it is fewer."""
    places = sorted(run.told_at or math.inf for run in runs)
    middle = places[(len(places) - 1) // 2]
    return None if math.isinf(middle) else float(middle)


def worst(rates: Mapping[str, float], *, most: bool) -> tuple[str, float]:
    """The group with the largest or the smallest rate."""
    pick = max if most else min
    name = pick(rates, key=lambda one: rates[one])
    return name, rates[name]
