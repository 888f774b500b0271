"""What long runs have counted so far, kept beside their store, so that the next one goes on from there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load.clients import Told
from bench.load.verdict import Outcome


class Kept:
    """A folder with a store in it, and the outcome of all runs on it.

    Raises:
        SystemExit: the runs of this folder were others, or one of them did not come to its end.
    """

    def __init__(self, folder: Path, run: Mapping[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._run = dict(run)
        self._sums = folder / "sums.json"
        self._running = folder / "running"
        if self._running.exists():
            raise SystemExit(
                f"a run in {folder} was broken off: nobody knows what it used; name a new folder"
            )
        self.earlier = self._read() if self._sums.exists() else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """The time in which the store and the sums differ; one that ends by a fault is never over."""
        self._running.touch()
        yield
        self._running.unlink()

    def write(self, outcome: Outcome) -> None:
        """Keep what all runs have counted."""
        told = {
            "statuses": outcome.told.statuses,
            "chunks": outcome.told.chunks,
            "broken": outcome.told.broken,
        }
        sums = {name: getattr(outcome, name) for name in (*_NUMBERS, *_COUNTERS)}
        self._sums.write_text(
            json.dumps({"run": self._run, "told": told, **sums}, indent=1), encoding="utf-8"
        )

    def _read(self) -> Outcome:
        found = json.loads(self._sums.read_text(encoding="utf-8"))
        if found["run"] != self._run:
            raise SystemExit(f"{self.folder} holds a run of {found['run']}, this is one of {self._run}")
        told = Told()
        told.statuses.update(found["told"]["statuses"])
        told.chunks.update(found["told"]["chunks"])
        told.broken = found["told"]["broken"]
        counters: dict[str, Any] = {name: Counter(found[name]) for name in _COUNTERS}
        numbers: dict[str, Any] = {name: found[name] for name in _NUMBERS}
        return Outcome(told=told, spent={}, open_leases=0, **numbers, **counters)


_NUMBERS = ("requests", "seconds", "client_cpu_s", "worker_cpu_s", "unanswered")
_COUNTERS = ("made", "settled", "outcomes")


def together(earlier: Outcome, last: Outcome) -> Outcome:
    """Two runs on one store as one; what the store says, it says of both."""
    told = Told()
    for one in (earlier.told, last.told):
        told.statuses.update(one.statuses)
        told.chunks.update(one.chunks)
        told.broken += one.broken
    sums: dict[str, Any] = {
        name: getattr(earlier, name) + getattr(last, name) for name in (*_NUMBERS, *_COUNTERS)
    }
    return Outcome(told=told, spent=last.spent, open_leases=last.open_leases, **sums)
