"""Embedding values, with their noise, on the policy's grid, in lists of numbers and in packed floats."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from hardening import kernels
from hardening.errors import WireError
from hardening.events import Event, Logprobs, Reasoning, Text, UsageSeen, Vector, Withheld
from hardening.transform.step import Step

_PACKED = ("vectors", "states")
_grid = lru_cache(maxsize=64)(kernels.Grid.of)  # steps are those of the policy's rules and bands


class Stepping(Protocol):
    """What puts raw vectors on a grid; see `VectorStepper`."""

    def step(self, raw: bytes) -> bytes:
        """The vector that may leave, out of `raw`. Raises WireError where that is none."""
        ...

    def step_bytes(self, raw: bytes) -> bytes:
        """The same for `raw` that may be a string of bytes."""
        ...


class VectorStepper:
    """Rounds each value of a vector, with its noise, to the nearest multiple of `step`; a step of 0 leaves it as it is.

    Without noise the order of values is kept. The same vector gives the same one. Its length is not made 1 again:
    that would leave the grid, and tell what was rounded off.
    """

    def __init__(self, step: float, noise: kernels.Noise | None = None) -> None:
        """ValueError for a step outside 0 to 9999, and for noise without a step."""
        if noise is not None and step == 0.0:
            raise ValueError("noise needs a step")
        self._grid = _grid(step)
        self._noise = noise

    def step(self, raw: bytes) -> bytes:
        """The vector that may leave, out of a JSON list of numbers or a string of base64 of binary32.

        Raises WireError where it is neither: what cannot be read cannot be put on a grid.
        """
        stepped = _unpacked(raw) if self._grid.step == 0.0 else self._stepped(raw)
        if stepped is None:
            raise WireError("embeddings", 0, "expected a vector as a list of numbers or base64 of binary32")
        return stepped

    def step_bytes(self, raw: bytes) -> bytes:
        """`step` for an answer to a request that asks for base64 of signed bytes; what reads as binary32 is that.

        Under noise nothing is left of bytes.
        Raises WireError as `step` does.
        """
        try:
            return self.step(raw)
        except WireError:
            packed = _packed(raw) if raw.startswith(b'"') else None
            if packed is None:
                raise
        stepped = kernels.step_bytes(packed, self._grid) if self._noise is None else b""
        return raw if stepped == packed else _in_base64(stepped)

    def _stepped(self, raw: bytes) -> bytes | None:
        if not raw.startswith(b'"'):
            return kernels.step_list(raw, self._grid, self._noise)
        packed = _packed(raw)
        if packed is None:
            return None
        stepped = kernels.step_floats(packed, self._grid, self._noise)
        if stepped is None:  # some releases of vLLM packed what the model had computed in
            stepped = kernels.step_doubles(packed, self._grid, self._noise)
        if stepped is None:
            return None
        return raw if stepped == packed else _in_base64(stepped)


def _unpacked(raw: bytes) -> bytes | None:
    """A vector that leaves as it came, if it is JSON."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return raw


def _in_base64(packed: bytes) -> bytes:
    return b'"%b"' % binascii.b2a_base64(packed, newline=False)


def _packed(raw: bytes) -> bytes | None:
    """The bytes that a JSON string holds in base64, to the letter; None where it holds none."""
    try:
        text = raw[1:-1] if b"\\" not in raw else str(json.loads(raw)).encode("ascii")
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


class BoundedVectors(Step):
    """Gives vectors on the policy's grid, and none where they are withheld or no grid fits them."""

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self, stepper: Stepping | None, *, packed: bool, in_bytes: bool = False) -> None:
        """`stepper` None withholds them; `packed` says whether what no grid fits may leave.

        `in_bytes` says that strings of signed bytes were asked for.
        """
        self._step = None if stepper is None else stepper.step_bytes if in_bytes else stepper.step
        self._lets_packed = packed
        self.proves = stepper is not None and not packed
        """Whether each vector is read to its last byte, so that what is none is found."""

    def stepped(self, raw: bytes) -> bytes | None:
        """The raw vector that leaves for `raw`; None where none may. Raises WireError where it is no vector."""
        return None if self._step is None else self._step(raw)

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, values stepped; nothing where none may leave."""
        if isinstance(event, Vector):
            raw = self.stepped(event.raw)
            if raw is not None:
                yield event if raw == event.raw else Vector(event.index, raw)
        elif self._lets_packed or not (isinstance(event, Withheld) and event.kind in _PACKED):
            yield event
