"""What a process remembers of one account's recent requests: counts and marks, no text; at most 4 KiB.

Buckets and minima are made under the installation's key. Counts of two sketches add; of the lists the newer stay.
"""

from __future__ import annotations

import math

import numpy as np

from hardening import kernels
from hardening.kernels.prompts import BUCKETS, EMPTY, MINIMA
from hardening.kernels.sketches import COARSE as COARSE
from hardening.scoring.request import Facts, Read

MOST_COUNTED = 255
"""Requests after which all counts are halved."""
_TEMPLATES = 4
_MARKS = 8
_MODELS = 4
_EWMA = 1 / 16
_UNREAD = b""  # the mark of no message
_GAPS_S = (0.05, 86_400.0)


class Sketch:
    """One account's recent requests.

    Attributes:
        requests: how many are counted.
        counts: uint8, for each coarse bucket the requests that had it.
        pattern: nats of what is fitted, summed, never below 0: what opens the gate for signs that say nothing alone.
        repetition: 0..1, how often prompts share a template with a recent one.
        pace: mean of the logarithm of the seconds between requests; `unrest` its mean absolute change.
        models: by model, when it was first seen and the faded share of requests to it.
    """

    __slots__ = ("_marks", "_templates", "at", "counts", "models", "pace", "pattern", "repetition", "requests", "unrest")  # fmt: skip

    def __init__(self) -> None:
        self.requests = 0
        self.counts = np.zeros(BUCKETS >> COARSE, np.uint8)
        self.pattern = 0.0
        self.repetition = 0.0
        self.at: float | None = None
        self.pace = 0.0
        self.unrest = 1.0
        self.models: dict[str, tuple[float, float]] = {}
        self._templates = np.full((_TEMPLATES, MINIMA), EMPTY, np.int64)
        self._marks: list[bytes] = []

    def repeats(self, mark: bytes, facts: Facts) -> bool:
        """Whether a recent request had the very same newest message: a tool turn or a retry, no new question.

        Then it is remembered that it came. A message that nobody can read, such as a prompt in token ids, is never known again.
        """
        if mark not in self._marks:
            return False
        self._note_time(facts)
        return True

    def note(self, read: Read, facts: Facts) -> None:
        """Remember one request whose message is new."""
        self._note_time(facts)
        self._marks = [read.mark if read.prompt.features.size else _UNREAD, *self._marks[: _MARKS - 1]]
        if self.requests >= MOST_COUNTED:
            self.counts >>= 1
            self.requests >>= 1
        known = kernels.note_prompt(*read.prompt, self.counts, self._templates)
        self.requests += 1
        self.repetition += _EWMA * (known - self.repetition)

    def _note_time(self, facts: Facts) -> None:
        if self.at is not None:
            gap = math.log(min(max(facts.at - self.at, _GAPS_S[0]), _GAPS_S[1]))
            self.unrest += _EWMA * (abs(gap - self.pace) - self.unrest)
            self.pace += _EWMA * (gap - self.pace)
        self.at = facts.at
        known = {name: (first, share * (1 - _EWMA)) for name, (first, share) in self.models.items()}
        first, share = known.get(facts.model, (facts.at, 0.0))
        known[facts.model] = (first, share + _EWMA)
        if len(known) > _MODELS:
            del known[min(known, key=lambda name: known[name][1])]
        self.models = known
