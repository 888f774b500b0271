"""What the grid costs a search: how near stepped vectors are to clean ones, and whether neighbours keep their places.

Run: .venv/bin/python -m bench.similarity
Output: one table, by number of dimensions, over random unit vectors: the hardest case, for no two are alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hardening.kernels import Grid, step_floats

DIMENSIONS = (384, 768, 1536, 3072)
STEP = 0.001
TEXTS, QUERIES, NEAREST = 5_000, 200, 10
SEED = 7

Floats = NDArray[np.float32]


def main() -> None:
    """Measure each size and print the table."""
    table = Table(
        "dimensions", "least cosine", f"same of {NEAREST} nearest", "same nearest", "rank correlation"
    )
    for size in DIMENSIONS:
        table.add_row(str(size), *measured(size))
    Console(width=110).print(table)


def measured(size: int) -> tuple[str, str, str, str]:
    """The figures of one size: a stepped index, asked with stepped queries, beside a clean one."""
    random = np.random.default_rng(SEED)
    texts, queries = (_unit(random.standard_normal((count, size))) for count in (TEXTS, QUERIES))
    stepped = _stepped(texts)
    clean, other = queries @ texts.T, _stepped(queries) @ stepped.T
    cosines = (texts * stepped).sum(axis=1) / np.linalg.norm(stepped, axis=1)
    first, second = (np.argsort(-one, axis=1)[:, :NEAREST] for one in (clean, other))
    shared = [len(set(one) & set(two)) for one, two in zip(first, second, strict=True)]
    ranks = [np.argsort(np.argsort(one, axis=1), axis=1).astype(float) for one in (clean, other)]
    correlation = min(float(np.corrcoef(one, two)[0, 1]) for one, two in zip(*ranks, strict=True))
    return (
        f"{cosines.min():.6f}",
        f"{np.mean(shared) / NEAREST:.1%}",
        f"{np.mean(first[:, 0] == second[:, 0]):.1%}",
        f"{correlation:.5f} at least",
    )


def _unit(vectors: NDArray[np.float64]) -> Floats:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


def _stepped(vectors: Floats) -> Floats:
    packed = step_floats(vectors.tobytes(), Grid.of(STEP))
    assert packed is not None
    return np.frombuffer(packed, "<f4").reshape(vectors.shape)


if __name__ == "__main__":
    main()
