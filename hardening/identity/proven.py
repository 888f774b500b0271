"""Which callers the app has accepted: the memory behind `Account.proven`."""

from __future__ import annotations

from collections import OrderedDict

UNAUTHORIZED = 401
"""The answer to a caller whom the app does not know; a 403 says that it knows him, and that he may not do this."""


class ProvenLedger:
    """Which callers the app has accepted lately; bounded, and a flood does not push out regulars.

    A first acceptance enters a half of its own; the second moves the caller to the other half,
    from which only other regulars push him back. Callers that were never accepted take no room.
    """

    def __init__(self, *, capacity: int = 65_536, keep_s: float = 86_400.0) -> None:
        self._half = max(1, capacity // 2)
        self._keep_s = keep_s
        self._once: OrderedDict[str, float] = OrderedDict()
        self._regular: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._once) + len(self._regular)

    def is_proven(self, caller: str, now: float) -> bool:
        """Whether the app accepted `caller` within the last `keep_s` seconds and never since refused."""
        until = self._regular.get(caller) or self._once.get(caller)
        return until is not None and now < until

    def mark(self, caller: str, status: int, now: float) -> None:
        """Take the app's own answer: 2xx proves, 401 takes the proof away.

        Any other status says nothing: apps refuse bodies and paths before they look at keys.
        """
        if status == UNAUTHORIZED:
            self._once.pop(caller, None)
            self._regular.pop(caller, None)
        elif 200 <= status < 300:
            self._accept(caller, now + self._keep_s)

    def _accept(self, caller: str, until: float) -> None:
        if caller in self._regular or self._once.pop(caller, None) is not None:
            self._regular[caller] = until
            self._regular.move_to_end(caller)
        else:
            self._once[caller] = until
        if len(self._regular) > self._half:
            self._once.update([self._regular.popitem(last=False)])
        if len(self._once) > self._half:
            self._once.popitem(last=False)
