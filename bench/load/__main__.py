"""`python -m bench.load`: clients on real workers that share a store; every token found again, or exit 1."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.load.clients import Told, play
from bench.load.kept import Kept, together
from bench.load.plan import POLICY, Ask, asks
from bench.load.stores import STORES, Place, spent
from bench.load.verdict import Outcome, gathered, rows, show
from bench.report import machine, measured
from hardening.policy import load_policy
from hardening.redteam.claims import Claim, goals, judge
from hardening.state import HeldStore, open_store

_START_S, _STOP_S, _SETTLE_S = 180.0, 60.0, 1.0


@dataclass
class Options(argparse.Namespace):
    """The command line."""

    requests: int = 20_000
    seconds: float = 0.0
    clients: int = 200
    workers: int = 4
    state: str = "sqlite"
    keep: Path | None = None
    seed: int = 7
    json: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and give the exit status: 0 fine, 1 a claim that does not hold."""
    options = _options(arguments)
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="hardening-load-") as made:
        folder = Path(made)
        (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
        outcome = (
            _fresh(options, folder, console) if options.keep is None else _more(options, folder, console)
        )
    found = rows(outcome)
    claims = judge(goals("load"), measured(found), seed=options.seed)
    if options.json:
        print(json.dumps(_report(options, outcome, claims), indent=1))
    else:
        title = f"{options.state}: {options.workers} workers, {options.clients} clients"
        show(title, found, claims, Console(highlight=False))
    return 0 if all(claim.holds for claim in claims) else 1


def _fresh(options: Options, folder: Path, console: Console) -> Outcome:
    """What came of a run on an empty store."""
    with STORES[options.state](folder) as place:
        return _run(options, folder, place, console, 0)


def _more(options: Options, folder: Path, console: Console) -> Outcome:
    """What came of this run and of those before it on the same store."""
    assert options.keep is not None
    kept = Kept(options.keep, {"state": options.state, "seed": options.seed, "policy": POLICY})
    earlier = kept.earlier
    with kept.running(), STORES[options.state](kept.folder) as place:
        outcome = _run(options, folder, place, console, earlier.requests if earlier else 0)
        if earlier is not None:
            outcome = together(earlier, outcome)
        kept.write(outcome)
    return outcome


def _run(options: Options, folder: Path, place: Place, console: Console, done: int) -> Outcome:
    """What came of the requests after those that are `done`."""
    # Once and not in four workers at the same time, which on a busy machine takes longer than a start may.
    subprocess.run([sys.executable, "-m", "hardening", "warm"], check=True, stdout=subprocess.DEVNULL)
    environment = {"LOAD_FOLDER": str(folder), "HARDENING_STATE": place.url, "HARDENING_KEY": "k" * 32}
    with serving(folder, options.workers, environment) as port:
        began, used_s = time.monotonic(), time.process_time()
        asked, told = _played(options, port, console, done)
        seconds, used_s = time.monotonic() - began, time.process_time() - used_s
        time.sleep(_SETTLE_S)  # apps whose client left may still be at their last chunk
    found, sums = gathered(folder)
    if len(found) != options.workers:
        raise SystemExit(f"found {len(found)} reports of {options.workers} workers: one of them has failed")
    if place.open_leases is None:
        total: Counter[str] = Counter()
        for one in found:
            total.update(one["spent"])
        left, open_leases = dict(total), sum(one["open"] for one in found)  # type: ignore[misc]
    else:
        open_leases = place.open_leases()
        left = asyncio.run(_spent(place.url, folder))
    unanswered = sum(one["unanswered"] for one in found)
    return Outcome(
        asked,
        seconds,
        used_s,
        sum(one["cpu_s"] for one in found),
        told,
        **sums,
        unanswered=unanswered,
        spent=left,
        open_leases=open_leases,
    )


def _played(options: Options, port: int, console: Console, done: int) -> tuple[int, Told]:
    """How many requests were made, and what came of them."""
    asked = itertools.count()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("requests", total=options.requests, completed=done)
        told = asyncio.run(
            play(port, _in_time(options, asked, done), options.clients, lambda: progress.advance(bar))
        )
    return next(asked), told


def _in_time(options: Options, asked: Iterator[int], done: int) -> Iterator[Ask]:
    """The requests after those that are done, until their time is over; `asked` counts them."""
    end = time.monotonic() + (options.seconds or math.inf)
    for ask in itertools.islice(asks(options.requests, options.seed), done, None):
        if time.monotonic() > end:
            return
        next(asked)
        yield ask


async def _spent(url: str, folder: Path) -> dict[str, float]:
    store = open_store(url)
    try:
        return await spent(store, dict(load_policy(folder / "policy.yaml").limits))
    finally:
        if isinstance(store, HeldStore):
            closing = store.close()
            if closing is not None:
                await closing


@contextmanager
def serving(folder: Path, workers: int, environment: Mapping[str, str]) -> Iterator[int]:
    """The port of uvicorn with so many workers, ended by its own id afterwards."""
    command = [sys.executable, "-m", "uvicorn", "bench.load.server:app", "--workers", str(workers)]
    quiet = ["--port", "0", "--no-access-log", "--backlog", "4096"]
    log = folder / "server.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [*command, *quiet],
            env={**os.environ, **environment},
            stderr=written,
            cwd=Path(__file__).parents[2],
        ) as server,
    ):
        try:
            yield _port(server, log, workers)
        finally:
            server.terminate()
            try:
                server.wait(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _port(server: subprocess.Popen[bytes], log: Path, workers: int) -> int:
    """Where it listens, as soon as all workers have started."""
    end = time.monotonic() + _START_S
    said = ""
    while server.poll() is None and time.monotonic() < end:
        said = log.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", said)
        if found and said.count("Application startup complete") == workers:
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"the workers did not start:\n{said}")


def _report(options: Options, outcome: Outcome, claims: Sequence[Claim]) -> dict[str, object]:
    return {
        "report": "load",
        "machine": machine(),
        "state": options.state,
        "workers": options.workers,
        "clients": options.clients,
        "requests": outcome.requests,
        "seconds": round(outcome.seconds, 1),
        "cpu_us": {
            "workers": round(1e6 * outcome.worker_cpu_s / outcome.requests),
            "clients": round(1e6 * outcome.client_cpu_s / outcome.requests),
        },
        "outcomes": outcome.outcomes,
        "claims": [asdict(claim) for claim in claims],
    }


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser("scripts/load", description=__doc__, allow_abbrev=False)
    default = Options()
    parser.add_argument("--requests", type=int, default=default.requests, help="how many (20000)")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="at most so long (no bound)")
    parser.add_argument("--clients", type=int, default=default.clients, help="how many ask at once (200)")
    parser.add_argument("--workers", type=int, default=default.workers, help="processes (4)")
    parser.add_argument("--state", choices=tuple(STORES), default=default.state)
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep store and sums there, and go on from those of the last run",
    )
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--json", action="store_true", help="write one object, and nothing else, to stdout")
    options = parser.parse_args(arguments, namespace=default)
    if options.keep is not None and options.state == "memory":
        parser.error("--keep: memory ends with its workers")
    return options


if __name__ == "__main__":
    sys.exit(main())
