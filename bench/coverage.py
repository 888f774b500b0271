"""How much of the space of embeddings honest accounts touch: the number for `embeddings.benign` of a policy.

    python -m bench.coverage vectors.jsonl

Each line is `{"account": ..., "embedding": [...]}`: what accounts that you trust were given over the time that
a process lives, without noise. It prints numbers only. The planes of a policy are secret; those here are of
five other keys.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import orjson

from hardening.transform.coverage import BUCKETS, Coverages, benign_share

KEYS = 5


def shares(rows: Iterable[tuple[str, list[float]]]) -> Iterator[dict[str, int]]:
    """By key the buckets that each account touches."""
    vectors = [(account, np.array(values)) for account, values in rows]
    for key in range(KEYS):
        coverages, counts = Coverages(bytes([key])), defaultdict[str, int](int)
        for account, values in vectors:
            _, is_new = coverages.touch(account, values)
            counts[account] += is_new
        yield dict(counts)


def read(path: Path) -> Iterator[tuple[str, list[float]]]:
    """The accounts and vectors of a file."""
    with path.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            yield str(row["account"]), row["embedding"]


def main() -> None:
    """Print the share of the widest account but one in a hundred, and the line for a policy."""
    found = list(shares(read(Path(sys.argv[1]))))
    widest = max(benign_share(list(counts.values())) for counts in found)
    print(f"{len(found[0])} accounts, of {BUCKETS} buckets at most {widest:.1%}, by {KEYS} keys")
    print(f"embeddings: {{adaptive: 0.5, benign: {min(100.0, 100 * widest + 0.1):.1f}%}}")


if __name__ == "__main__":
    main()
