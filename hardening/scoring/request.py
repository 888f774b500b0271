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
_FOLD_CHARS = 128  # marks above one letter are sorted, in a time that grows with the square of their number
_MOST_FOLDED = 2 * SAMPLE_CHARS
_STRIDE = 160
"""What a demand says stands close by, in a paper it does not: phrases count together within twice as many characters."""
_NO_IDS = np.empty(0, np.int32)


class Facts(NamedTuple):
    """What a request asks beside its text, and when.

    Args:
        at: when, in seconds.
        model: the model that it names.
        top_logprobs: alternatives asked a position; None where no log-probabilities are.
        switches: whether a switch may stand in it that moves what a policy withholds: bias, bans, grammars.
        refused: requests of the account that limits refused since the last one that was let through.
    """

    at: float
    model: str = ""
    top_logprobs: int | None = None
    switches: bool = False
    refused: int = 0


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

    def read(self, message: str, mark: bytes | None = None) -> Read:
        """What a message is known by; `mark` is its own, where that is known already."""
        ids, folded = [], []
        for piece in _pieces(message):
            # In turns: a piece is folded without a break, and the tokenizer makes one.
            ids.append(self._counter.numbered(piece) if piece else _NO_IDS)
            folded.append(_folded(piece))
        text = "\n".join(folded).encode("utf-8", "replace")
        near = kernels.find_nearby(text, self._phrases, _STRIDE)
        return Read(
            kernels.read_prompt(
                np.concatenate(ids) if ids[1].size else ids[0], self._kinds, self._rates, self._key_bits
            ),
            self.mark(message) if mark is None else mark,
            max(map(lexicon.elicitation, near), default=0),
            max(map(lexicon.grading, near), default=0),
            max(map(lexicon.synthesis, near), default=0),
        )

    def mark(self, message: str) -> bytes:
        """What tells a message again, under the key."""
        sampled = "\0".join((*_pieces(message), str(len(message)))).encode("utf-8", "surrogatepass")
        return blake2b(sampled, digest_size=8, key=self._key).digest()


def _pieces(message: str) -> tuple[str, str]:
    """The two ends of a message that are read; what a short one ends with is empty."""
    return message[:SAMPLE_CHARS], message[max(SAMPLE_CHARS, len(message) - SAMPLE_CHARS) :]


def _folded(piece: str) -> str:
    """A piece as phrases are looked for in it; of one that grows by that, as ligatures of whole sentences do, the beginning."""
    if piece.isascii():
        return lexicon.folded(piece)
    parts, room = [], _MOST_FOLDED
    for at in range(0, len(piece), _FOLD_CHARS):
        part = lexicon.folded(piece[at : at + _FOLD_CHARS])
        parts.append(part)
        room -= len(part)
        if room <= 0:
            break
    return "".join(parts)
