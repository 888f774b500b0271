#!/usr/bin/env python3
"""Writes `hardening/transform/tagger.npz` from a folder of annotated traces; see `scripts/fit-tagger`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from hardening.redteam.reasoning.fit import fit, save
from hardening.redteam.reasoning.labels import annotated
from hardening.redteam.reasoning.selftalk import Found, folds, together
from hardening.transform import tagger

TARGET = Path(tagger.__file__).with_name(tagger.FILE)


def main(data: Path) -> None:
    """Judge fits, each on a model's traces that it has not seen; then write the fit to all of them."""
    traces = annotated(data)
    say = sys.stdout.write
    done = folds(traces)
    say("traces of, self-talk by weights, by first word\n")
    for fold in done:
        say(f"{fold.model}, {_told(fold.tagger)}, {_told(fold.baseline)}\n")
    both = together(done)
    say(f"all, {_told(both.tagger)}, {_told(both.baseline)}\n")
    save(fit([trace for seen in traces.values() for trace in seen]), TARGET)
    packed = TARGET.read_bytes()
    say(f"{TARGET.name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}\n")


def _told(found: Found) -> str:
    return f"P {found.precision:.3f} R {found.recall:.3f} F1 {found.f1:.3f}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/fit-tagger DIR, a folder with traces-<model>.jsonl")
    main(Path(sys.argv[1]))
