"""Every pair of request parameters on every endpoint: how many tokens of one position get a value in all.

A caller asks each pair for one prefix several times, and steers the answer as far as the pair lets him; what
he has at the end is the union of all tokens that came with a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import orjson

from hardening.redteam.logprobs.client import CHAT, TEXT, Caller, mounted
from hardening.redteam.logprobs.model import ToyModel
from hardening.redteam.logprobs.server import ToyServer

_TRIES = 4
"""Times that a pair is asked, each time with other values of its parameters."""
_PROMPT = "w11 w222 w33 w4 w55"
_WORDS = 512

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
    "bad_words": lambda turn: [f"w{word}" for word in range(0, _WORDS, 2 + turn)],
    "presence_penalty": lambda turn: -90.0,
    "logprob_token_ids": lambda turn: list(range(300 + 10 * turn, 310 + 10 * turn)),
    "prompt_logprobs": lambda turn: 20,
    "echo": lambda turn: True,
    "extra_body": lambda turn: {"logit_bias": {str(400 + turn): 100}, "top_logprobs": 20},
}
ENDPOINTS = {"chat": CHAT, "completions": TEXT}
PLACES = tuple((endpoint, stream) for endpoint in ENDPOINTS for stream in (False, True))

Pair = tuple[str, str]


class Cell(NamedTuple):
    """One pair at one endpoint: of how many tokens of a position values came, and what became of the request."""

    tokens: int
    fate: str


def pairs() -> Iterator[Pair]:
    """Each parameter by itself, and all pairs of them."""
    for name in PARAMETERS:
        yield name, ""
    for first, second in combinations(PARAMETERS, 2):
        if _key(first) != _key(second):
            yield first, second


class Paths:
    """The toy server, asked in every way by a caller without us, or behind a preset."""

    def __init__(self, preset: str | None, seed: int = 7) -> None:
        self._server = ToyServer(ToyModel(hidden=16, vocabulary=_WORDS, seed=seed))
        self._caller = Caller(self._server) if preset is None else mounted(self._server, preset)

    def cells(self, pair: Pair) -> tuple[Cell, ...]:
        """The cells of one pair, in the order of PLACES."""
        self._server.draw_again()
        return tuple(self._cell(pair, endpoint, stream=stream) for endpoint, stream in PLACES)

    def _cell(self, pair: Pair, endpoint: str, *, stream: bool) -> Cell:
        found: dict[str, set[str]] = {}
        fates = set()
        for turn in range(_TRIES):
            body = _body(pair, turn, endpoint, stream=stream)
            self._server.heard = b""
            answer = self._caller.ask(ENDPOINTS[endpoint], **body)
            heard = self._server.heard
            fates.add("as it came" if heard == orjson.dumps(body) else "altered" if heard else "refused")
            for rows in answer.rows:
                found.setdefault("answer", set()).update(token for values in rows[:1] for token in values)
            for place in answer.beside:
                at, _, token = place.partition(":")
                found.setdefault(at, set()).add(token)
        return Cell(max(map(len, found.values()), default=0), " or ".join(sorted(fates)))


def page(chosen: Iterable[Pair] | None = None) -> str:
    """The page of all pairs, or of those `chosen`, as Markdown."""
    told = {preset: Paths(preset) for preset in (None, "baseline", "strict")}
    lines = [_HEAD]
    for pair in pairs() if chosen is None else chosen:
        columns = [told[preset].cells(pair) for preset in told]
        lines.append(row(pair, *columns))
    return "\n".join(lines) + "\n"


def row(pair: Pair, bare: tuple[Cell, ...], baseline: tuple[Cell, ...], strict: tuple[Cell, ...]) -> str:
    """The line of one pair."""
    name = " with ".join(f"`{one}`" for one in pair if one)
    cells = [str(max(cell.tokens for cell in bare)), *map(_shown, baseline)]
    worst = max(cell.tokens for cell in strict)
    return f"| {name} | {' | '.join([*cells, f'{worst}, {_fates(strict)}'])} |"


def _shown(cell: Cell) -> str:
    return f"{cell.tokens}, {cell.fate}"


def _fates(cells: tuple[Cell, ...]) -> str:
    return " or ".join(sorted({cell.fate for cell in cells}))


def _key(name: str) -> str:
    return name.partition(":")[0]


def _body(pair: Pair, turn: int, endpoint: str, *, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "toy", "max_tokens": 1}
    if endpoint == "chat":
        body |= {"messages": [{"role": "user", "content": _PROMPT}], "logprobs": True}
    else:
        body |= {"prompt": _PROMPT, "logprobs": 5}
    if stream:
        body["stream"] = True
    for name in filter(None, pair):
        body[_key(name)] = PARAMETERS[name](turn)
    return body


_HEAD = """\
# Ways to log-probabilities, and what comes out of each

<!-- Made by `scripts/logprobs-paths`; a test asks a part of it anew. -->

Of how many tokens of one position a caller gets a value who asks the same prefix four times and steers each answer
as far as the parameters let him. The server is a toy that obeys whatever it is asked (`hardening/redteam/logprobs/server.py`);
"without us" is the most that it told on any endpoint. A request that a policy let through is *as it came* or *altered*;
what came back is cut in any case. `baseline` promises five, `strict` none.

| parameters | without us | `baseline`: chat | chat, streamed | completions | completions, streamed | `strict`: all |
| --- | --- | --- | --- | --- | --- | --- |"""
