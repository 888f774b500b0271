"""What an app calls inside a request: `admit` to say who asks, `decision` to learn what happens."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Protocol

from hardening.errors import AccountError
from hardening.facts import Account, Decision

SEATS = "hardening.seats"
"""The scope key of what a request passed on its way in, one `Seat` for each policy that acts on it.

Empty at a path where nothing is decided and `admit` may be called all the same.
"""


class Deferred(Enum):
    """The type of `DEFERRED`."""

    DEFERRED = "deferred"

    def __repr__(self) -> str:
        return self.name


DEFERRED: Final = Deferred.DEFERRED
"""For `identify=`: the app names the account inside the request, by `await hardening.admit(...)`."""


class Seat(Protocol):
    """A request that waits for its account."""

    @property
    def decision(self) -> Decision | None:
        """What happens to the request; None before it is known."""
        ...

    async def admit(self, named: Account | str) -> Decision:
        """The Decision for this account. Raises Refused and AccountError as the function `admit`."""
        ...


class Decided:
    """A request that was decided before the app was called."""

    __slots__ = ("decision",)

    def __init__(self, decision: Decision) -> None:
        self.decision = decision


async def admit(request: Mapping[str, Any], account: Account | str) -> Decision | None:
    """Say who asks, and get the Decision; None at a path that is no door, where nothing is decided.

    For `identify=DEFERRED`: call it where the caller is known, as in a FastAPI dependency. His limits
    are reserved now; he counts as proven unless the account says `proven=False`. A second call with
    the same account gives the same Decision. What asks the model server for less is written into the
    request's body where the app has not read it yet; the response is cut in any case.

    Args:
        request: the Starlette or FastAPI request, or its ASGI scope.
        account: who asks: an `Account`, or its id.

    Raises:
        Refused: the policy refuses the request. Let it pass through: the caller gets the refusal in
            the shape of the API that he asked.
        AccountError: the account may not be named so, another was named before, the answer has
            begun, or no middleware waits for `admit`.
    """
    seats: tuple[Seat | Decided, ...] | None = request.get(SEATS)
    if seats is None:
        raise AccountError(
            "admit: found no HardeningMiddleware that waits for it; "
            "add one outside of this app: add_middleware(HardeningMiddleware, policy=..., identify=DEFERRED)"
        )
    waiting = [seat for seat in seats if not isinstance(seat, Decided)]
    if seats and not waiting:
        raise AccountError(
            "admit: found a HardeningMiddleware that named the account before the app was called; "
            "allowed is one with identify=DEFERRED"
        )
    decision: Decision | None = None
    for seat in waiting:
        decision = await seat.admit(account)
    return decision


def decision(request: Mapping[str, Any]) -> Decision | None:
    """What happens to this request; None at a path that is no door, and before it is known.

    Args:
        request: the Starlette or FastAPI request, or its ASGI scope.
    """
    seats: tuple[Seat | Decided, ...] = request.get(SEATS, ())
    # Where several policies act, the one nearest to the app is the one that the app mounted.
    return seats[-1].decision if seats else None
