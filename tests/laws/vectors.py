"""What the hand-written model server answers at doors of embeddings."""

from __future__ import annotations

import base64
import json
import random
import struct
from typing import Any

DIMENSIONS = 384


def vector_of(text: str) -> list[float]:
    """The vector of a text, of length 1; the same for the same text."""
    draw = random.Random(text)
    values = [draw.gauss(0, 1) for _ in range(DIMENSIONS)]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def embedded(path: str, asked: dict[str, Any]) -> bytes | None:
    """The answer of a door of embeddings; None where the path is another."""
    if path.endswith("/v1/embeddings"):
        return _openai(asked)
    if path.endswith("/api/embed"):
        vectors = [vector_of(text) for text in _texts(asked["input"])]
        return _json(model="m", embeddings=vectors, total_duration=987, load_duration=1, prompt_eval_count=9)
    if path.endswith("/api/embeddings"):
        return _json(embedding=vector_of(asked["prompt"]))
    if path.endswith(":batchEmbedContents"):
        contents = [one["content"]["parts"][0]["text"] for one in asked["requests"]]
        return _json(embeddings=[{"values": vector_of(text)} for text in contents])
    return None


def _openai(asked: dict[str, Any]) -> bytes:
    packed = asked.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(_texts(asked["input"])):
        values: Any = vector_of(text)
        if packed:
            values = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": values})
    return _json(object="list", data=data, model="m", usage={"prompt_tokens": 9, "total_tokens": 9})


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _json(**value: Any) -> bytes:
    return json.dumps(value).encode()
