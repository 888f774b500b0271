"""What operators ask of a store while it is in use: who is known, what he has spent, and to keep him out."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from hardening.facts import Limit
from hardening.state.buckets import Spent
from hardening.state.standing import Record

OWN = "account:"
"""What begins the key of the scope that holds an account's own limits, its standing and its block."""

OWN_END = "account;"
"""What comes after all keys that begin so."""

PARTS = ("key:", "model:")
"""Beginnings of the scopes of limits that an account has for each key or model."""


class Block(NamedTuple):
    """An account that is refused: why, and for how many seconds more; infinite until it is lifted."""

    reason: str
    left_s: float


class Flag(NamedTuple):
    """The band of risk that an operator has put an account into, for how many seconds more, and why.

    Without a band it is one that keeps the account out of all.
    """

    band: str
    risk: float
    left_s: float
    reason: str = ""


class Kept(NamedTuple):
    """One limit of one scope as the store keeps it, by the `key` of the limit; `leases` are the open ones."""

    scope: str
    key: str
    spent: Spent
    held: float
    leases: int


class AccountState(NamedTuple):
    """What a store knows of one account at its time `now`; limits that are whole are not listed.

    `record` is what its requests have said, whatever a flag says.
    """

    id: str
    requests: int
    age_s: float
    now: float
    limits: tuple[Kept, ...] = ()
    block: Block | None = None
    flag: Flag | None = None
    record: Record | None = None


class Accounts(Protocol):
    """The accounts of a store, by the ids of receipts; each act is seen by the next request of any process.

    Answers at once, or with something to await. A store with a clock of its own ignores `now`. What is
    reserved by open leases stays reserved, whatever is given back. Raises StateError where the store
    does not answer.
    """

    def page(
        self, after: str, count: int, now: float
    ) -> tuple[AccountState, ...] | Awaitable[tuple[AccountState, ...]]:
        """Up to `count` accounts whose ids come after this one, in the order of ids."""
        ...

    def find(self, id: str, now: float) -> AccountState | Awaitable[AccountState | None] | None:
        """One account, with the limits that it has for each key and model; None for one that is unknown."""
        ...

    def shared(self, now: float) -> AccountState | Awaitable[AccountState]:
        """Limits that all callers share, as those of an account without an id."""
        ...

    def reset(self, id: str, now: float) -> AccountState | Awaitable[AccountState | None] | None:
        """Give back all that an account has spent of its own limits, but not of its organisation's."""
        ...

    def forget(self, id: str, now: float) -> AccountState | Awaitable[AccountState | None] | None:
        """Forget what an account has asked: its standing, its age, its requests and what it has spent of its own limits.

        A block and a flag, which are an operator's word, stay.
        """
        ...

    def grant(
        self, id: str, limits: Sequence[Limit], units: float, now: float
    ) -> AccountState | Awaitable[AccountState | None] | None:
        """Give back up to so many units of what an account has spent of each of these limits."""
        ...

    def block(
        self, id: str, reason: str, for_s: float, now: float, org: str | None = None
    ) -> AccountState | Awaitable[AccountState]:
        """Refuse an account for so long, in the place of a block that it has.

        `org` is the organisation of one that was never seen; only stores that keep organisations apart
        look at it.
        """
        ...

    def flag(
        self,
        id: str,
        band: str,
        risk: float,
        for_s: float,
        now: float,
        org: str | None = None,
        reason: str = "",
    ) -> AccountState | Awaitable[AccountState]:
        """Put an account into a band of risk for so long, whatever its record says; `org` as for `block`.

        An empty band keeps it out of all. What it reserves from now on is priced by that band; leases that are open stay as they were priced.
        """
        ...

    def unflag(self, id: str, now: float) -> AccountState | Awaitable[AccountState | None] | None:
        """Take an account out of its band."""
        ...

    def unblock(self, id: str, now: float) -> AccountState | Awaitable[AccountState | None] | None:
        """Let an account ask again."""
        ...


def belongs(scope_key: str, id: str) -> bool:
    """Whether a scope holds limits of this account alone."""
    return scope_key == OWN + id or scope_key.startswith(tuple([f"{part}{id}\n" for part in PARTS]))
