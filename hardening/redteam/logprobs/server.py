"""The toy model behind the paths and parameters of model servers, obeying whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson
from starlette.types import Receive, Scope, Send

from hardening.redteam.client import answer, heard
from hardening.redteam.logprobs.dialects import Asked, Dialect, Said, dialect_at
from hardening.redteam.logprobs.model import Floats, Model, log_softmax


class ToyServer:
    """An ASGI app: all endpoints of `dialects`.

    It is as careless as servers have been: values follow `logit_bias`, allowed tokens and the temperature;
    any number of alternatives is given; values of chosen tokens and of the prompt are told.
    """

    def __init__(self, model: Model, *, seed: int = 7) -> None:
        self.model = model
        self._seed = seed
        self.draw_again()
        self.heard = b""
        """The request that came last."""

    def draw_again(self) -> None:
        """Draw what was drawn at the beginning."""
        self._drawn = np.random.default_rng(self._seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        self.heard = await heard(receive)
        body: Asked = orjson.loads(self.heard)
        dialect = dialect_at(scope["path"])
        asked = dialect.asked(body | (body.get("extra_body") or {}))
        answers = list(self._answers(asked))
        if asked.get("stream") or scope["path"] != dialect.path:
            await _stream(send, dialect, answers)
        else:
            told = dialect.whole(answers)
            if answers[0].prompt_rows:
                told["prompt_logprobs"] = [None, *answers[0].prompt_rows]
            await answer(send, orjson.dumps(told))

    def _answers(self, asked: Asked) -> Iterator[Said]:
        """The answers: the text of each in words, its rows, and what else was asked for."""
        prompt = asked["prompt"]
        for number in range(int(asked.get("n") or 1)):
            tokens, words, rows = list(self.model.tokens(prompt)), [], []
            before = self._prompt_rows(tokens, asked)
            for _ in range(int(asked.get("max_tokens") or 1)):
                token, row = self._next(tuple(tokens), asked, number)
                words.append(self.model.word(token))
                rows += row
                tokens.append(token)
            yield Said(words, rows, before, prompt if asked.get("echo") else "")

    def _next(self, tokens: tuple[int, ...], asked: Asked, number: int) -> tuple[int, list[Asked]]:
        """The next token, and its row where rows are asked for."""
        logits = self._steered(self.model.logits(tokens), tokens, asked)
        heat = 1.0 if asked.get("temperature") is None else float(asked["temperature"])
        if heat == 0 and not _wants_rows(asked):
            return int(logits.argmax()), []
        row = log_softmax(logits / heat if heat > 0 else logits)
        if heat > 0:
            random = (
                self._drawn
                if asked.get("seed") is None
                else np.random.default_rng([asked["seed"], number, len(tokens)])
            )
            token = int(random.choice(len(row), p=np.exp(row)))
        else:
            token = int(row.argmax())
        return token, [self._told(token, row, asked)] if _wants_rows(asked) else []

    def _steered(self, logits: Floats, tokens: tuple[int, ...], asked: Asked) -> Floats:
        """The logits under bias, bans, choices and penalties."""
        steered = logits.copy()
        for key, bias in (asked.get("logit_bias") or {}).items():
            steered[int(key)] += bias
        if allowed := [*(asked.get("allowed_token_ids") or ()), *self._chosen(asked.get("response_format"))]:
            kept = np.full_like(steered, -np.inf)
            kept[allowed] = steered[allowed]
            steered = kept
        for word in asked.get("bad_words") or ():
            steered[list(self.model.tokens(word))] = -np.inf
        for token in set(tokens):
            steered[token] -= float(asked.get("presence_penalty") or 0.0)
        return steered

    def _chosen(self, shape: Asked | None) -> list[int]:
        """The tokens among which a schema lets the answer choose."""
        words = shape["json_schema"]["schema"]["enum"] if shape else ()
        return list(self.model.tokens(" ".join(words)))

    def _told(self, token: int, row: Floats, asked: Asked) -> Asked:
        """A row as chat completions have it."""
        chosen = asked.get("logprob_token_ids")
        if chosen is None:
            count = _count(asked)
            chosen = best_of(row, len(row) if count < 0 else min(count, len(row)))
        return {**self._entry(token, row), "top_logprobs": [self._entry(one, row) for one in chosen]}

    def _entry(self, token: int, row: Floats) -> Asked:
        word = self.model.word(token)
        return {"token": word, "logprob": max(float(row[token]), -9999.0), "bytes": list(word.encode())}

    def _prompt_rows(self, tokens: list[int], asked: Asked) -> list[Asked]:
        count = int(asked.get("prompt_logprobs") or 0)
        if not count:
            return []
        told = []
        for at in range(1, len(tokens)):
            row = self.model.row(tuple(tokens[:at]))
            best = best_of(row, count)
            told.append(
                {
                    str(one): {"logprob": float(row[one]), "rank": place}
                    for place, one in enumerate([tokens[at], *best])
                }
            )
        return told


def best_of(row: Floats, count: int) -> list[int]:
    """The `count` likeliest tokens, in their order."""
    if count == 0:
        return []
    near = np.argpartition(-row, count - 1)[:count]
    found: list[int] = near[np.argsort(-row[near])].tolist()
    return found


def _count(asked: Asked) -> int:
    """How many alternatives are asked for."""
    if "top_logprobs" in asked:
        return int(asked["top_logprobs"] or 0)
    logprobs = asked.get("logprobs")
    return 0 if isinstance(logprobs, bool) else int(logprobs or 0)


def _wants_rows(asked: Asked) -> bool:
    logprobs = asked.get("logprobs")
    return bool(logprobs) or (logprobs == 0 and logprobs is not False)


async def _stream(send: Send, dialect: Dialect, answers: list[Said]) -> None:
    """Give the answers as a stream."""
    headers = [(b"content-type", dialect.stream_type)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in dialect.written(dialect.frames(answers)):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
