"""A worker process on a SQLite store: `python -m tests.state.sqlite_worker PATH SEED REQUESTS CONCURRENT`.

Each request of a few accounts reserves, waits a little and settles less, all or more, or is refused.
A line for each settlement goes out when it is written; a last one says what was met.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from inspect import isawaitable
from typing import Any

from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import SqliteStore

ACCOUNTS = tuple(Account(f"acct {number}") for number in range(3))
TOTAL = Limit("total", "tokens", amount=1e9, per_s=1e15, burst=1e9)
"""Hardly refills: it counts what was used, to the token."""
AT_ONCE = Limit("at_once", "streams", amount=5.0, per_s=1.0, burst=5.0)


def say(what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


async def finished(answer: Any) -> Any:
    return await answer if isawaitable(answer) else answer


async def work(store: SqliteStore, seed: int, requests: int, concurrent: int) -> None:
    chance = random.Random(seed)
    left = iter(range(requests))
    met = {"waited": 0, "refused": 0}

    async def client() -> None:
        for _ in left:
            account = chance.choice(ACCOUNTS)
            charges = (Charge(TOTAL, account.scope, 100.0), Charge(AT_ONCE, account.scope, 1.0))
            answer = store.admit(account, charges, 0.0)
            met["waited"] += isawaitable(answer)
            admission: Admission = await finished(answer)
            if admission.lease is None:
                met["refused"] += 1
                await asyncio.sleep(0.001)
                continue
            await asyncio.sleep(chance.random() * 0.002)
            used = float(chance.choice((0, 7, 100, 180)))
            actual = (Charge(TOTAL, account.scope, used), Charge(AT_ONCE, account.scope, 0.0))
            await finished(store.settle(admission.lease, actual, None, 0.0))
            say([account.id, used])

    await asyncio.gather(*(client() for _ in range(concurrent)))
    say(met)


def main() -> None:
    store = SqliteStore(sys.argv[1])
    store.open()
    asyncio.run(work(store, *map(int, sys.argv[2:])))
    store.close()


if __name__ == "__main__":
    main()
