"""A toy encoder behind the path of OpenAI's embeddings: a public trunk, a secret head on it, and texts to embed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from hardening.redteam.client import answer, heard

Floats = NDArray[np.float64]

_BUCKETS = 2048
_GAIN = 1.5
_TOPICS, _TOPIC_WORDS, _WORDS = 40, 20, 2000
_TEXT_WORDS = 24
_ON_TOPIC = 0.7


class Encoder:
    """Vectors of texts, and an ASGI app that serves them.

    Anybody can compute the trunk, random features of hashed words and pairs of words, as of an open model; a head
    that is secret makes the vectors. Their first values say most, so that they may be cut to `dimensions`.
    """

    def __init__(self, size: int, *, seed: int) -> None:
        chance = np.random.default_rng(seed)
        self.size = size
        self._trunk = chance.standard_normal((_BUCKETS, size)) * _GAIN
        turned, _ = np.linalg.qr(chance.standard_normal((size, size)))
        self._head = turned / np.sqrt(1 + np.arange(size) / 32)

    def trunk(self, texts: Sequence[str]) -> Floats:
        """What anybody computes of texts, a row each."""
        counts = np.zeros((len(texts), _BUCKETS))
        for row, text in enumerate(texts):
            words = text.split()
            for gram in [*words, *map(" ".join, pairwise(words))]:
                counts[row, crc32(gram.encode()) % _BUCKETS] += 1
        counts /= np.linalg.norm(counts, axis=1, keepdims=True)
        hidden: Floats = np.tanh(counts @ self._trunk)
        return hidden

    def embed(self, texts: Sequence[str]) -> Floats:
        """Vectors of length 1, a row each."""
        return unit(self.trunk(texts) @ self._head)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in base64 of binary32."""
        if scope["type"] != "http":
            return
        asked = orjson.loads(await heard(receive))
        vectors = unit(self.embed(asked["input"])[:, : asked.get("dimensions", self.size)])
        rows = [base64.b64encode(row.tobytes()).decode() for row in vectors.astype("<f4")]
        data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
        usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
        told = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
        await answer(send, orjson.dumps(told))


def unit(rows: Floats) -> Floats:
    """The rows at length 1; a row of zeros stays."""
    scaled: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled


def texts(count: int, *, seed: int) -> tuple[list[str], NDArray[np.int64]]:
    """Texts of some words, seven in ten of them those of a topic, and the topic of each."""
    chance = np.random.default_rng(seed)
    lexicon = np.random.default_rng(0).integers(0, _WORDS, (_TOPICS, _TOPIC_WORDS))  # of all runs
    topics = chance.integers(0, _TOPICS, count)
    words = lexicon[topics[:, None], chance.integers(0, _TOPIC_WORDS, (count, _TEXT_WORDS))]
    others = chance.integers(0, _WORDS, words.shape)
    words = np.where(chance.random(words.shape) < _ON_TOPIC, words, others)
    return [" ".join(f"w{word}" for word in row) for row in words], topics
