"""What every state store does: reserve before the app, extend while a stream runs, settle once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from hardening.facts import Account, Admission, Charge, Lease
from hardening.state.standing import Evidence


class StateStore(Protocol):
    """Limits and standing of accounts; answers at once, or with something to await.

    `now` is in seconds of one clock that never goes back; a store with a clock of its own
    ignores it. A `Charge` is multiplied by its factor for the band that the store reads, and
    what settles a lease by the same factor. An unproven account has no standing; its charges
    carry the scope of its network. The state of a limit goes by its `key`, as the time until it is
    whole again, so a changed amount keeps the share that is spent.
    """

    def admit(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve all `charges` or none; the answer carries the standing before this request.

        A refused request costs nothing. `retry_after_s` is None where waiting does not help. A proven
        account that is blocked is refused whatever it asks, with `blocked_s` and nothing of its limits.

        Raises:
            StateError: the store did not answer.
        """
        ...

    def extend(
        self, lease: Lease, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """Reserve more on a lease, all or nothing, and start its time to live anew.

        Without charges it only says that the stream is alive. On a lease that is over it is
        refused, with `refused_by` None.

        Raises:
            StateError: the store did not answer.
        """
        ...

    def settle(
        self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float
    ) -> Awaitable[None] | None:
        """Replace what the lease reserved by what was used, once; it counts as spent now.

        `evidence` is merged into the record of the account that got the lease, which gives it its risk and
        its band from the next request on; None says nothing. Who is not proven has no record.

        A reserved charge that `actual` does not name, by limit and scope, is spent as reserved:
        a request that shall cost nothing is settled with amounts of 0. What `actual` names beyond
        the reservation is spent too. A lease that was settled or has expired is left alone: it was
        spent as reserved, at the moment at which it expired.

        Raises:
            StateError: the store did not answer.
        """
        ...


@runtime_checkable
class ReadableStore(Protocol):
    """What a store has besides that can tell limits without touching them."""

    def look(
        self, account: Account, charges: tuple[Charge, ...], now: float
    ) -> Admission | Awaitable[Admission]:
        """What is left of the limits of `charges`, whatever their amounts, and the standing; nothing is counted.

        Of a model it is what that has used while it was counted apart. Not for limits of all accounts. An account that is blocked gets `blocked_s` and nothing of its limits.

        Raises:
            StateError: the store did not answer.
        """
        ...


@runtime_checkable
class HeldStore(Protocol):
    """What a store has besides that holds something open: a file, connections, a thread."""

    def open(self) -> None:
        """Open it before the first request, and wait until that is done; no call of an event loop.

        Raises:
            StateError: it cannot be opened, so nothing may start.
        """
        ...

    def close(self) -> Awaitable[None] | None:
        """Finish and close what is open; a later call of the store opens it again."""
        ...
