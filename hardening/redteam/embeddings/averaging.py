"""Ways to ask for one vector many times, and what is left of the noise in their average."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hardening.redteam.embeddings.client import Caller
from hardening.redteam.embeddings.encoder import Floats, unit

Way = Callable[[Caller, Sequence[str], int], list[Floats]]
"""Vectors of the same texts, as often as is said; the columns that all have are compared."""


def again(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """The same question."""
    return [caller.vectors(texts) for _ in range(count)]


def colluding(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """Accounts of one group."""
    return [caller.vectors(texts, account=f"one-{at}") for at in range(count)]


def groups(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """An account of each group."""
    return [caller.vectors(texts, account=f"member-{at}") for at in range(count)]


def named_anew(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """The model under other names, to which the server answers."""
    return [caller.vectors(texts, model=f"toy-{at}") for at in range(count)]


def shorter(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """Vectors of other lengths, of which the beginning is looked at."""
    size = caller.vectors(texts[:1]).shape[1]
    return [caller.vectors(texts, dimensions=size - at) for at in range(count)]


def near(caller: Caller, texts: Sequence[str], count: int) -> list[Floats]:
    """The text with one more word behind it."""
    return [caller.vectors([f"{text} x{at}" for text in texts]) for at in range(count)]


WAYS: dict[str, Way] = {
    "the same question": again,
    "accounts of one group": colluding,
    "other names of the model": named_anew,
    "other lengths": shorter,
    "near-duplicates": near,
    "as many groups": groups,
}
EXACT = ("the same question", "accounts of one group", "other names of the model", "other lengths")
"""Ways that ask for the same vector: noise must not get less by them."""


def policy(noise: float, *, members: int, step: float = 0.001, keep: float = 1.0) -> str:
    """A policy with noise for all, and groups with a member each."""
    listed = "".join(f"    group-{at}: [member-{at}]\n" for at in range(members))
    terms = f"step: {step:g}, noise: {noise:g}, keep: {100 * keep:g}%"
    return f"version: 1\naccounts:\n  groups:\n{listed}defaults: {{embeddings: {{{terms}}}}}\n"


def left(drawn: list[Floats], clean: Floats) -> tuple[float, float]:
    """How far one drawn vector, and the average of all, are from the clean one, beside its length."""
    width = min(rows.shape[1] for rows in drawn)
    wanted = unit(clean[:, :width])
    scaled = [rows[:, :width] for rows in drawn]
    return _missed(scaled[0], wanted), _missed(
        np.mean([_alike(rows, scaled[0]) for rows in scaled], axis=0), wanted
    )


def _alike(rows: Floats, other: Floats) -> Floats:
    """The rows at the lengths of the other ones."""
    scaled: Floats = unit(rows) * np.linalg.norm(other, axis=1, keepdims=True)
    return scaled


def _missed(rows: Floats, wanted: Floats) -> float:
    """The part of the rows across the clean ones, beside the part along them."""
    along = (rows * wanted).sum(axis=1, keepdims=True)
    return float((np.linalg.norm(rows - along * wanted, axis=1) / np.abs(along[:, 0])).mean())
