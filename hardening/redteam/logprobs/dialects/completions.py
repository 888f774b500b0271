"""Chat completions and text completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hardening.redteam.logprobs.dialects.dialect import Asked, Dialect, Said, Told, positions, with_drawn


class _Completions(Dialect):
    """What the two have in common: choices."""

    def body(self, prompt: str, asked: Asked, *, stream: bool) -> Asked:
        """A body with the names that the server knows."""
        body = {"model": "toy", "max_tokens": 1, **self._question(prompt)}
        return body | ({"stream": True} if stream else {}) | asked

    def _question(self, prompt: str) -> Asked:
        raise NotImplementedError

    def _choice(self, said: Said, piece: slice, *, streamed: bool) -> Asked:
        raise NotImplementedError

    def _response(self, choices: list[Asked], *, streamed: bool) -> Asked:
        raise NotImplementedError

    def whole(self, answers: list[Said]) -> Asked:
        """All choices."""
        choices = [
            {"index": index, "finish_reason": "stop", **self._choice(said, slice(None), streamed=False)}
            for index, said in enumerate(answers)
        ]
        return self._response(choices, streamed=False)

    def frames(self, answers: list[Said]) -> Iterator[Asked]:
        """A token a chunk."""
        for index, said in enumerate(answers):
            for at in range(len(said.words)):
                choice = self._choice(said, slice(at, at + 1), streamed=True)
                yield self._response([{"index": index, "finish_reason": None, **choice}], streamed=True)


class Chat(_Completions):
    """OpenAI chat completions, with what vLLM adds."""

    path = stream_path = "/v1/chat/completions"

    def _question(self, prompt: str) -> Asked:
        return {"messages": [{"role": "user", "content": prompt}], "logprobs": True}

    def asked(self, body: Asked) -> Asked:
        """The body, with the texts of its conversation one after the other."""
        said = []
        for message in body["messages"]:
            content = message.get("content") or ""
            said += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        return {**body, "prompt": " ".join(said)}

    def _choice(self, said: Said, piece: slice, *, streamed: bool) -> Asked:
        text, rows = "".join(said.words[piece]), said.rows[piece]
        return {
            "delta" if streamed else "message": {"role": "assistant", "content": text},
            "logprobs": {"content": rows} if rows else None,
        }

    def _response(self, choices: list[Asked], *, streamed: bool) -> Asked:
        return _response("chat.completion.chunk" if streamed else "chat.completion", choices)

    def told(self, piece: Asked) -> Iterator[Told]:
        """What each choice tells."""
        for choice in piece["choices"]:
            said = choice.get("message") or choice.get("delta") or {}
            rows = positions((choice.get("logprobs") or {}).get("content"))
            yield Told(choice["index"], said.get("content") or "", rows)


class Text(_Completions):
    """OpenAI completions."""

    path = stream_path = "/v1/completions"

    def _question(self, prompt: str) -> Asked:
        return {"prompt": prompt, "logprobs": 5}

    def asked(self, body: Asked) -> Asked:
        """The body as it is."""
        return body

    def _choice(self, said: Said, piece: slice, *, streamed: bool) -> Asked:
        text, rows = "".join(said.words[piece]), said.rows[piece]
        logprobs = {
            "tokens": [row["token"] for row in rows],
            "token_logprobs": [row["logprob"] for row in rows],
            "top_logprobs": [{one["token"]: one["logprob"] for one in row["top_logprobs"]} for row in rows],
        }
        return {
            "text": text if streamed else said.echo + text,
            "logprobs": logprobs if rows else None,
        }

    def _response(self, choices: list[Asked], *, streamed: bool) -> Asked:
        return _response("text_completion", choices)

    def told(self, piece: Asked) -> Iterator[Told]:
        """What each choice tells."""
        for choice in piece["choices"]:
            logprobs: dict[str, Any] = choice.get("logprobs") or {}
            tokens = logprobs.get("tokens") or ()
            tops = logprobs.get("top_logprobs") or [{} for _ in tokens]
            rows = [
                with_drawn(dict(others or {}), token, value)
                for token, value, others in zip(
                    tokens, logprobs.get("token_logprobs") or (), tops, strict=True
                )
            ]
            yield Told(choice["index"], choice.get("text") or "", rows)


def _response(kind: str, choices: list[Asked]) -> Asked:
    return {"id": "toy-1", "object": kind, "created": 1, "model": "toy", "choices": choices}
