"""Fits a reference: weights of features on one part of the sets, the risk on another; needs SciPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]

from hardening.kernels.prompts import BUCKETS, RATE_NATS
from hardening.scoring.lexicon import LEVELS
from hardening.scoring.reference import FITTED, SAID, Reference
from hardening.scoring.request import Read
from hardening.scoring.signals import mixture
from hardening.scoring.sketch import COARSE
from hardening.state.standing import SLOTS

Floats = NDArray[np.float64]
Told = tuple[NDArray[np.int8], float, float]
Sets = Mapping[str, Sequence[Read]]

PREVALENCE = 0.1
"""The share of campaigns' accounts that the risk is stated for."""
_RIDGE = 1.0
_WEIGHT = 1000.0  # of each side of the fit, in prompts
_MOST_BIAS = -1.0  # nats: of a prompt of which nothing is known, in another language for example
_FEWEST = 3  # prompts: a bucket of fewer is one of their subjects
_LARGEST = 127  # of an int8
_LEVEL_CAPS = (0.0, 0.0, 0.5, 0.9)  # nats: it takes three requests that nobody sends by chance
_SILENT_NATS = -0.01
"""Of a request that says no such phrase: one false hit in a hundred requests moves nobody."""
_GIVEN = 1.7  # the weight of sums that no set has examples of
_BOUNDS = {"phrasing": (0.0, 4.4)} | dict.fromkeys(
    ("templates", "elicitation", "grading", "synthesis", "rhythm", "switch"), (0.0, 1.7)
)
"""What the weight of a fitted sum is within: with `_MOST_PRIOR` two strong requests bring nobody into a band."""
_MOST_PRIOR = -3.1
"""Of the log-odds without evidence: one request more, by wording, or two, by phrases, than the most that chance says."""
_RISK_RIDGE = 0.05
_NO_CAMPAIGN: Told = (np.zeros(BUCKETS, np.int8), 0.0, 0.0)


def nothing() -> Reference:
    """A reference that knows nothing, to read prompts with before there is one."""
    return Reference(
        np.zeros((FITTED, BUCKETS), np.int8), np.zeros(FITTED), np.zeros(FITTED), np.full(BUCKETS, 255, np.uint8), np.full(BUCKETS >> COARSE, 255, np.uint8),
        np.zeros((len(SAID), LEVELS)), 0.0, np.zeros(len(SLOTS)),
    )  # fmt: skip


def rates(honest: Sets) -> NDArray[np.uint8]:
    """The surprisal of each bucket among honest prompts, every set as weighty as any other."""
    return surprisal(np.mean([shares(reads, BUCKETS, 0) for reads in honest.values()], axis=0))


def wording(
    reference: Reference,
    honest: Sets,
    campaigns: Sets,
    held: tuple[Sets, Sets],
    fitted: Sequence[str],
    people: Sequence[str],
) -> Reference:
    """The weights that tell each fitted campaign from honest prompts; `held` are other prompts of both, which set the scale.

    What is usual is what `people` and these campaigns say: a program is to be stale that repeats what programs do.
    """
    found = [told(honest, campaigns[name], held[0], held[1][name]) for name in fitted]
    found += [_NO_CAMPAIGN] * (FITTED - len(found))
    rows, scales, biases = zip(*found, strict=True)
    groups = (*(honest[name] for name in people), *(campaigns[name] for name in fitted))
    usual = np.max([shares(reads, BUCKETS >> COARSE, COARSE) for reads in groups], axis=0)
    levels = np.array([_levels(name, honest, campaigns) for name in SAID])
    return replace(
        reference,
        weights=np.array(rows),
        scales=np.array(scales),
        biases=np.array(biases),
        usual=surprisal(usual),
        levels=levels,
    )


def told(honest: Sets, campaign: Sequence[Read], held_honest: Sets, held: Sequence[Read]) -> Told:
    """Weights of the buckets, their scale, and the bias, of one campaign against all honest prompts."""
    fitted, answers, counted = _rows(honest, {"": campaign})
    theta = _logistic(fitted, answers, counted, _RIDGE, _MOST_BIAS)
    theta[:-1][np.asarray(fitted.sum(axis=0)).ravel() < _FEWEST] = 0.0
    scale = max(1e-6, float(np.abs(theta[:-1]).max())) / _LARGEST
    whole = np.rint(theta[:-1] / scale).astype(np.int8)
    rows, sides, weights = _rows(held_honest, {"": held})
    scores = (rows @ (whole * scale) + theta[-1])[:, None]
    slope = min(max(float(_logistic(sparse.csr_matrix(scores), sides, weights, 0.0, 0.0)[0]), 0.05), 1.0)
    return whole, scale * slope, float(theta[-1] * slope)


def _levels(name: str, honest: Sets, campaigns: Sets) -> list[float]:
    """Nats of each level: the campaign that says it most, against the honest set that does, capped."""
    nats = []
    for level, cap in enumerate(_LEVEL_CAPS):
        theirs = max(_share_at(name, level, reads, 0.0) for reads in campaigns.values())
        ours = max(
            _share_at(name, level, reads, 1.0)
            for key, reads in honest.items()
            if name != "grading" or key != "evaluations"
        )
        nats.append(min(cap, mixture(float(np.log(max(theirs, 1e-3) / ours)))))
    silent = 0.0 if name == "grading" else _SILENT_NATS  # gated: silence beside a pattern clears nobody of it
    return [silent, *(max(0.0, one) for one in nats[1:])]


def _share_at(name: str, level: int, reads: Sequence[Read], more: float) -> float:
    said: list[bool] = [getattr(read, name) == level for read in reads]
    return (sum(said) + more) / (len(reads) + more)


class Accounts(NamedTuple):
    """Sums of evidence of accounts (accounts by slots), whether each is a campaign's, and how much each counts."""

    sums: Floats
    copies: NDArray[np.bool_]
    weights: Floats


def risk(reference: Reference, accounts: Accounts) -> Reference:
    """The reference with the weights of the sums, none below 0, and the prior."""
    sides = accounts.copies.astype(np.float64)

    def loss(flat: Floats) -> tuple[float, Floats]:
        scores = accounts.sums @ flat[:-1] + flat[-1]
        off = accounts.weights * (_sigmoid(scores) - sides)
        signed = np.where(accounts.copies, scores, -scores)
        value = float(
            (accounts.weights * np.logaddexp(0.0, -signed)).sum() + _RISK_RIDGE / 2 * (flat[:-1] ** 2).sum()
        )
        return value, np.append(accounts.sums.T @ off + _RISK_RIDGE * flat[:-1], off.sum())

    bounds = [_BOUNDS.get(name, (_GIVEN, _GIVEN)) for name in SLOTS]
    start = [most for _, most in bounds]
    best = minimize(
        loss, [*start, _MOST_PRIOR - 1.0], jac=True, method="L-BFGS-B", bounds=[*bounds, (-12.0, _MOST_PRIOR)]
    )
    return replace(reference, prior=float(best.x[-1]), slots=np.round(best.x[:-1], 4))


def _rows(honest: Sets, campaigns: Sets) -> tuple[sparse.csr_matrix, Floats, Floats]:
    groups = [*honest.values(), *campaigns.values()]
    flat = [read.prompt.features for group in groups for read in group]
    starts = np.cumsum([0, *map(len, flat)])
    matrix = sparse.csr_matrix(
        (np.ones(starts[-1]), np.concatenate(flat), starts), shape=(len(flat), BUCKETS)
    )
    sides = np.concatenate(
        [np.full(len(group), float(place >= len(honest))) for place, group in enumerate(groups)]
    )
    sizes = (len(honest), len(campaigns))
    weights = np.concatenate(
        [
            np.full(len(group), _WEIGHT / sizes[place >= len(honest)] / len(group))
            for place, group in enumerate(groups)
        ]
    )
    return matrix, sides, weights


def _logistic(rows: sparse.csr_matrix, sides: Floats, weights: Floats, ridge: float, most: float) -> Floats:
    """Weights of the columns and, last, the bias, which is at most so much."""
    turned = rows.T.tocsr()

    def loss(flat: Floats) -> tuple[float, Floats]:
        scores = rows @ flat[:-1] + flat[-1]
        signed = np.where(sides > 0, scores, -scores)
        off = weights * (_sigmoid(scores) - sides)
        value = float((weights * np.logaddexp(0.0, -signed)).sum() + ridge / 2 * (flat[:-1] ** 2).sum())
        return value, np.append(turned @ off + ridge * flat[:-1], off.sum())

    start = np.append(np.zeros(rows.shape[1]), most)
    bounds = [(None, None)] * rows.shape[1] + [(None, most)]
    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found


def _sigmoid(scores: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(scores, -50, 50)))


def shares(reads: Sequence[Read], size: int, coarse: int) -> Floats:
    """Of each bucket the share of prompts that have it, smoothed."""
    counts = np.full(size, 0.5)
    for read in reads:
        counts[np.unique(read.prompt.features >> coarse)] += 1
    return counts / (len(reads) + 1.0)


def surprisal(found: Floats) -> NDArray[np.uint8]:
    """Shares as surprisal, in the units of a reference's tables."""
    return np.minimum(np.rint(-np.log(found) / RATE_NATS), 255).astype(np.uint8)
