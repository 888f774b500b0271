#!/usr/bin/env python3
"""Writes `hardening/scoring/reference.npz` from a folder of prompt sets; see `scripts/fit-reference`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from hardening import kernels
from hardening.redteam.detection.making import make
from hardening.redteam.detection.pools import TALKS
from hardening.scoring import reference, tokens
from hardening.state.standing import SLOTS

TARGET = Path(reference.__file__).with_name(reference.FILE)
SEED = 7


def main(data: Path) -> None:
    """Fit, write, and say what was found."""
    if not (data / TALKS).exists():
        sys.exit(f"{data / TALKS} is not there: without it people are told; reference.md says what it is")
    kernels.warm()
    say = sys.stdout.write
    known = make(data, tokens.load(), seed=SEED, say=_progress)
    known.save(TARGET)
    packed = TARGET.read_bytes()
    say(f"prior {known.prior:.3f}\n")
    for name, weight in zip(SLOTS, known.slots, strict=True):
        say(f"{name} {weight:.3f}\n")
    say(f"levels {known.levels.tolist()}\n")
    say(f"{TARGET.name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}\n")


def _progress(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/fit-reference DIR, a folder with the sets of `hardening redteam detection`")
    main(Path(sys.argv[1]))
