"""The store of several workers of one machine: one SQLite file, and an event loop that never waits for it."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from pathlib import Path

from hardening.clock import Clock, SystemClock
from hardening.facts import Account, Admission, Charge, Lease
from hardening.state.sqlite.desk import BUSY, Desk, call_of
from hardening.state.sqlite.file import StateFile
from hardening.state.sqlite.ledger import Ledger
from hardening.state.standing import Evidence

_PATIENCE_S = 5.0
"""How long a request waits for others to stop writing: commonly 1 ms, and where a disk is slow to sync, that long."""

_SETTLING_S = 30.0
"""How long a settlement waits: its caller has his answer."""

_INHERITED: list[Desk] = []
"""What a fork has copied: never used and never closed, for that would touch the file of the parent."""


class SqliteStore:
    """A `StateStore` in one file, for all processes of one machine; it outlives them.

    Answers at once where nobody else writes, with something to await where somebody does. Making one
    opens nothing: `open` does, or the first call of each process. Time is the machine's; `now` is ignored.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_accounts: int = 1_000_000,
        lease_s: float = 1800.0,
        clock: Clock | None = None,
    ) -> None:
        self.late_settlements = 0
        """Settlements of leases that were settled or had expired; they changed nothing."""
        self._file = StateFile(Path(path).absolute())
        self._clock = SystemClock() if clock is None else clock
        self._max_accounts = max_accounts
        self._lease_s = lease_s
        self._desk: Desk | None = None

    @property
    def expired_leases(self) -> int:
        """Leases that ran out and were spent as reserved, as this process found them."""
        ledger = None if self._desk is None else self._desk.ledger
        return 0 if ledger is None else ledger.expired

    def open(self) -> None:
        """Open the file, and make it where there is none; waits.

        Raises:
            StateError: it cannot be opened or written, or is none of ours.
        """
        self._at_desk().open()

    def close(self) -> None:
        """Close the file; waits. A later call opens it again."""
        desk, self._desk = self._desk, None
        if desk is not None and desk.pid == os.getpid():
            desk.close()

    def admit(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        desk = self._at_desk()
        answer: Admission | object = desk.at_once(Ledger.admit, account, charges)
        return answer if isinstance(answer, Admission) else self._admitted(desk, account, charges)

    def look(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """What is left of these limits; see `ReadableStore.look`."""
        desk = self._at_desk()
        answer: Admission | object = desk.at_once(Ledger.look, account, charges)
        return answer if isinstance(answer, Admission) else self._looked(desk, account, charges)

    def extend(
        self, lease: Lease, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve more on a lease, all or nothing; see `StateStore.extend`."""
        desk = self._at_desk()
        answer: Admission | object = desk.at_once(Ledger.extend, lease, charges)
        return answer if isinstance(answer, Admission) else self._extended(desk, lease, charges)

    def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> Awaitable[None] | None:
        """Replace what the lease reserved by what was used, once; see `StateStore.settle`."""
        desk = self._at_desk()
        in_time = desk.at_once(Ledger.settle, lease, actual, evidence)
        if in_time is BUSY:
            return self._settled(desk, lease, actual, evidence)
        self.late_settlements += not in_time
        return None

    def _at_desk(self) -> Desk:
        """What this process has open, or will have soon."""
        desk = self._desk
        if desk is None or desk.pid != os.getpid():
            if desk is not None:
                _INHERITED.append(desk)
            desk = self._desk = Desk(
                self._file, self._clock, max_accounts=self._max_accounts, lease_s=self._lease_s
            )
        return desk

    async def _admitted(self, desk: Desk, account: Account, charges: tuple[Charge, ...]) -> Admission:
        call = call_of(Ledger.admit, account, charges)
        try:
            answer: Admission = await desk.in_line(call, _PATIENCE_S)
        except BaseException:
            # He has left as it was his turn: what he was granted nobody else would settle.
            if call.answer.done() and not call.answer.cancelled() and call.answer.exception() is None:
                self._give_back(desk, call.answer.result())
            raise
        return answer

    def _give_back(self, desk: Desk, admission: Admission) -> None:
        lease = admission.lease
        if lease is not None:
            nothing = tuple([charge._replace(amount=0.0) for charge in lease.charges])
            desk.put(call_of(Ledger.settle, lease, nothing))

    async def _looked(self, desk: Desk, account: Account, charges: tuple[Charge, ...]) -> Admission:
        answer: Admission = await desk.in_line(call_of(Ledger.look, account, charges), _PATIENCE_S)
        return answer

    async def _extended(self, desk: Desk, lease: Lease, charges: tuple[Charge, ...]) -> Admission:
        answer: Admission = await desk.in_line(call_of(Ledger.extend, lease, charges), _PATIENCE_S)
        return answer

    async def _settled(
        self, desk: Desk, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None
    ) -> None:
        call = call_of(Ledger.settle, lease, actual, evidence)
        self.late_settlements += not await desk.in_line(call, _SETTLING_S)
