"""What a rotation hides: vectors of one group, looked at by who is in another one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hardening.redteam.embeddings.client import mounted
from hardening.redteam.embeddings.encoder import Encoder, Floats, texts, unit
from hardening.redteam.embeddings.thief import cosine

SHARED = (0.0, 0.25, 0.5, 0.75, 1.0, 1.125, 2.0)
"""Texts that both groups have asked for, in dimensions."""
_POLICY = """\
version: 1
accounts: {groups: {other: [other]}}
defaults: {embeddings: {rotate: true}}
"""
_HELD = 300


class Compared(NamedTuple):
    """Cosines of the same texts in two groups, by how many texts they share; and how far cosines inside of one are off."""

    across: tuple[float, ...]
    inside: float


def compared(encoder: Encoder, *, seed: int) -> Compared:
    """Ask for texts as both groups, and turn the vectors of one by what shared texts tell of the other."""
    caller = mounted(encoder, _POLICY)
    shared, _ = texts(int(max(SHARED) * encoder.size), seed=seed + 21)
    held, _ = texts(_HELD, seed=seed + 22)
    ours, theirs = (caller.vectors(shared, account=name) for name in ("acct", "other"))
    asked, given = caller.vectors(held), caller.vectors(held, account="other")
    clean = encoder.embed(held)
    across = [
        cosine(_turned(asked, ours[:count], theirs[:count]), given)
        for count in (int(share * encoder.size) for share in SHARED)
    ]
    inside = np.abs(unit(asked) @ unit(asked).T - clean @ clean.T).max()
    return Compared(tuple(across), float(inside))


def _turned(rows: Floats, ours: Floats, theirs: Floats) -> Floats:
    """The rows by the rotation that fits the shared texts best; as they are where none is shared."""
    if not len(ours):
        return rows
    left, _, right = np.linalg.svd(ours.T @ theirs)
    turned: Floats = rows @ left @ right
    return turned
