"""The recordings shared out to processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from bench.corpus.checks import Checks, Result
from bench.corpus.recordings import Recording

Run = tuple[tuple[str, ...], tuple[str, ...], int]  # policies, splits, seed

_AT_ONCE = 8  # recordings that a process takes at a time

_checks: list[Checks] = []  # of this process


def check_all(recordings: Sequence[Recording], run: Run, *, jobs: int) -> Iterator[list[Result]]:
    """The results of each recording, in order; with one job in this process."""
    if jobs == 1:
        yield from map(Checks(*run).check, recordings)
        return
    spawn = multiprocessing.get_context("spawn")  # compiled code and threads do not survive a fork
    with ProcessPoolExecutor(jobs, spawn, _start, run) as processes:
        yield from processes.map(_check, recordings, chunksize=_AT_ONCE)


def _start(policies: tuple[str, ...], splits: tuple[str, ...], seed: int) -> None:
    _checks.append(Checks(policies, splits, seed))


def _check(recording: Recording) -> list[Result]:
    return _checks[0].check(recording)
