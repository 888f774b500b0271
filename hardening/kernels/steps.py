"""The twins of the kernels in `vectors.py`, without numba: the same answers, slower, and for any input."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hardening.facts import BYTE_STEP
from hardening.kernels.codes import (
    BFLOAT_LEAST,
    BFLOAT_MOST,
    LARGEST,
    MOST_STEPS,
    PAIRED,
    SMALLEST,
    TINY_SHARE,
)
from hardening.kernels.grid import Grid

Noise = Callable[[NDArray[np.float64]], NDArray[np.float64] | None]
"""What is added to values, one for each; None for values that may not leave under noise."""

_CANONICAL_NAN = np.float32(np.nan)
_LEAST_BYTE, _LARGEST_SIGNED, _MOST_BYTE = -128, 127, 255


class Constant(str):
    """NaN or an infinity by its name: no JSON, but what some servers write."""

    __slots__ = ()


def step_list(raw: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """The JSON list of numbers on the grid; None where `raw` is no such list, or one that no embedding is.

    Whole numbers, some beyond one, are values packed as bytes, with a grid of their own: see `step_bytes`.
    null, NaN and infinities tell nothing, and stay. With `noise` the list is empty where it has none for it, or
    where it holds such bytes: it would be drawn anew for them.
    """
    try:
        values = json.loads(raw, parse_constant=Constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or any(type(value) not in _KINDS for value in values):
        return None
    if all(type(value) is int or value is None for value in values) and any(
        abs(value) > 1 for value in values if value is not None
    ):
        return whole(raw, grid) if noise is None else b"[]"
    if any(isinstance(value, int | float) and not abs(value) <= LARGEST for value in values):
        return None
    if noise is not None:
        added = noise(np.array([value if isinstance(value, int | float) else 0.0 for value in values]))
        if added is None:
            return b"[]"
        values = [
            value + more if isinstance(value, int | float) else value
            for value, more in zip(values, added.tolist(), strict=True)
        ]
    texts = [_stepped(value, grid) for value in values]
    return None if None in texts else f"[{','.join(map(str, texts))}]".encode()


_KINDS = frozenset({int, float, Constant, type(None)})


def whole(raw: bytes, grid: Grid) -> bytes:
    """What leaves of a list of values packed as bytes: on a coarser grid than their own nothing that is no byte."""
    if grid.step <= BYTE_STEP:
        return raw
    values = json.loads(raw)
    if any(value is not None and not _LEAST_BYTE <= value <= _MOST_BYTE for value in values):
        return b"[]"
    most = _MOST_BYTE if min(value or 0 for value in values) >= 0 else _LARGEST_SIGNED
    texts = ["null" if value is None else str(_coarser(value, grid, most)) for value in values]
    return f"[{','.join(texts)}]".encode()


def _coarser(value: int, grid: Grid, most: int) -> int:
    """The byte nearest to the multiple of the step that is nearest to a byte."""
    width = grid.step / BYTE_STEP
    return max(_LEAST_BYTE, min(round(round(value / width) * width), most))


def step_bytes(packed: bytes, grid: Grid) -> bytes:
    """Signed bytes, each 1/128 of a value, on the grid where it is coarser than their own."""
    if grid.step <= BYTE_STEP:
        return packed
    table = bytes(
        _coarser(value - 256 * (value > _LARGEST_SIGNED), grid, _LARGEST_SIGNED) & 255 for value in range(256)
    )
    return packed.translate(table)


def _stepped(value: float | Constant | None, grid: Grid) -> str | None:
    """The text of one value; None where it is too large."""
    if value is None or isinstance(value, Constant):
        return str(value or "null")
    if not abs(value) <= LARGEST or abs(steps := value / grid.step) > MOST_STEPS:
        return None
    amount = round(steps) * grid.unit
    return ("-" if amount < 0 else "") + spell(abs(amount), grid.places)


def spell(amount: int, places: int) -> str:
    """`amount / 10**places` in fixed point, shortest, with at least one decimal."""
    number, rest = divmod(amount, 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0") if places else ""
    return f"{number}.{decimals or '0'}"


def _is_paired(words: NDArray[np.uint32]) -> bool:
    """Whether the words are halves of values of eight bytes, or hold two values of two bytes each."""
    if words.size < PAIRED:
        return False
    is_half = bool((words[1::2] << 1).any()) and not bool((words[::2] << 1).any())
    exponents = words >> 7 & 255  # of the lower halves, read as bfloat16
    bfloats = np.count_nonzero((exponents >= BFLOAT_LEAST) & (exponents <= BFLOAT_MOST))
    return is_half or bool(2 * bfloats > words.size)


def step_floats(packed: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """Little-endian binary32 values on the grid; None where the bytes are none, or none that an embedding is.

    NaN becomes the plain NaN, infinities stay. With `noise` nothing is left where it has none for the values.
    """
    if len(packed) % 4:
        return None
    with np.errstate(invalid="ignore"):  # NaN that signals
        values = np.frombuffer(packed, "<f4").astype(np.float64)
    finite = np.isfinite(values)
    known = np.abs(values[finite])
    if known.size and known.max() > LARGEST:
        return None
    if TINY_SHARE * np.count_nonzero((known > 0.0) & (known < SMALLEST)) > np.count_nonzero(known):
        return None
    if _is_paired(np.frombuffer(packed, "<u4")):
        return None
    added = np.zeros(values.size) if noise is None else noise(values)
    if added is None:
        return b""
    with np.errstate(invalid="ignore"):
        noised = values + added
        counts = np.rint(noised / grid.step)
        if np.abs(noised[finite]).max(initial=0.0) > LARGEST:
            return None
        if np.abs(counts[finite]).max(initial=0.0) > MOST_STEPS:
            return None
        stepped = ((counts + 0.0) * grid.unit / 10**grid.places).astype("<f4")
    stepped[np.isnan(values)] = _CANONICAL_NAN
    return bytes(stepped.tobytes())


def step_doubles(packed: bytes, grid: Grid, noise: Noise | None = None) -> bytes | None:
    """Little-endian binary64 values, with their noise, on the grid; None where the bytes are none that an embedding is.

    For bytes that are no binary32: those of which half the words are zero, or that hold too large a value as such.
    """
    if len(packed) % 8:
        return None
    with np.errstate(invalid="ignore"):  # NaN that signals
        halves = np.frombuffer(packed, "<f4").astype(np.float64)
        values = np.frombuffer(packed, "<f8")
        sizes = np.abs(values)
    is_double = not halves[::2].any() or not (np.abs(halves) <= LARGEST).all()
    if not is_double or not (sizes <= LARGEST).all():
        return None
    if TINY_SHARE * np.count_nonzero((sizes > 0.0) & (sizes < SMALLEST)) > np.count_nonzero(sizes):
        return None
    added = np.zeros(values.size) if noise is None else noise(values)
    if added is None:
        return b""
    counts = np.rint((values + added) / grid.step)
    if np.abs(counts).max(initial=0.0) > MOST_STEPS:
        return None
    return bytes(((counts + 0.0) * grid.unit / 10**grid.places).astype("<f8").tobytes())
