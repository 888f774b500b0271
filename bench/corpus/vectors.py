"""Vectors and scores in a body, found without the codecs: how many tell more than a grid, and whether they stayed near."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator

Vector = list[float]

_LEAST = 8  # values of a vector
_LEAST_CHARS = 64  # of one that is packed
_OFF = 1e-3  # share of a step by which a value on the grid may be off, as binary32 has it
_PLAUSIBLE = (1e-6, 1e6)  # the largest value of a vector


def vectors_of(body: bytes) -> list[Vector]:
    """Every list of numbers and every base64 string that reads as binary32 values, in the order of the body."""
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except ValueError:
        return []
    return list(_vectors(value))


def scores_of(body: bytes) -> list[Vector]:
    """Every number with a fraction but those of counts, as one vector."""
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except ValueError:
        return []
    found = [*_fractions(value)]
    return [found] if found else []


def _fractions(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _fractions(element)
    elif isinstance(value, dict):
        for name, element in value.items():
            if name not in ("usage", "billed_units"):
                yield from _fractions(element)


def _vectors(value: object) -> Iterator[Vector]:
    if isinstance(value, dict):
        for element in value.values():
            yield from _vectors(element)
    elif isinstance(value, list):
        if len(value) >= _LEAST and all(isinstance(one, int | float) for one in value):
            yield [float(one) for one in value]
        else:
            for element in value:
                yield from _vectors(element)
    elif isinstance(value, str) and len(value) >= _LEAST_CHARS:
        yield from _unpacked(value)


def _unpacked(text: str) -> Iterator[Vector]:
    try:
        packed = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return
    if len(packed) % 8 == 0 and (doubles := _doubles(packed)):
        yield doubles
    elif len(packed) % 4 == 0:
        vector = list(struct.unpack(f"<{len(packed) // 4}f", packed))
        if _PLAUSIBLE[0] < max(map(abs, vector)) < _PLAUSIBLE[1]:
            yield vector


def _doubles(packed: bytes) -> Vector:
    """The values of what is binary64 and, by its size or by its zeros, no binary32; else none."""
    halves = struct.unpack(f"<{len(packed) // 4}f", packed)
    values = list(struct.unpack(f"<{len(packed) // 8}d", packed))
    is_single = all(abs(value) < _PLAUSIBLE[1] for value in halves) and any(halves[::2])
    plausible = all(abs(value) < _PLAUSIBLE[1] for value in values) and any(values)
    return values if plausible and not is_single and max(map(abs, values)) > _PLAUSIBLE[0] else []


def off_grid(vectors: list[Vector], step: float) -> int:
    """How many vectors hold a value between the multiples of a step; bytes, which are coarser, are none."""
    return sum(_is_off(vector, step) for vector in vectors if step)


def _is_off(vector: Vector, step: float) -> bool:
    if all(value.is_integer() for value in vector):
        return False
    return any(abs(value / step - round(value / step)) > _OFF for value in vector)


def are_near(before: list[Vector], after: list[Vector], step: float) -> bool:
    """Whether the same vectors are there, each value at most half a step from where it was."""
    return [len(one) for one in before] == [len(one) for one in after] and all(
        abs(value - other) <= (0.5 + _OFF) * step
        for one, two in zip(before, after, strict=True)
        for value, other in zip(one, two, strict=True)
    )
