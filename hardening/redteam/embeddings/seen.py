"""How wide accounts ask: honest ones of a few topics, and copies that share the work or do not."""

from __future__ import annotations

import numpy as np

from hardening.redteam.embeddings.encoder import Encoder, Floats, texts
from hardening.transform.coverage import BUCKETS, Coverages, Covering, benign_share, noise

COLLUDING = (1, 2, 5, 20)
_HONEST, _TOPICS = 20, 2
_MOST = 0.5

Row = tuple[str | float | None, ...]


def rows(encoder: Encoder, *, count: int, seed: int) -> tuple[Row, ...]:
    """Who, the vectors of each account, its share of all buckets, the noise that it has reached, and its evidence."""
    asked, topics = texts(count, seed=seed + 31)
    vectors = encoder.embed(asked)
    chance = np.random.default_rng(seed)
    honest = [
        vectors[np.isin(topics, chance.choice(topics.max() + 1, _TOPICS, replace=False))]
        for _ in range(_HONEST)
    ]
    benign = benign_share([int(BUCKETS * _seen(rows, 1.0)[0]) for rows in honest])
    table = [_row(f"honest, {_TOPICS} topics of 40", honest[0], benign)]
    table += [_row(f"a copy by {many}", vectors[: len(vectors) // many], benign) for many in COLLUDING]
    return tuple(table)


def _row(name: str, vectors: Floats, benign: float) -> Row:
    share, nats = _seen(vectors, benign)
    return name, float(len(vectors)), share, noise(share, most=_MOST, benign=benign), nats


def _seen(vectors: Floats, benign: float) -> tuple[float, float]:
    """The share of buckets that an account has touched after these vectors, and what they say of it in nats."""
    covering = Covering(Coverages(b"of the red team"), "acct", benign)
    touched = sum(covering.coverages.touch("other", row)[1] for row in vectors)
    for row in vectors:
        covering.share(row)
    return touched / BUCKETS, covering.nats
