"""What a large policy costs: loading it, holding it, and deciding a request with it.

Run: .venv/bin/python -m bench.policy
Output: one table, a small policy (5 rules, 10 members) beside a large one (500 rules, 10,000 members).
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.apps import one_core
from hardening.facts import Account, RequestFacts, Standing
from hardening.policy import Policy, charges, decide
from hardening.policy.load import Source, load_text, read_parent

ROUNDS = 31
LOADS = 5
REQUESTS = 2000
NOW = 1_795_000_000.0
STANDING = Standing(requests=99, age_s=1e6)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rules a policy has, and how many accounts its groups name."""

    rules: int
    members: int


SMALL, LARGE = Size(5, 10), Size(500, 10_000)


def text_of(size: Size) -> str:
    """A policy of this size: rules by group, model, account, header and door, some of which end."""
    groups = [f"  g{i}: [{', '.join(_members(size, i))}]" for i in range(5)]
    rules = [f"  - {{name: r{i}, {_match(size, i)}}}" for i in range(size.rules)]
    return "\n".join(
        ["version: 1", "extends: baseline", "accounts:", " groups:", *groups, "rules:", *rules, ""]
    )


def _members(size: Size, group: int) -> list[str]:
    return [f"acct_{i}" for i in range(group, size.members, 5)]


def _match(size: Size, i: int) -> str:
    kinds = (
        f"match: {{group: g{i % 5}, model: 'm{i}-*'}}, logprobs: {{top: {i % 20}}}",
        f"match: {{model: [m{i}, 'x{i}*']}}, reasoning: {{max_tokens: {i + 1}}}",
        f"match: {{account: acct_{i * 7 % size.members}}}, usage: drop",
        f"match: {{header: {{x-tenant: 't{i}*'}}}}, max_tokens: {i + 1}k",
        f"match: {{door: openai_chat, model: n{i}}}, until: 2027-0{i % 9 + 1}-01, pace: {i + 1}/s",
    )
    return kinds[i % 5]


def loaded(text: str) -> Policy:
    """The policy of a text, as a file would give it."""
    return load_text(Source("bench.yaml", "bench", text.encode()), environment={}, parents=read_parent)


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds to load, MiB held, and microseconds for each way to ask."""

    load_ms: float
    held_mib: float
    again_us: float
    turns_us: float
    fresh_us: float
    charges_us: float


def measure(size: Size) -> Cost:
    """What a policy of this size costs."""
    text = text_of(size)
    again = [_asked(0)] * REQUESTS
    turns = [_asked(i) for i in range(REQUESTS)]
    # Ten thousand accounts in turn, more than any table remembers.
    fresh = [_asked(i) for i in range(10_000)]
    policy, held = _held(text)
    return Cost(
        load_ms=_median_s(lambda: loaded(text), LOADS) * 1e3,
        held_mib=held / 2**20,
        again_us=_each_us(policy, again),
        turns_us=_each_us(policy, turns),
        fresh_us=_each_us(policy, fresh),
        charges_us=_median_s(lambda: [charges(policy, f, a, 100, NOW) for f, a in again], ROUNDS)
        / REQUESTS
        * 1e6,
    )


def _asked(i: int) -> tuple[RequestFacts, Account]:
    headers = ((b"x-tenant", b"t%d" % (i % 50)), (b"content-type", b"application/json"))
    facts = RequestFacts("/chat/completions", "openai_chat", f"m{i % 40}", stream=True, headers=headers)
    return facts, Account(f"acct_{i}")


def _held(text: str) -> tuple[Policy, int]:
    """A policy and the bytes that it holds."""
    loaded(text)
    gc.collect()
    tracemalloc.start()
    policy = loaded(text)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return policy, held


def _each_us(policy: Policy, asked: list[tuple[RequestFacts, Account]]) -> float:
    def run() -> None:
        for facts, account in asked:
            decide(policy, facts, account, STANDING, NOW)

    run()
    return _median_s(run, ROUNDS if len(asked) == REQUESTS else LOADS) / len(asked) * 1e6


def _median_s(act: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        began = perf_counter()
        act()
        seconds.append(perf_counter() - began)
    return median(seconds)


def main() -> None:
    """Measure both sizes on one core and print the table."""
    with one_core():
        small, large = measure(SMALL), measure(LARGE)
    table = Table("what", "5 rules, 10 members", "500 rules, 10,000 members", "ratio", title_justify="left")
    for name, what in _ROWS.items():
        left, right = getattr(small, name), getattr(large, name)
        table.add_row(what, f"{left:,.2f}", f"{right:,.2f}", f"{right / left:,.2f} x")
    Console(width=110).print(table)


_ROWS = {
    "load_ms": "load, ms",
    "held_mib": "held, MiB",
    "again_us": "decide, the same account again, us",
    "turns_us": "decide, 2,000 accounts in turn, us",
    "fresh_us": "decide, 10,000 accounts in turn, us",
    "charges_us": "charges, the same account again, us",
}

if __name__ == "__main__":
    main()
