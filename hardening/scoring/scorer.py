"""The scorer of one process: from the newest message of a request to its evidence.

It loads its tables when it is first asked, which takes a quarter of a second; so it is for a thread of its
own, and for one only.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardening.scoring import reference, tokens
from hardening.scoring.evidence import Sketches, evidence
from hardening.scoring.reference import Reference
from hardening.scoring.request import Facts, Reader
from hardening.scoring.signals import Signal

MOST_SKETCHES = 10_000
"""Accounts that a process remembers recent requests of: 40 MB at most."""
ENCODING = "o200k_base"
"""What the weights of a reference are numbered by."""


class Scorer:
    """Scores messages, and remembers the recent requests of the accounts that were seen last."""

    def __init__(self, key: bytes, known: Reference | None = None, *, most: int = MOST_SKETCHES) -> None:
        """A scorer under the installation's key for sketches, with the shipped reference or another.

        Raises:
            StartError: the shipped reference is not readable.
        """
        self._key = key
        self._reference = known or reference.load()
        self._signals: tuple[Signal, ...] = self._reference.signals()
        self._sketches = Sketches(most)
        self._reader: Reader | None = None

    def score(self, account: str, message: str, facts: Facts) -> Mapping[str, float]:
        """The nats of each signal, of one request of a proven account; none for a message that was scored just now.

        Raises:
            StartError: the tokenizer's files are not installed.
        """
        if self._reader is None:
            self._reader = Reader(tokens.load(ENCODING), self._reference.rates, self._key)
        sketch, mark = self._sketches.of(account), self._reader.mark(message)
        if sketch.repeats(mark, facts):  # as `evidence` would find out, before the message is read as a whole
            return {}
        return evidence(self._reader.read(message, mark), facts, sketch, self._signals)
