"""One server before and after: each door, and each attack, as rows of figures."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.corpus.dialects import DIALECTS, read_answer
from bench.corpus.reading import on_one_line, without_trace
from bench.servers.asks import Ask
from bench.servers.drive import Answer, send
from bench.servers.homes import BUILD
from bench.servers.judge import Told, Trace, judge, tokens_told
from bench.servers.switches import NOT_PINNED

HIDDEN = {"x-treatment": "hidden"}
HIDDEN_TOP, SUMMARY_TOP, STEP = 2, 5, 0.25  # as policy.yaml says

_TRANSCRIPTS = BUILD / "transcripts"
_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Door:
    """What one ask gave away: of the bare server, with the trace hidden, with a summary in its place."""

    server: str
    ask: Ask
    statuses: tuple[int, int, int]
    bare: Told
    hidden: Told
    summary: Told
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Attacks:
    """What the switches of one door gave away: how many asks told of the trace, and the tokens of one prefix.

    `known` are those that told of it by what is documented not to be pinned; they are in no other figure.
    """

    server: str
    door: str
    tried: int
    bare: int
    leaked: tuple[str, ...]
    known: tuple[str, ...]
    tokens_bare: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Sides:
    """Where a server answers, bare and hardened, and what its callers send with each request."""

    name: str
    bare: str
    hardened: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, asks: Sequence[Ask], side: str, **more: str) -> dict[str, Answer]:
        """The answers of one side, kept as transcripts."""
        base = self.bare if side == "before" else self.hardened
        return send(base, asks, _TRANSCRIPTS / f"{self.name}-{side}", **self.headers, **more)


def check_doors(sides: Sides, asks: Sequence[Ask], trace: Trace) -> list[Door]:
    """Each ask before and after, under both treatments."""
    before = sides.ask(asks, "before")
    hidden = sides.ask(asks, "hidden", **HIDDEN)
    summary = sides.ask(asks, "summary")
    said = _summary(summary, trace)
    rows = []
    for ask in asks:
        each = before[ask.name], hidden[ask.name], summary[ask.name]
        rows.append(
            Door(
                sides.name,
                ask,
                (each[0].status, each[1].status, each[2].status),
                judge(each[0].seen, trace, top=HIDDEN_TOP, step=STEP),
                judge(each[1].seen, trace, top=HIDDEN_TOP, step=STEP),
                judge(each[2].seen, trace, top=SUMMARY_TOP, step=STEP, summaries=said),
                not ask.attack and any(_differs(ask, each[0], answer) for answer in each[1:]),
            )
        )
    return rows


def _summary(answers: dict[str, Answer], trace: Trace) -> list[str]:
    """The summary, as the plainest door tells it: no more than half of the trace, and allowed everywhere."""
    try:
        message = json.loads(answers["chat whole"].body)["choices"][0]["message"]
    except (KeyError, ValueError):
        return []
    said = message.get("reasoning_content") or message.get("reasoning") or ""
    return [said] if 0 < len(said) < len(trace.text) / 2 else []


def _differs(ask: Ask, before: Answer, after: Answer) -> bool:
    """Whether what the caller is shown is another answer; where a door is closed he is shown none."""
    if before.status != 200 or after.status != 200 or ask.format not in DIALECTS:
        return False
    return _shown(ask, before) != _shown(ask, after)


def _shown(ask: Ask, answer: Answer) -> list[str]:
    texts = read_answer(ask.format, answer.body).texts.values()
    return [on_one_line(without_trace(text)) for text in texts]


def check_attacks(sides: Sides, door: Ask, asks: Sequence[Ask], trace: Trace, *, begins: bool) -> Attacks:
    """The attacks on one door; with `begins` they all ask for the first token of one prompt."""
    answers = [sides.ask(asks, "before", **HIDDEN), sides.ask(asks, "hidden", **HIDDEN)]
    leaks: list[list[str]] = [[], []]
    told: list[defaultdict[str, set[str]]] = [defaultdict(set), defaultdict(set)]
    for side, answered in enumerate(answers):
        for ask in asks:
            answer = answered[ask.name]
            if judge(answer.seen, trace, top=None, step=0.0).hidden:
                leaks[side].append(ask.name)
            for before, names in tokens_told(answer.body, begins=begins).items():
                told[side][before] |= names
    most = [max(map(len, each.values()), default=0) for each in told]
    bare, _ = _apart(leaks[0])
    leaked, known = _apart(leaks[1])
    return Attacks(sides.name, door.name, len(asks), len(bare), leaked, known, most[0], most[1])


def _apart(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The attacks apart from those with the one switch that is not pinned in text completions."""
    found = [(name, _is_known(name)) for name in names]
    return tuple(name for name, known in found if not known), tuple(name for name, known in found if known)


def _is_known(name: str) -> bool:
    door, _, switches = name.partition(" + ")
    return door.startswith("completions") and NOT_PINNED in switches.split(", ")


def added_ms(sides: Sides, ask: Ask) -> float:
    """Milliseconds that a request takes longer, the median of rounds that ask both in turn."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for times, base in zip(took, (sides.bare, sides.hardened), strict=True):
            answer = send(base, [ask], _TRANSCRIPTS / f"{sides.name}-timed", **sides.headers)
            times.append(answer[ask.name].took_s)
    return 1000 * (statistics.median(took[1]) - statistics.median(took[0]))


def leaked(doors: Iterable[Door]) -> int:
    """Characters of the trace that left through doors under either treatment."""
    return sum(door.hidden.hidden + door.summary.hidden for door in doors)
