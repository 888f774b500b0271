"""Every pair of request parameters on every endpoint: how many tokens of one position get a value in all.

A caller asks each pair for one prefix several times, and steers the answer as far as the pair lets him; what
he has at the end is the union of all tokens that came with a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import orjson

from hardening.redteam.logprobs.client import Caller, mounted
from hardening.redteam.logprobs.dialects import DIALECTS, Dialect
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
    "presence_penalty": lambda turn: 30.0 * (turn - 2),
    "response_format": lambda turn: {
        "type": "json_schema",
        "json_schema": {
            "schema": {"enum": [f" w{word}" for word in range(250 + 10 * turn, 260 + 10 * turn)]}
        },
    },
    "logprob_token_ids": lambda turn: list(range(300 + 10 * turn, 310 + 10 * turn)),
    "prompt_logprobs": lambda turn: 20,
    "echo": lambda turn: True,
    "extra_body": lambda turn: {"logit_bias": {str(400 + turn): 100}, "top_logprobs": 20},
}
PLACES = tuple((dialect, stream) for dialect in DIALECTS.values() for stream in (False, True))

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
        return tuple(self._cell(pair, dialect, stream=stream) for dialect, stream in PLACES)

    def _cell(self, pair: Pair, dialect: Dialect, *, stream: bool) -> Cell:
        found: dict[str, set[str]] = {}
        fates = set()
        for turn in range(_TRIES):
            steered = {_key(name): PARAMETERS[name](turn) for name in pair if name}
            body = dialect.body(_PROMPT, steered, stream=stream)
            self._server.heard = b""
            answer = self._caller.ask(dialect.stream_path if stream else dialect.path, **body)
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
    columns = ("parameters", "without us", *(f"`baseline`: {name}" for name in DIALECTS), "`strict`: all")
    lines = [_HEAD, f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    asked = pairs() if chosen is None else chosen
    lines += [row(pair, *(told[preset].cells(pair) for preset in told)) for pair in asked]
    return "\n".join(lines) + "\n"


def row(pair: Pair, bare: tuple[Cell, ...], baseline: tuple[Cell, ...], strict: tuple[Cell, ...]) -> str:
    """The line of one pair."""
    name = " with ".join(f"`{one}`" for one in pair if one)
    cells = [str(max(cell.tokens for cell in bare)), *map(_shown, baseline[::2], baseline[1::2])]
    worst = max(cell.tokens for cell in strict)
    return f"| {name} | {' | '.join([*cells, f'{worst}, {_fates(strict)}'])} |"


def _shown(whole: Cell, streamed: Cell) -> str:
    told, also = (f"{cell.tokens}, {cell.fate}" for cell in (whole, streamed))
    return told if told == also else f"{told}; streamed {also}"


def _fates(cells: tuple[Cell, ...]) -> str:
    return " or ".join(sorted({cell.fate for cell in cells}))


def _key(name: str) -> str:
    return name.partition(":")[0]


_HEAD = """\
# Ways to log-probabilities, and what comes out of each

<!-- Made by `scripts/logprobs-paths`; a test asks a part of it anew. -->

Of how many tokens of one position a caller gets a value who asks the same prefix four times and steers each answer
as far as the parameters let him. The server is a toy that obeys whatever it is asked (`hardening/redteam/logprobs/server.py`);
"without us" is the most that it told on any endpoint. A request that a policy let through is *as it came* or *altered*;
what came back is cut in any case. Streamed and whole answers have one cell where they are alike. A parameter stands where the API
has it, under its name there (`n` is Gemini's `candidateCount`), else at the top of the body, as gateways take it.
`baseline` promises five, `strict` none.
"""
