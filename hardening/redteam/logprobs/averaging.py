"""Attacks on noise and grid: the same value asked for many times, in every way that could draw anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from hardening.redteam.logprobs.client import TEXT, Caller
from hardening.redteam.logprobs.dialects import Values
from hardening.redteam.logprobs.model import Floats, Model

KEPT = 5
"""Alternatives that every policy here gives."""

Asked = dict[str, Any]
Way = Callable[[str, int], Iterator[Asked]]
"""The questions of one attack about one prompt, at most so many."""


class Left(NamedTuple):
    """How far a caller is from the true values after one question, and after all of them.

    Errors are root mean squares in nats; divergences are those of the true values to his, over the tokens told.
    """

    draws: int
    error_one: float
    error_all: float
    divergence_one: float
    divergence_all: float


def _asked(content: object, **more: Any) -> Asked:
    turns = [{"role": "user", "content": content}]
    body = {"model": "toy", "messages": turns, "logprobs": True, "top_logprobs": KEPT, "temperature": 0}
    return body | more


def repeats(prompt: str, count: int) -> Iterator[Asked]:
    """The very same question."""
    return (_asked(prompt) for _ in range(count))


def choices(prompt: str, count: int) -> Iterator[Asked]:
    """Several answers to one question."""
    return (_asked(prompt, n=8) for _ in range(-(-count // 8)))


def seeds(prompt: str, count: int) -> Iterator[Asked]:
    """The same question under other seeds."""
    return (_asked(prompt, seed=number) for number in range(count))


def fields(prompt: str, count: int) -> Iterator[Asked]:
    """Fields, white space, parts and escapes that change nothing for the model."""
    kinds: tuple[Callable[[int], Asked], ...] = (
        lambda number: _asked(prompt, user=f"u{number}"),
        lambda number: _asked(prompt, metadata={"a": str(number)}, top_p=1),
        lambda number: _asked(prompt.replace(" ", " " * (2 + number))),
        lambda number: _asked(
            [{"type": "text", "text": word + " "} for word in prompt.split()], presence_penalty=0
        ),
        lambda number: _asked(prompt, stream=True, max_tokens=1, stop=[f"zz{number}"]),
        lambda number: _asked(prompt, model=f"{' ' * number}TOY"),
    )
    return (kinds[number % len(kinds)](number) for number in range(count))


def near(prompt: str, count: int) -> Iterator[Asked]:
    """Another question for us, the same one for the model."""
    return (_asked(f"please{number} {prompt}") for number in range(count))


def splits(prompt: str, count: int) -> Iterator[Asked]:
    """The last words of the question as the beginning of the answer."""
    words = prompt.split()
    for at in range(min(count, len(words))):
        before, begun = " ".join(words[: len(words) - at]), " ".join(words[len(words) - at :])
        turns = [{"role": "user", "content": before}, {"role": "assistant", "content": begun}]
        yield _asked("") | {"messages": turns[: 2 if begun else 1]}


def endpoints(prompt: str, count: int) -> Iterator[Asked]:
    """The same prompt on both endpoints."""
    yield _asked(prompt)
    yield {
        "path": TEXT,
        "model": "toy",
        "prompt": prompt,
        "logprobs": KEPT,
        "max_tokens": 1,
        "temperature": 0,
    }


def aliases(prompt: str, count: int) -> Iterator[Asked]:
    """Two names of one model."""
    return (_asked(prompt, model=name) for name in ("toy", "toy-latest"))


def one_group(prompt: str, count: int) -> Iterator[Asked]:
    """Accounts of one group."""
    return (_asked(prompt, account=f"member{number}") for number in range(count))


def two_groups(prompt: str, count: int) -> Iterator[Asked]:
    """An account of each of two groups."""
    return (_asked(prompt, account=account) for account in ("member1", "other1"))


def drawn_anew(prompt: str, count: int) -> Iterator[Asked]:
    """A group for each question: what fresh noise would be."""
    return (_asked(prompt, account=f"fresh{number}") for number in range(count))


EXACT: dict[str, Way] = {
    "exact repeats": repeats,
    "n": choices,
    "seeds": seeds,
    "irrelevant fields": fields,
    "accounts of one group": one_group,
}
"""Ways that must give nothing."""
OTHERS: dict[str, Way] = {
    "accounts of two groups": two_groups,
    "both endpoints": endpoints,
    "two names of a model": aliases,
    "splits of prompt and answer": splits,
    "near-duplicates": near,
}
"""Ways that draw anew: what they gain is bounded by the step and by a budget of values."""


def policy(*, step: float, noise: float, top: int = KEPT, sampling: str = "plain", fresh: int = 64) -> str:
    """`baseline` with these values for everybody, an own group for the `fresh` accounts that ask for fresh noise."""
    groups = ", ".join(f"g{number}: [fresh{number}]" for number in range(fresh))
    return (
        f"version: 1\nextends: baseline\naccounts: {{groups: {{two: [other1], {groups}}}}}\n"
        f"defaults: {{logprobs: {{top: {top}, step: {step}, noise: {noise}, sampling: {sampling}}}}}\n"
    )


def average(
    caller: Caller, model: Model, way: Way, *, prompts: Sequence[str], count: int, step: float
) -> Left:
    """What one way of asking gains over `prompts`."""
    draws, squares, divergences = 0, [[0.0], [0.0]], [[0.0], [0.0]]
    for prompt in prompts:
        told = [values for asked in way(prompt, count) for values in _rows(caller, asked)]
        truth = model.row(model.tokens(prompt))
        draws += len(told)
        for which, sample in enumerate((told[:1], told)):
            if not sample:
                continue
            words, values = _means(sample, step)
            true = truth[[int(word.strip()[1:]) for word in words]]
            squares[which].append(float(np.mean((values - true) ** 2)))
            divergences[which].append(_divergence(true, values))
    errors = [float(np.sqrt(np.mean(one[1:]))) if one[1:] else float("nan") for one in squares]
    apart = [float(np.mean(one[1:])) if one[1:] else float("nan") for one in divergences]
    return Left(draws // max(len(prompts), 1), *errors, *apart)


class Heated(NamedTuple):
    """Values that came at other temperatures than 0 and 1, and how far differences within a row are from the true ones.

    Errors are root mean squares in nats of temperature 1, by the first of these temperatures, and by all.
    """

    told: int
    error_one: float
    error_all: float


def heated(caller: Caller, model: Model, *, prompts: Sequence[str], count: int) -> Heated:
    """The same question at `count` temperatures around 1, of a server that scales values by them.

    Each temperature moves a row on the grid by another amount, and no difference within it: what the grid takes averages out.
    """
    temperatures = np.linspace(0.75, 1.25, count)
    assert 1.0 not in temperatures
    told, squares = 0, ([0.0], [0.0])
    for prompt in prompts:
        truth = model.row(model.tokens(prompt))
        guesses: dict[str, list[float]] = {}
        for temperature in map(float, temperatures):
            for row in _rows(caller, _asked(prompt, temperature=temperature)):
                told += len(row)
                first = next(iter(row.values()))
                for word, value in row.items():
                    guesses.setdefault(word, []).append(temperature * (value - first))
        best = truth.max()
        for word, found in list(guesses.items())[1:]:
            true = truth[int(word.strip()[1:])] - best
            squares[0].append((found[0] - true) ** 2)
            squares[1].append((float(np.mean(found)) - true) ** 2)
    errors = [float(np.sqrt(np.mean(one[1:]))) if one[1:] else float("nan") for one in squares]
    return Heated(told, *errors)


def _rows(caller: Caller, asked: Asked) -> list[Values]:
    return [rows[0] for rows in caller.ask(**asked).rows if rows and rows[0]]


def _means(sample: Sequence[Values], step: float) -> tuple[list[str], Floats]:
    """The mean of each token's values, put back by half a step."""
    words = list(sample[0])
    return words, np.array(
        [np.mean([one[word] for one in sample if word in one]) for word in words]
    ) + step / 2


def _divergence(true: Floats, found: Floats) -> float:
    """Kullback-Leibler, in nats, over the tokens that were told."""
    p, q = (np.exp(values - values.max()) for values in (true, found))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p * np.log(p / q)))


def combined(fine: Caller, coarse: Caller, model: Model, *, prompts: Sequence[str]) -> tuple[float, float]:
    """The best that two sizes of noise give together, to what the finer one gives alone: with levels, with one draw.

    The caller tries every weighted mean; with one draw for both sizes `2a - b` is the value itself.
    """
    random = np.random.default_rng(7)
    ours: list[tuple[float, float]] = []
    naive: list[tuple[float, float]] = []
    for prompt in prompts:
        a, b = (_rows(one, _asked(prompt))[0] for one in (fine, coarse))
        truth = model.row(model.tokens(prompt))
        for word in list(a)[1:]:  # the likeliest one is bounded by 0, and bounds the others
            true = truth[int(word.strip()[1:])]
            draw = random.standard_normal()
            ours.append((a[word] - true, b[word] - true))
            naive.append((0.5 * draw, draw))
    return _gain(np.array(ours)), _gain(np.array(naive))


def _gain(errors: Floats) -> float:
    alone = float(np.std(errors[:, 0]))
    weights = np.linspace(-1, 3, 401)
    return (
        min(float(np.std(weight * errors[:, 0] + (1 - weight) * errors[:, 1])) for weight in weights) / alone
    )
