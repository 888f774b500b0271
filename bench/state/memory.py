"""What the store of one process costs: a request's share of time, and a flood of made-up ids.

Run: .venv/bin/python -m bench.state.memory [--quick]
Output: one table; exit 1 where a budget is not kept.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from time import process_time

from rich.console import Console
from rich.table import Table

from bench.apps import one_core
from bench.state.line import Line
from hardening.facts import Account, Charge, Limit, RequestFacts
from hardening.identity import Identifier, Keys
from hardening.policy import Policy, charges
from hardening.policy.load import Source, load_text, read_parent
from hardening.state import MemoryStore

ROUNDS, REQUESTS = 15, 2000
BUDGET_US = 10.0

POLICY = """version: 1
name: flood
accounts: {unproven: {limits: [trial]}}
limits:
  trial: {requests: 3k, per: 1m}
  minute: {tokens: 60k, per: 1m, burst: 120k}
  month: {tokens: 50M, per: 30d}
  calls: {requests: 100, per: 1m, window: sliding}
defaults: {limits: [minute, month, calls]}
"""

MINUTE = Limit("minute", "tokens", 1e9, 60.0, 1e9)
MONTH = Limit("month", "tokens", 1e12, 2_592_000.0, 1e12)
CALLS = Limit("calls", "requests", 1e9, 60.0, 1e9)
SLIDING = Limit("hour", "tokens", 1e9, 3600.0, 1e9, window="sliding")
TEAM = Limit("team", "tokens", 1e12, 2_592_000.0, 1e12, by="org")
GLASS = Limit("glass", "tokens", 1e9, 60.0, 1e9, by="model")


def times() -> Iterator[Line]:
    """Microseconds of admit and settle together, over a thousand accounts in turn; the least of all rounds."""
    cases = {
        "one limit": [MINUTE],
        "two limits": [MINUTE, CALLS],
        "four limits": [MINUTE, MONTH, CALLS, SLIDING],
        "four limits over three scopes": [MINUTE, CALLS, TEAM, GLASS],
    }
    for what, limits in cases.items():
        requests = [_request(number % 1000, limits) for number in range(REQUESTS)]
        store = MemoryStore()
        budget = BUDGET_US if len(limits) == 2 else None
        yield Line(
            f"admit + settle, {what}", _least_us(lambda s=store, r=requests: _turns(s, r)), "us", budget
        )


def _request(number: int, limits: list[Limit]) -> tuple[Account, tuple[Charge, ...], tuple[Charge, ...]]:
    account = Account(f"acct_{number:020d}", org=f"org_{number % 50}")
    scopes = {
        "org": f"org:{account.org}",
        "account": account.scope,
        "key": account.scope,
        "model": f"model:{account.id}\nglass",
    }
    reserved = tuple(Charge(limit, scopes[limit.by], 900.0) for limit in limits)
    return account, reserved, tuple(charge._replace(amount=700.0) for charge in reserved)


def _turns(
    store: MemoryStore, requests: list[tuple[Account, tuple[Charge, ...], tuple[Charge, ...]]]
) -> None:
    now = 1000.0
    for account, reserved, actual in requests:
        now += 0.001
        lease = store.admit(account, reserved, now).lease
        assert lease is not None
        store.settle(lease, actual, None, now)


def _least_us(turns: Callable[[], None]) -> float:
    turns()
    rounds = []
    for _ in range(ROUNDS):
        began = process_time()
        turns()
        rounds.append((process_time() - began) / REQUESTS * 1e6)
    return min(rounds)


def flood(ids: int) -> Iterator[Line]:
    """A network that makes up a key for each request, beside a hundred accounts that the app knows."""
    policy = load_text(Source("flood.yaml", "flood", POLICY.encode()), environment={}, parents=read_parent)
    identifier, store = Identifier(Keys.of(b"k" * 32)), MemoryStore()
    honest = [Account(f"acct_{number}") for number in range(100)]
    before = {account.id: _spend(store, policy, account, 10.0) for account in honest}
    gc.collect()
    tracemalloc.start()
    granted = 0
    for number in range(ids):
        scope = {
            "headers": [(b"authorization", b"Bearer made-up-%d" % number)],
            "client": ("203.0.113.9", 4711),
        }
        granted += _spend(store, policy, identifier.identify(scope, None, 10.0), 10.0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept = sum(
        store.admit(account, (), 10.0).standing.requests == 1 for account in honest if before[account.id]
    )
    yield Line(f"requests granted to {ids:,} made-up ids of one network", granted, "", 3000)
    yield Line("bytes that they leave", used, "bytes", 16 * 2**20)
    yield Line("scopes that are remembered", len(store), "", 101)
    yield Line("honest accounts that lost their standing", 100 - kept, "", 0)


def _spend(store: MemoryStore, policy: Policy, account: Account, now: float) -> bool:
    facts = RequestFacts("/v1/chat/completions", "openai_chat", "glass", max_tokens=100)
    answer = store.admit(account, charges(policy, facts, account, 100, now).charges, now)
    if answer.lease is not None:
        store.settle(answer.lease, (), None, now)
    return answer.granted


def main(arguments: list[str]) -> int:
    """Print the table; 1 where a budget is not kept."""
    quick = "--quick" in arguments
    one_core()
    lines = [*times(), *flood(20_000 if quick else 1_000_000)]
    table = Table("memory store", "figure", "", "budget")
    for line in lines:
        goal = "" if line.budget is None else f"<= {line.budget:,.0f}" + ("" if line.holds else "  MISSED")
        table.add_row(line.what, f"{line.value:,.1f}", line.unit, goal)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
