"""The doors of llama-cpp-python 0.3.36. Its model does not think: a grammar makes it write a trace between tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.servers.asks import QUESTION, Ask, chat, completion, whole_and_stream, with_rows
from bench.servers.judge import Trace

MODEL = "small"
TRACE = Trace("nights are cold, leaves turn", "Red.")
_GRAMMAR = f'root ::= "<think>{TRACE.text}</think>{TRACE.answer}"'


def doors() -> Iterator[Ask]:
    """Every door, with as few tokens as show it."""
    for ask in (chat(MODEL), with_rows(chat(MODEL)), completion(MODEL)):
        yield from whole_and_stream(replace(ask, body={**(ask.body or {}), "grammar": _GRAMMAR}))
    rows = {"grammar": _GRAMMAR, "logprobs": 5, "echo": True}
    yield from whole_and_stream(completion(MODEL).with_body("rows", **rows))
    yield from whole_and_stream(replace(chat(MODEL, name="chat free"), body=_free(chat(MODEL))))
    yield Ask("tokenize", "", "/extras/tokenize", {"model": MODEL, "input": QUESTION})
    yield Ask("count", "", "/extras/tokenize/count", {"model": MODEL, "input": QUESTION})
    yield Ask("detokenize", "", "/extras/detokenize", {"model": MODEL, "tokens": [1, 2, 3]})
    yield Ask("GET /v1/models", "", "/v1/models", None, "GET")


def _free(ask: Ask) -> dict:
    """What the model says by itself, the same each time."""
    return {**(ask.body or {}), "max_tokens": 12, "temperature": 0.0, "logprobs": True, "top_logprobs": 5}
