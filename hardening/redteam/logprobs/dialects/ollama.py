"""Ollama's chat and generate: a line a token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from hardening.redteam.logprobs.dialects.dialect import Asked, Dialect, Said, Told, positions

_OPTIONS = {
    "max_tokens": "num_predict",
    "seed": "seed",
    "temperature": "temperature",
    "presence_penalty": "presence_penalty",
}
"""What stands in `options`, and under which name."""


class _Ollama(Dialect):
    """One answer, whatever number is asked for; it streams unless it is told not to."""

    stream_type = b"application/x-ndjson"

    def _question(self, prompt: str) -> Asked:
        raise NotImplementedError

    def _prompt(self, body: Asked) -> str:
        raise NotImplementedError

    def _text(self, text: str) -> Asked:
        raise NotImplementedError

    def _read(self, piece: Asked) -> str:
        raise NotImplementedError

    def body(self, prompt: str, asked: Asked, *, stream: bool) -> Asked:
        """A body that asks for rows; what the API has no name for stands as other servers take it."""
        options = {name: asked[one] for one, name in _OPTIONS.items() if one in asked}
        return {
            "model": "toy",
            **self._question(prompt),
            "stream": stream,
            "logprobs": True,
            "options": {"num_predict": 1, **options},
            **{name: value for name, value in asked.items() if name not in _OPTIONS},
        }

    def asked(self, body: Asked) -> Asked:
        """What the options say, and what stands beside them."""
        options = body.get("options") or {}
        known = {one: options[name] for one, name in _OPTIONS.items() if name in options}
        return {**known, **body, "prompt": self._prompt(body), "n": 1}

    def whole(self, answers: list[Said]) -> Asked:
        """The answer in one line."""
        return self._line("".join(answers[0].words), answers[0].rows, done=True)

    def frames(self, answers: list[Said]) -> Iterator[Asked]:
        """A token a line, and a last one without."""
        said = answers[0]
        for at, word in enumerate(said.words):
            yield self._line(word, said.rows[at : at + 1], done=False)
        yield self._line("", [], done=True)

    def _line(self, text: str, rows: list[Asked], *, done: bool) -> Asked:
        line = {"model": "toy", "created_at": "2026-01-01T00:00:00Z", **self._text(text), "done": done}
        return line | ({"logprobs": rows} if rows else {}) | ({"done_reason": "stop"} if done else {})

    def written(self, frames: Iterable[Asked]) -> Iterator[bytes]:
        """A JSON text a line."""
        for frame in frames:
            yield orjson.dumps(frame) + b"\n"

    def pieces(self, raw: bytes) -> list[Asked]:
        """The lines."""
        return [orjson.loads(line) for line in raw.splitlines() if line]

    def told(self, piece: Asked) -> Iterator[Told]:
        """What a line tells."""
        yield Told(0, self._read(piece), positions(piece.get("logprobs")))


class OllamaChat(_Ollama):
    """`/api/chat`."""

    path = stream_path = "/api/chat"

    def _question(self, prompt: str) -> Asked:
        return {"messages": [{"role": "user", "content": prompt}]}

    def _prompt(self, body: Asked) -> str:
        return " ".join(message["content"] for message in body["messages"])

    def _text(self, text: str) -> Asked:
        return {"message": {"role": "assistant", "content": text}}

    def _read(self, piece: Asked) -> str:
        return str(piece["message"]["content"])


class OllamaGenerate(_Ollama):
    """`/api/generate`."""

    path = stream_path = "/api/generate"

    def _question(self, prompt: str) -> Asked:
        return {"prompt": prompt}

    def _prompt(self, body: Asked) -> str:
        return str(body["prompt"])

    def _text(self, text: str) -> Asked:
        return {"response": text}

    def _read(self, piece: Asked) -> str:
        return str(piece["response"])
