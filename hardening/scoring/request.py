"""One request as numbers: what its newest message is known by, and what it asks for; no text is kept.

A long message is sampled: its first and its last `SAMPLE_CHARS` are read, and of these the first and last 64
tokens are features. What stands between them is not seen.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from hardening import kernels
from hardening.kernels.prompts import Prompt, Rates
from hardening.scoring import lexicon
from hardening.scoring.tokens import TokenCounter

SAMPLE_CHARS = 4096
"""Characters at each end of a message that are read."""
_FOLD_CHARS = 512
_STRIDE = 160


class Facts(NamedTuple):
    """What a request asks beside its text, and when.

    Args:
        at: when, in seconds.
        model: the model that it names.
        top_logprobs: alternatives asked a position; None where no log-probabilities are.
        switches: whether a switch may stand in it that moves what a policy withholds: bias, bans, grammars.
        refused: requests of the account that limits refused since the last one that was let through.
        overlap: the share of a hidden trace that its answer repeated, 0..1.
    """

    at: float
    model: str = ""
    top_logprobs: int | None = None
    switches: bool = False
    refused: int = 0
    overlap: float = 0.0


class Read(NamedTuple):
    """The newest message of a request as numbers; `mark` tells it again, under a key; levels are those of `lexicon`."""

    prompt: Prompt
    mark: bytes
    elicitation: int = 0
    grading: int = 0
    synthesis: int = 0


class Reader:
    """Reads messages; holds the tables that this takes. For one thread."""

    def __init__(self, counter: TokenCounter, rates: Rates, key: bytes) -> None:
        self._counter = counter
        self._kinds = kernels.read_kinds(counter.tokens())
        self._rates = rates
        self._key = key
        self._key_bits = int.from_bytes(key[:4], "little")
        self._phrases = lexicon.phrases()

    def read(self, message: str) -> Read:
        """What a message is known by."""
        pieces = (message[:SAMPLE_CHARS], message[max(SAMPLE_CHARS, len(message) - SAMPLE_CHARS) :])
        ids = np.array([token for piece in pieces for token in self._counter.ids(piece)], np.int32)
        folded = "\n".join("".join(map(lexicon.folded, _parts(piece))) for piece in pieces)
        found = [kernels.find_phrases(stretch, self._phrases) for stretch in _stretches(folded)]
        sampled = "\0".join((*pieces, str(len(message)))).encode("utf-8", "surrogatepass")
        return Read(
            kernels.read_prompt(ids, self._kinds, self._rates, self._key_bits),
            blake2b(sampled, digest_size=8, key=self._key).digest(),
            max(map(lexicon.elicitation, found)),
            max(map(lexicon.grading, found)),
            max(map(lexicon.synthesis, found)),
        )


def _parts(piece: str) -> list[str]:
    """A piece in parts so short that no call on one holds the interpreter for long."""
    return [piece[at : at + _FOLD_CHARS] for at in range(0, len(piece), _FOLD_CHARS)]


def _stretches(folded: str) -> list[bytes]:
    """Overlapping stretches, in which phrases count together: what a demand says stands close by, in a paper it does not."""
    starts = range(0, max(1, len(folded) - _STRIDE), _STRIDE)
    return [folded[at : at + 2 * _STRIDE].encode("utf-8", "replace") for at in starts]
