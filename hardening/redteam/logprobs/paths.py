"""Every pair of request parameters on every endpoint: how many tokens of one position get a value in all.

A caller asks each pair for one prefix many times, and steers the answer as far as the pair lets him; what
he has at the end is the union of all tokens that came with a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from hardening.redteam.logprobs.client import CHAT, TEXT, Caller
from hardening.redteam.logprobs.model import ToyModel

_TRIES = 6
"""Times that a pair is asked, each time with other values of its parameters."""
_PROMPT = "w11 w222 w33 w4 w55"

Steered = Callable[[int], Any]
PARAMETERS: dict[str, Steered] = {
    "top_logprobs: 20": lambda turn: 20,
    "top_logprobs: -1": lambda turn: -1,
    "logprobs: 0": lambda turn: 0,
    "logprobs: 9": lambda turn: 9,
    "n": lambda turn: 4,
    "best_of": lambda turn: 4,
    "seed": lambda turn: turn,
    "temperature": lambda turn: 1.5,
    "stream_options": lambda turn: {"include_usage": True},
    "logit_bias": lambda turn: {str(100 + 10 * turn + place): 100 for place in range(10)},
    "allowed_token_ids": lambda turn: list(range(200 + 10 * turn, 210 + 10 * turn)),
    "bad_words": lambda turn: [f"w{word}" for word in range(0, 4096, 2 + turn)],
    "presence_penalty": lambda turn: -90.0,
    "logprob_token_ids": lambda turn: list(range(300 + 10 * turn, 310 + 10 * turn)),
    "prompt_logprobs": lambda turn: 20,
    "echo": lambda turn: True,
    "extra_body": lambda turn: {"logit_bias": {str(400 + turn): 100}, "top_logprobs": 20},
}
ENDPOINTS = {"chat": CHAT, "completions": TEXT}


class Cell(NamedTuple):
    """One pair at one endpoint: the tokens told bare and mounted, and what became of the requests."""

    first: str
    second: str
    endpoint: str
    stream: bool
    bare: int
    mounted: int
    fate: str


def pairs() -> Iterator[tuple[str, str]]:
    """All pairs of parameters, and each by itself."""
    for name in PARAMETERS:
        yield name, ""
    for first, second in combinations(PARAMETERS, 2):
        if first.partition(":")[0] != second.partition(":")[0]:
            yield first, second


def cells(
    bare: Caller, mounted: Caller, model: ToyModel, *, chosen: Callable[[str, str], bool] = lambda a, b: True
) -> Iterator[Cell]:
    """The cells of the table."""
    for first, second in pairs():
        if not chosen(first, second):
            continue
        for endpoint, path in ENDPOINTS.items():
            for stream in (False, True):
                asked = [_body(first, second, turn, endpoint, stream=stream) for turn in range(_TRIES)]
                without, _ = _told(bare, path, asked)
                ours, fate = _told(mounted, path, asked)
                yield Cell(first, second, endpoint, stream, without, ours, fate)


def _body(first: str, second: str, turn: int, endpoint: str, *, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "toy", "max_tokens": 1}
    if endpoint == "chat":
        body |= {"messages": [{"role": "user", "content": _PROMPT}], "logprobs": True}
    else:
        body |= {"prompt": _PROMPT, "logprobs": 5}
    if stream:
        body["stream"] = True
    for name in filter(None, (first, second)):
        body[name.partition(":")[0]] = PARAMETERS[name](turn)
    return body


def _told(caller: Caller, path: str, asked: list[dict[str, Any]]) -> tuple[int, str]:
    """How many tokens of one position came with a value, the most of any; and what became of the requests."""
    found: dict[str, set[str]] = {}
    statuses = set()
    for body in asked:
        answer = caller.ask(path, **body)
        statuses.add(answer.status)
        for rows in answer.rows:
            found.setdefault("answer", set()).update(token for values in rows[:1] for token in values)
        for place in answer.beside:
            at, _, token = place.partition(":")
            found.setdefault(at, set()).add(token)
    most = max(map(len, found.values()), default=0)
    return most, "refused" if statuses == {400} else "answered" if statuses == {200} else "some refused"
