"""Gemini's generateContent: rows in two lists side by side, and their mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import orjson

from hardening.redteam.logprobs.dialects.dialect import Asked, Dialect, Said, Told, Values, with_drawn

_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "top_logprobs": "logprobs",
    "n": "candidateCount",
    "seed": "seed",
    "temperature": "temperature",
    "presence_penalty": "presencePenalty",
}
"""What stands in `generationConfig`, and under which name."""
_MODEL = "/v1beta/models/toy"


class Gemini(Dialect):
    """Candidates; the stream is a list that grows."""

    path, stream_path = f"{_MODEL}:generateContent", f"{_MODEL}:streamGenerateContent"
    stream_type = b"application/json"

    def body(self, prompt: str, asked: Asked, *, stream: bool) -> Asked:
        """A body that asks for rows; what the API has no name for stands as gateways take it."""
        config = {name: asked[one] for one, name in _CONFIG.items() if one in asked}
        return {
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": {"maxOutputTokens": 1, "responseLogprobs": True, **config},
            **{name: value for name, value in asked.items() if name not in _CONFIG},
        }

    def asked(self, body: Asked) -> Asked:
        """What the configuration says, and what stands beside it."""
        config = body.get("generationConfig") or {}
        known = {one: config[name] for one, name in _CONFIG.items() if name in config}
        parts = (part for content in body["contents"] for part in content["parts"])
        prompt = " ".join(part.get("text", "") for part in parts)
        return {"logprobs": config.get("responseLogprobs"), **known, **body, "prompt": prompt}

    def whole(self, answers: list[Said]) -> Asked:
        """All candidates."""
        return _response([_candidate(said, slice(None), index) for index, said in enumerate(answers)])

    def frames(self, answers: list[Said]) -> Iterator[Asked]:
        """A token a chunk."""
        for index, said in enumerate(answers):
            for at in range(len(said.words)):
                yield _response([_candidate(said, slice(at, at + 1), index)])

    def written(self, frames: Iterable[Asked]) -> Iterator[bytes]:
        """A list, element by element."""
        start = b"["
        for frame in frames:
            yield start + orjson.dumps(frame)
            start = b",\r\n"
        yield b"]"

    def pieces(self, raw: bytes) -> list[Asked]:
        """The elements of the list, or the one response."""
        found = orjson.loads(raw)
        return found if isinstance(found, list) else [found]

    def told(self, piece: Asked) -> Iterator[Told]:
        """What each candidate tells; of one token the mean is its value."""
        for candidate in piece.get("candidates") or ():
            text = "".join(part.get("text", "") for part in candidate["content"].get("parts") or ())
            rows, mean = _positions(candidate.get("logprobsResult") or {}), candidate.get("avgLogprobs")
            if mean is not None:
                rows = [with_drawn(rows[0] if rows else {}, text, mean), *rows[1:]]
            yield Told(candidate.get("index", 0), text, rows)


def _positions(lists: Asked) -> list[Values]:
    tops = [
        {one["token"]: one["logProbability"] for one in top.get("candidates") or ()}
        for top in lists.get("topCandidates") or ()
    ]
    drawn = lists.get("chosenCandidates") or ()
    return [
        with_drawn(values, one["token"], one["logProbability"])
        for values, one in zip(tops, drawn, strict=True)
    ]


def _response(candidates: list[Asked]) -> Asked:
    return {"candidates": candidates, "modelVersion": "toy", "responseId": "toy-1"}


def _candidate(said: Said, piece: slice, index: int) -> Asked:
    content = {"role": "model", "parts": [{"text": "".join(said.words[piece])}]}
    candidate: Asked = {"content": content, "finishReason": "STOP", "index": index}
    if rows := said.rows[piece]:
        drawn = [row["logprob"] for row in rows]
        candidate["avgLogprobs"] = float(np.mean(drawn))
        candidate["logprobsResult"] = {
            "chosenCandidates": [_one(row) for row in rows],
            "topCandidates": [{"candidates": [_one(one) for one in row["top_logprobs"]]} for row in rows],
            "logProbabilitySum": float(np.sum(drawn)),
        }
    return candidate


def _one(row: Asked) -> Asked:
    return {"token": row["token"], "logProbability": row["logprob"]}
