"""What counts of tokens tell of a hidden trace: those that left as they came, and the bits that are left.

`python -m bench.corpus.lengths --corpus DIR` prints the bits for each setting of `usage`.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bench.corpus.dialects import DIALECTS
from bench.corpus.reading import documents, reasoning_of, usage_of
from bench.corpus.recordings import Recording, read_corpus
from hardening.transform.usage import rounded

_is_count = re.compile(r"token(?!_?id)|count|predicted", re.I).search
_is_of_request = re.compile(r"prompt|input|cache|^max", re.I).search


def counts_left(recording: Recording, body: bytes) -> bool:
    """Whether `body` tells the exact length of the recorded answer, or of its trace, as a count.

    Lengths of a few tokens, and those that lie on the grid themselves, are left out: they prove nothing.
    """
    prompt, completion = usage_of(recording.usage or {})
    if completion < 20 or rounded(completion) == completion:
        return False
    known = {completion, (prompt or 0) + completion, reasoning_of(recording.usage or {})} - {prompt}
    known = {count for count in known if rounded(count) != count}
    return any(not known.isdisjoint(_counts(value)) for value in documents(body))


def _counts(value: object, name: str = "") -> Iterator[float]:
    if isinstance(value, dict):
        for key, element in value.items():
            yield from () if _is_of_request(key) else _counts(element, key)
    elif isinstance(value, list):
        for element in value:
            yield from _counts(element, name)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value >= 20 and _is_count(name):
        yield value


def lengths(recordings: Iterable[Recording]) -> list[tuple[int, int]]:
    """The tokens of trace and visible answer of each recording whose server told both."""
    found = []
    for recording in recordings:
        raw = recording.usage or {}
        trace, completion = reasoning_of(raw), usage_of(raw)[1]
        if 0 < trace <= completion:
            found.append((trace, completion - trace))
    return found


def bits(pairs: Sequence[tuple[int, int]], told: Callable[[int], int]) -> float:
    """What `told` of trace and answer together says of the trace to who knows the answer's own tokens.

    The mutual information, in bits, where any trace of `pairs` may come with any answer.
    """
    entropies = [_entropy(Counter(told(trace + answer) for trace, _ in pairs)) for _, answer in pairs]
    return math.fsum(entropies) / len(pairs)


def _entropy(counts: Counter[int]) -> float:
    total = counts.total()
    return -math.fsum(n / total * math.log2(n / total) for n in counts.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the bits for each setting."""
    parser = argparse.ArgumentParser("bench.corpus.lengths", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="folder of recordings")
    pairs = lengths(read_corpus(parser.parse_args(arguments).corpus, tuple(DIALECTS)).recordings)
    settings: dict[str, Callable[[int], int]] = {"keep": int, "round": rounded, "drop": lambda tokens: 0}
    for name, told in settings.items():
        print(f"{name:5} {bits(pairs, told):.2f} bits of a trace's length (n = {len(pairs):,})")


if __name__ == "__main__":
    main()
