"""Keyed noise on the rows of one response: the same question gets the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hardening import kernels
from hardening.noise_key import NoiseKey

Prompts = tuple[Sequence[bytes], int]


class RowNoise:
    """Draws for each text of a response, which go on with it token by token.

    A text that stands whole begins anew, so that it gets what its pieces got before.
    """

    __slots__ = ("_each", "_key", "_keys", "_prompts", "_running", "_size", "_whole")

    def __init__(self, key: NoiseKey, size: float, prompts: Callable[[], Prompts]) -> None:
        """`size` in nats, one of NOISE_SIZES; `prompts` gives the prompts and the answers that each has."""
        self._key = key
        self._size = size
        self._prompts: Callable[[], Prompts] | None = prompts
        self._keys: list[bytes] = []
        self._each = 1
        self._running: dict[tuple[int, str], kernels.Draws] = {}
        self._whole: dict[tuple[int, str], kernels.Draws] = {}

    def start_frame(self) -> None:
        """A new frame: a whole text in it begins anew."""
        self._whole.clear()

    def draws(self, index: int, of: str, *, whole: bool) -> kernels.Draws | None:
        """What moves on with the rows of a text; None where nobody knows what was asked."""
        texts = self._whole if whole else self._running
        found = texts.get((index, of))
        if found is None and (key := self._key_of(index)) is not None:
            found = texts[index, of] = kernels.Draws(key, self._size)
        return found

    def _key_of(self, index: int) -> bytes | None:
        """The key of the prompt that the answer `index` is of."""
        if self._prompts is not None:
            prompts, self._each = self._prompts()
            self._keys = [self._key.of(prompt) for prompt in prompts]
            self._prompts = None  # with it goes the body of the request
        if not self._keys:
            return None
        return self._keys[min(index // self._each, len(self._keys) - 1) if len(self._keys) > 1 else 0]
