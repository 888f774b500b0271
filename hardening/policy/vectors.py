"""Which embeddings are refused before the app is asked: what a policy says of their values cannot be kept."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hardening.facts import EmbeddingTerms, Packing, Refusal

_PACKED = Refusal(
    403, "forbidden", "embeddings are not given in this packing: ask for float, or base64 of float32"
)

_NOISED = Refusal(
    403, "forbidden", "embeddings are given as numbers here: ask for float, or base64 of float32"
)

_ROTATED = Refusal(
    403, "forbidden", "embeddings are given rotated, as numbers: ask for float, or base64 of float32"
)

_MAY_BE_NOISED = Refusal(
    403, "forbidden", "embeddings may be given with noise, as numbers: ask for float, or base64 of float32"
)

_IN_PART = Refusal(
    403, "forbidden", "embeddings are given in part, as numbers: ask for float, or base64 of float32"
)

REFUSED_BY: Mapping[Refusal, str] = MappingProxyType(
    {
        _ROTATED: "embedding_rotate",
        _NOISED: "embedding_noise",
        _MAY_BE_NOISED: "embedding_adaptive",
        _IN_PART: "embedding_keep",
        _PACKED: "embedding_step",
    }
)
"""By refusal the field of `Terms` that it rests on."""


def refused(terms: EmbeddingTerms, packing: Packing) -> Refusal | None:
    """Why embeddings in this packing are not given under these terms; None where they are.

    A grid cannot be laid over bits. Bytes of a vector read as another one than its floats, and would draw noise anew;
    rotated ones are no neighbours of rotated floats.
    """
    if terms.rotate and packing != "floats":
        return _ROTATED
    if terms.noise and packing != "floats":
        return _NOISED
    if terms.adaptive and packing != "floats":
        return _MAY_BE_NOISED
    if terms.moves and packing != "floats":
        return _IN_PART
    return _PACKED if terms.step and packing == "other" else None
