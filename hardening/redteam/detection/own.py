"""An operator's own calibration: the shipped reference, fitted to traffic that he vouches for.

Honest prompts set how sure wording may be (the mean likelihood ratio of honest prompts is one, as that of a true
ratio is) and the prior (so few of his own accounts are told as he allows). Prompts of an attack that he confirmed
add a third campaign. Biases and the prior only fall: fewer honest accounts are told, and so fewer of whoever is among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from hardening.kernels.prompts import BUCKETS
from hardening.redteam.detection.runs import ENTER, KEY
from hardening.scoring.evidence import evidence
from hardening.scoring.reference import FITTED, Reference
from hardening.scoring.request import Facts, Read, Reader
from hardening.scoring.sketch import COARSE, Sketch
from hardening.scoring.tokens import TokenCounter
from hardening.state.standing import Record, merged, slotted

FEWEST = 200
"""Prompts on either side below which nothing is fitted."""
_MOST_BYTES = 1 << 30
_TOGETHER = 100  # prompts of an account, where rows name none
_OWN = FITTED - 1


class Asked(NamedTuple):
    """One prompt of a file, and whose it is."""

    prompt: str
    account: str


class Summary(NamedTuple):
    """How many accounts are told: of the honest ones before and after, and of the attack's that no fit has seen."""

    honest_accounts: int
    honest_before: float
    honest_after: float
    attack_accounts: int
    attack_before: float | None
    attack_after: float | None


def rows(path: Path) -> list[Asked]:
    """The prompts of a JSONL file, `{"prompt": ..., "account": ...}` a line; a hundred in order are an account where none is named.

    Raises:
        LookupError: the file is not readable, or a line is none; the text never shows a prompt.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise LookupError(f"{path}: more than {_MOST_BYTES >> 30} GiB")
        lines = path.read_bytes().split(b"\n")
    except OSError as fault:
        raise LookupError(f"{path}: {fault.strerror}") from None
    found = [_row(line, place, path) for place, line in enumerate(lines, 1) if line.strip()]
    if len(found) < FEWEST:
        raise LookupError(f"{path}: {len(found)} prompts, at least {FEWEST} are needed")
    return found


def _row(line: bytes, place: int, path: Path) -> Asked:
    try:
        row = orjson.loads(line)
    except ValueError:
        raise LookupError(f"{path}:{place}: no JSON") from None
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        raise LookupError(f'{path}:{place}: expected an object with a "prompt" that is text')
    return Asked(row["prompt"], str(row.get("account", place // _TOGETHER)))


def calibrated(
    known: Reference, counter: TokenCounter, honest: Sequence[Asked], attack: Sequence[Asked], most: float
) -> tuple[Reference, Summary]:
    """The reference for an operator's traffic, with at most a share `most` of his honest accounts told, and what it does."""
    reader = Reader(counter, known.rates, KEY)
    ours, theirs = _accounts(reader, honest), _accounts(reader, attack)
    fitted = known
    if attack:
        fitted = _with_own(known, *(_halves(accounts) for accounts in (ours, theirs)))
    fitted = _surer(fitted, [read for account in ours for read in account])
    fitted = _bounded(fitted, ours, most)
    held = [account for place, account in enumerate(theirs) if place % 2]
    before, after = ((_told(one, ours), _told(one, held) if held else None) for one in (known, fitted))
    return fitted, Summary(len(ours), before[0], after[0], len(held), before[1], after[1])


def _accounts(reader: Reader, asked: Iterable[Asked]) -> list[list[Read]]:
    by_account: dict[str, list[Read]] = {}
    for one in asked:
        by_account.setdefault(one.account, []).append(reader.read(one.prompt))
    return list(by_account.values())


def _halves(accounts: Sequence[Sequence[Read]]) -> tuple[list[Read], list[Read]]:
    """The prompts of every second account, and those of the others."""
    first, second = ([read for account in accounts[start::2] for read in account] for start in (0, 1))
    if not second:
        raise LookupError("one account alone: half of them is kept for judging, so two are needed")
    return first, second


def _with_own(
    known: Reference, ours: tuple[list[Read], list[Read]], theirs: tuple[list[Read], list[Read]]
) -> Reference:
    from hardening.redteam.detection import fit  # needs SciPy, of the extra `redteam`

    row, scale, bias = fit.told({"": ours[0]}, theirs[0], {"": ours[1]}, theirs[1])
    weights, scales, biases = known.weights.copy(), known.scales.copy(), known.biases.copy()
    weights[_OWN], scales[_OWN], biases[_OWN] = row, scale, bias
    usual = np.minimum(known.usual, fit.surprisal(fit.shares(theirs[0], BUCKETS >> COARSE, COARSE)))
    return replace(known, weights=weights, scales=scales, biases=biases, usual=usual)


def _surer(known: Reference, honest: Sequence[Read]) -> Reference:
    """The reference whose ratios are one in the mean over honest prompts, where they were more."""
    biases = known.biases.copy()
    for place in np.flatnonzero(known.scales):
        row = known.weights[place] * known.scales[place]
        ratios = [
            math.exp(min(float(row[read.prompt.features].sum()) + biases[place], 20.0)) for read in honest
        ]
        biases[place] -= max(0.0, math.log(sum(ratios) / len(ratios)))
    return replace(known, biases=biases)


def _bounded(known: Reference, honest: Sequence[Sequence[Read]], most: float) -> Reference:
    """The reference with a prior at which no more honest accounts are told than are allowed."""
    calibration = known.calibration()
    odds = sorted((_odds(known, account) for account in honest), reverse=True)
    allowed = odds[min(int(most * len(odds)), len(odds) - 1)] - calibration.prior
    return replace(known, prior=min(known.prior, math.log(ENTER / (1.0 - ENTER)) - allowed - 1e-6))


def _told(known: Reference, accounts: Sequence[Sequence[Read]]) -> float:
    entered = math.log(ENTER / (1.0 - ENTER))
    return sum(_odds(known, account) >= entered for account in accounts) / len(accounts)


def _odds(known: Reference, account: Sequence[Read]) -> float:
    """The largest log-odds that an account reaches."""
    signals, calibration = known.signals(), known.calibration()
    sketch, record, highest = Sketch(), Record(0.0, 0.0), calibration.prior
    for place, read in enumerate(account):
        record = merged(
            record, slotted(evidence(read, Facts(float(place)), sketch, signals)), 1.0, calibration
        )
        if record.weight >= calibration.least:
            heard = sum(weight * record.sums[slot] for slot, weight in calibration.by_slot)
            highest = max(highest, calibration.prior + heard)
    return highest
