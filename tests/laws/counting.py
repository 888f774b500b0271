"""Stores that count what they granted and settled."""

from __future__ import annotations

import asyncio
from typing import Any

from hardening.facts import Account, Admission, Charge, Lease
from hardening.state import Evidence, MemoryStore


class Counting(MemoryStore):
    """The memory store, and how often it granted and was asked to settle."""

    granted = settled = 0

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        admission = super().admit(account, charges, now)
        self.granted += admission.granted
        return admission

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float) -> None:
        self.settled += 1
        super().settle(lease, actual, evidence, now)


class Awaited:
    """The memory store behind a network, which answers a tick later; the reply of `admit` is never lost."""

    def __init__(self) -> None:
        self.inner = Counting()

    async def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        await asyncio.sleep(0)
        return self.inner.admit(account, charges, now)

    async def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        await asyncio.sleep(0)
        return self.inner.extend(lease, charges, now)

    async def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.inner.settle(lease, actual, evidence, now)


def counts(store: Any) -> tuple[int, int, int]:
    """Settlements short of leases, settlements too many, and leases still open."""
    inner: Counting = getattr(store, "inner", store)
    return inner.granted - inner.settled, inner.late_settlements, inner.open_leases
