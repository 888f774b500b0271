"""`python -m bench.corpus`: recorded answers through the policies, as a table or as claims."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from bench.corpus import passing
from bench.corpus.checks import Result
from bench.corpus.claims import claims_of
from bench.corpus.dialects import DIALECTS
from bench.corpus.drive import DEFAULT_SPLITS, POLICIES, SPLITS
from bench.corpus.planted import POLICY, Planting, plants, reviewed, unmatched
from bench.corpus.recordings import CorpusError, Recording, read_corpus
from bench.corpus.table import print_claims, print_findings, print_table
from bench.corpus.work import check_all


@dataclass
class Options(argparse.Namespace):
    """The command line; what is None is everything."""

    corpus: Path = field(default_factory=Path)
    json: bool = False
    policy: list[str] | None = None
    split: list[str] | None = None
    format: list[str] | None = None
    seed: int = 1
    jobs: int = 1

    @property
    def partial(self) -> bool:
        """Whether something was left out, so that some claims may have nothing to stand on."""
        return bool(self.policy or self.split or self.format)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and give the exit status: 0 fine, 1 a claim that does not hold, 2 unusable input."""
    options = _options(arguments)
    try:
        corpus = read_corpus(options.corpus, tuple(options.format or DIALECTS), DIALECTS)
    except CorpusError as error:
        print(f"scripts/corpus: {error}", file=sys.stderr)
        return 2
    stdout, stderr = Console(width=_width()), Console(stderr=True)
    results: list[Result] = []
    made = tuple(options.policy or POLICIES), tuple(options.split or DEFAULT_SPLITS), options.seed
    work = check_all(corpus.recordings, made, jobs=options.jobs)
    total = len(corpus.recordings)
    for of_one in track(work, "recordings", total=total, console=stderr, disable=not stderr.is_terminal):
        results += of_one
    if passing.POLICY in made[0] and not options.format:
        results += _passed(corpus.others, made[1], options.seed, stderr)
    if POLICY in made[0]:
        results += _planted(corpus.recordings, stderr, whole=not options.partial)
    claims = claims_of(results, seed=options.seed, partial=options.partial)
    findings = [finding for result in results for finding in result.findings]
    if options.json:
        print(json.dumps({"claims": [asdict(claim) for claim in claims]}, indent=1))
        print_findings(stderr, findings)
    else:
        print_table(stdout, results, corpus.others)
        print_claims(stdout, claims)
        print_findings(stdout, findings)
    return 0 if claims and all(claim.holds for claim in claims) else 1


def _passed(
    others: Sequence[Recording], splits: tuple[str, ...], seed: int, console: Console
) -> list[Result]:
    """The recordings that no codec reads, which `observe` lets through as they are."""
    through = passing.Passing(splits, seed)
    rows = track(others, "no codec", console=console, disable=not console.is_terminal)
    return [through.check(recording) for recording in rows]


def _planted(recordings: Sequence[Recording], console: Console, *, whole: bool) -> list[Result]:
    """A sentence in the place of each string; of a `whole` run the lines of the reviewed list that had none."""
    planted, planting = plants(recordings), Planting()
    results = [
        planting.check(plant)
        for plant in track(planted, "planted", console=console, disable=not console.is_terminal)
    ]
    if whole and (without := unmatched(planted, reviewed())):
        told = ", ".join(without)
        console.print(
            f"planted.yaml names what is not in these recordings: {told}", highlight=False, soft_wrap=True
        )
    return results


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser("scripts/corpus", description=__doc__, allow_abbrev=False)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument("--json", action="store_true", help="write the claims, and nothing else, to stdout")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="may be given several times")
    parser.add_argument("--split", action="append", choices=SPLITS, help="default: whole, byte, random")
    parser.add_argument("--format", action="append", choices=tuple(DIALECTS))
    parser.add_argument("--seed", type=int, default=1, help="of the random splits")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    return parser.parse_args(arguments, namespace=Options())


def _width() -> int | None:
    """A width that holds the table where stdout is no terminal."""
    return None if sys.stdout.isatty() else 160


if __name__ == "__main__":
    sys.exit(main())
