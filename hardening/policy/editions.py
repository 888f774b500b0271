"""What one source of a policy has said, one time after another, and who acts by it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from hardening.errors import HardeningError

if TYPE_CHECKING:
    from hardening.policy.compiled import Policy


class Holder(Protocol):
    """Who acts by a policy, and can change to the next one."""

    def take(self, policy: Policy) -> None:
        """Act by `policy` from the next request on.

        Raises:
            HardeningError: this holder cannot, has told so, and keeps the policy that it has.
        """
        ...

    def reject(self, fault: HardeningError) -> None:
        """Tell that what stands in the source now is not what is in force."""
        ...


class Editions:
    """The policies of one source: the latest, and the holders that the next one is handed to.

    Holders are held weakly. `next` may be called from any thread.
    """

    def __init__(self, load: Callable[[], Policy]) -> None:
        self._load = load
        self._holders: WeakSet[Holder] = WeakSet()
        self._latest: Policy | None = None
        # A signal handler may come while its own thread is in here, and call again.
        self._turn = threading.RLock()
        self._calls = 0

    def latest(self) -> Policy:
        """The last policy that could be used; loaded now if none was."""
        return self._latest or self.next()

    def join(self, holder: Holder) -> Policy:
        """Hand every later policy to `holder`; the latest so far."""
        with self._turn:
            self._holders.add(holder)
            return self.latest()

    def leave(self, holder: Holder) -> None:
        """Hand nothing more to `holder`."""
        with self._turn:
            self._holders.discard(holder)

    def next(self) -> Policy:
        """What the source says now, handed to every holder.

        Raises:
            PolicyError: it says no policy; the holders are told, and nothing changes.
            HardeningError: some holder cannot act by it; the others do.
        """
        with self._turn:
            holders = tuple(self._holders)
            self._calls = mine = self._calls + 1
            try:
                policy = self._load().but(editions=self)
            except HardeningError as fault:
                for holder in holders:
                    holder.reject(fault)
                raise
            faults: list[HardeningError] = []
            for holder in holders:
                if mine == self._calls:  # else a call within this one has handed out what is newer
                    faults += _handed(policy, holder)
            if faults:
                raise faults[0]
            if mine == self._calls:
                self._latest = policy
            return self.latest()


def _handed(policy: Policy, holder: Holder) -> list[HardeningError]:
    """Hand a policy to a holder; what it says against it."""
    try:
        holder.take(policy)
    except HardeningError as fault:
        return [fault]
    return []
