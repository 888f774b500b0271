"""What a running answer may still write: more is reserved as it goes, in debt, or as its limits refill."""

from __future__ import annotations

from inspect import isawaitable

from hardening.asgi.case import Case
from hardening.asgi.control import ENDED, GRANTED, Extension
from hardening.asgi.receipts import usage_of
from hardening.asgi.service import Service
from hardening.exchange import Exchange
from hardening.facts import Admission, Charge, Lease, Usage
from hardening.policy import extended, going_on, held, settled

# What a lease is extended by beyond what is owed, so that a long answer asks its store seldom; a limit
# with less than this left cuts that much too early.
_AHEAD_TOKENS = 256
# The same for an answer that waits for its limit to refill: it goes on in small steps.
_STEP_TOKENS = 8
# An answer whose limit gives nothing for longer than this is cut: nobody waits for it.
_LONGEST_WAIT_S = 60.0


class Allowance:
    """Extends the lease of one answer; `paid` is what earlier leases of the same answer were settled with."""

    __slots__ = ("_ahead", "_case", "_exchange", "_holds", "_service", "paid")

    def __init__(self, service: Service, case: Case, exchange: Exchange) -> None:
        self._service = service
        self._case = case
        self._exchange = exchange
        self._ahead = _AHEAD_TOKENS
        self._holds = True  # whether the lease holds tokens that were used by now
        self.paid = Usage()

    async def extended(self) -> Extension:
        """Reserve what the exchange owes, and something beyond; or say how the answer goes on without."""
        case, owed = self._case, self._exchange.owed + self._ahead
        lease = case.admission.lease
        if lease is None or case.store is None:
            self._exchange.granted(owed)
            return GRANTED
        more = extended(case.claim, owed, in_debt=case.decision.at_limit == "finish")
        try:
            answer = case.store.extend(lease, more, self._service.now())
            admission = await answer if isawaitable(answer) else answer
        except Exception as fault:  # noqa: BLE001  as in case.py
            self._service.store_failed("extend", fault)
            admission = self._extended_without(lease, more)
        if admission.granted or not case.claim.enforced:
            if admission.lease is not None:
                case.admission = case.admission._replace(lease=admission.lease)
            self._holds = True
            self._exchange.granted(owed)
            return GRANTED
        return await self._refused(owed, admission)

    async def _refused(self, owed: int, admission: Admission) -> Extension:
        if self._case.decision.at_limit != "slow" or admission.refused_by is None:
            return ENDED
        if self._holds:
            return await self._renewed(owed)
        wait_s = admission.retry_after_s
        return (
            ENDED if wait_s is None or wait_s > _LONGEST_WAIT_S else Extension(granted=False, wait_s=wait_s)
        )

    async def _renewed(self, owed: int) -> Extension:
        """Let what was used so far be spent, since what is held does not come back; then ask anew."""
        case, lease = self._case, self._case.admission.lease
        assert lease is not None
        assert case.store is not None
        used = usage_of(case, self._exchange.settlement(), 200)
        try:
            done = case.store.settle(
                lease, settled(case.claim, less(used, self.paid)), None, self._service.now()
            )
            if isawaitable(done):
                await done
        except Exception as fault:  # noqa: BLE001  the store hears of it when it is back
            self._service.store_failed("settle", fault)
        case.admission, self.paid = case.admission._replace(lease=None), used
        case.claim = going_on(case.claim)
        try:
            answer = case.store.admit(case.account, held(case.claim), self._service.now())
            admission = await answer if isawaitable(answer) else answer
        except Exception as fault:  # noqa: BLE001  as in case.py
            self._service.store_failed("admit", fault)
            admission = self._admitted_without()
        if not admission.granted:
            return ENDED
        case.admission = case.admission._replace(lease=admission.lease)
        self._holds, self._ahead = False, _STEP_TOKENS
        return await self.extended()

    def _extended_without(self, lease: Lease, more: tuple[Charge, ...]) -> Admission:
        """What the policy says where the store is lost: the share of this process, nothing, or anything."""
        terms = self._case.in_force.policy.on_failure.store
        if terms == "local":
            return self._service.local.extend(lease, more, self._service.now())
        return Admission(terms == "allow", None, self._case.admission.standing)

    def _admitted_without(self) -> Admission:
        """The same for a lease that follows another one; without one and without a store nothing is counted."""
        case, service = self._case, self._service
        terms = case.in_force.policy.on_failure.store
        case.store = service.local if terms == "local" else None
        if terms == "local":
            return service.local.admit(case.account, held(case.claim), service.now())
        return Admission(terms == "allow", None, case.admission.standing)


def less(usage: Usage, paid: Usage) -> Usage:
    """What is left of a usage to be settled."""
    return Usage(*(max(0, used - gone) for used, gone in zip(usage, paid, strict=True)))
