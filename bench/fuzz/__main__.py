"""`python -m bench.fuzz`: made-up bodies through whole exchanges, until the time is up or something gives."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from rich.console import Console

from bench.fuzz.properties import FORMATS, PROPERTIES
from hardening.wire.codec import CODECS

_EXAMPLES = 100  # between two looks at the clock


def attempt(name: str, format: str, seed: int, examples: int = _EXAMPLES) -> None:
    """Hold one property against so many bodies of a format; raises what the smallest bad one raises."""

    @with_seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.randoms(use_true_random=False))
    def holds(chance: object) -> None:
        PROPERTIES[name](CODECS[format], chance)  # type: ignore[arg-type]

    holds()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is up: exit 0 without a finding, 1 with one, with what gives it again."""
    parser = argparse.ArgumentParser("scripts/fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where chance begins")
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--property", action="append", choices=tuple(PROPERTIES))
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    seed, tried, ends = options.seed, 0, time.monotonic() + options.seconds
    pairs = [
        (name, format) for name in options.property or PROPERTIES for format in options.format or FORMATS
    ]
    while time.monotonic() < ends:
        for name, format in pairs:
            try:
                attempt(name, format, seed)
            except Exception as finding:  # noqa: BLE001  whatever is raised is a finding
                console.print(
                    f"{format}: {name}: {type(finding).__name__}: {finding}", markup=False, soft_wrap=True
                )
                print(f"scripts/fuzz --seconds 1 --seed {seed} --format {format} --property {name}")
                return 1
            tried += _EXAMPLES
        seed += 1
        console.print(f"{tried:,} bodies, no finding, {max(0.0, ends - time.monotonic()):.0f} s to go")
    print(f"{tried:,} bodies of {len(pairs)} kinds, no finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
