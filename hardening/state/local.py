"""What one process goes on with while the shared store is away, and what it spent meanwhile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

from hardening.facts import EVERYBODY, Account, Admission, Charge, Lease, LimitState, Standing
from hardening.state.claims import units_of
from hardening.state.memory import MemoryStore
from hardening.state.standing import Evidence

_SEEN = 20_000
"""Limits of scopes that are remembered as last seen; of others the whole limit is taken to be there."""

_OWED = 20_000
"""Accounts whose spending is kept for the store; what those beyond spent is lost, and counted."""

_HEARD_S = 60.0
"""After this the store has heard all that was spent here, where nobody waits to tell it: no call takes as long."""

_Key = TypeVar("_Key", bound=Hashable)
_Seen = TypeVar("_Seen")
_NOBODY = Account("", proven=False)
_NEW = Standing()
_SCOPES = 2 * _SEEN
"""Scopes that are counted here: of each limit that which was granted ever, and that which was granted since."""

_SINCE = ":\x01"
"""What stands for the first colon in the scope of a limit as the store was last seen to have it."""

_Place = tuple[str, str]
"""A scope and the key of a limit."""


class _Own:
    """The token of a lease of ours: its lease in memory, what it is priced by, and whose it is until it is settled."""

    __slots__ = ("account", "lease", "standing")

    def __init__(self, lease: Lease, standing: Standing, account: Account) -> None:
        self.lease = lease
        self.standing = standing
        self.account: Account | None = account


class LocalShare:
    """A `StateStore` in memory that begins where the shared one was last seen.

    Each process counts from what it saw, and never forgets what it granted itself. So all of them
    together may grant a limit as often as there are processes, however often the store goes and comes;
    when it is back all is charged there, and whoever got too much waits. A lease of the store itself is
    extended here while the store is away, and settled there.

    `on_owed` is called when there is something to tell the store.
    """

    def __init__(self, on_owed: Callable[[], None] = lambda: None) -> None:
        self.lost = 0
        """Accounts whose spending nobody will be told of, for lack of room."""
        self._on_owed = on_owed
        self._spent_at = 0.0
        self._memory = MemoryStore(max_accounts=_SCOPES)
        self._limits: OrderedDict[_Place, tuple[LimitState, float]] = OrderedDict()
        self._standings: OrderedDict[str, Standing] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()
        self._lent: dict[Hashable, Lease] = {}
        self._owed: OrderedDict[Account, dict[_Place, Charge]] = OrderedDict()

    # -- what the store said

    @property
    def is_in_use(self) -> bool:
        """Whether anything was ever granted here."""
        return len(self._memory) > 0

    def saw(
        self,
        account: Account,
        charges: tuple[Charge, ...],
        answer: Admission,
        now: float,
        *,
        told: bool = False,
    ) -> None:
        """Remember what the store says is left of each limit, and how the account stands.

        A store that was `told` all that was spent here, and says that less is gone, was made to give it back
        by an operator: then it is forgotten here as well.
        """
        knows_all = told and not self.lost and now - self._spent_at > _HEARD_S
        for charge, state in zip(charges, answer.limits, strict=False):
            _keep(self._limits, (charge.scope_key, charge.limit.key), (state, now))
            if (
                knows_all and state.remaining > 0.0
            ):  # of a debt beyond the burst it does not say how large it is
                gone = state.limit.burst - state.remaining
                self._memory.saw_at_most(charge.limit, charge.scope_key, gone, now)
        if account.proven:
            _keep(self._standings, account.scope, answer.standing)
            if answer.blocked_s is not None:
                _keep(self._blocked, account.scope, now + answer.blocked_s)
            elif self._blocked:
                self._blocked.pop(account.scope, None)

    # -- in the place of the store

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve all `charges` or none; see `StateStore.admit`."""
        until = self._blocked.get(account.scope, now)
        if until > now and account.proven:
            standing = self._standings.get(account.scope, Standing())
            return Admission(False, None, standing, blocked_s=until - now)
        known = self._standings.get(account.scope) if account.proven else None
        answer = self._reserved(account, charges, known or _NEW, now)
        standing = answer.standing if known is None else known
        lease = answer.lease
        if lease is not None:
            lease = Lease(_Own(lease, standing, account), charges, lease.expires_at)
        return answer._replace(lease=lease, standing=standing)

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        """Reserve more on a lease of ours, or of the store, all or nothing; see `StateStore.extend`."""
        own = lease.token
        if isinstance(own, _Own):
            answer = _told(self._memory.extend(own.lease, _twice(charges, own.standing), now))
            own.lease = answer.lease or own.lease
            longer = Lease(own, lease.charges + charges, own.lease.expires_at)
            return answer._replace(lease=longer if answer.granted else None)
        lent = self._lent.get(own)
        scopes = (charge.scope_key for charge in lease.charges)
        standing = next((known for scope in scopes if (known := self._standings.get(scope))), _NEW)
        if lent is None:
            answer = self._reserved(_NOBODY, charges, standing, now)
        else:
            answer = _told(self._memory.extend(lent, _twice(charges, standing), now))
        if answer.lease is None:
            return answer
        self._lent[own] = answer.lease
        return answer._replace(lease=lease)

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float) -> None:
        """Spend what was used, here now and in the store when it is back; see `StateStore.settle`.

        What was asked while the store was away says nothing of its account: `evidence` is dropped.
        """
        own = lease.token
        if not isinstance(own, _Own) or own.account is None:
            return
        account, own.account = own.account, None
        self._spent_at = now
        self._memory.settle(own.lease, _twice(actual, own.standing), None, now)
        named = {(charge.limit.key, charge.scope_key) for charge in actual}
        silent = [one for one in lease.charges if (one.limit.key, one.scope_key) not in named]
        self.owe(account, (*actual, *silent))
        if self._owed:
            self._on_owed()

    def end(self, lease: Lease, now: float) -> None:
        """End what a lease of the store was lent here; the store is told its whole use."""
        lent = self._lent.pop(lease.token, None)
        if lent is not None:
            self._spent_at = now
            self._memory.settle(lent, (), None, now)

    def _reserved(
        self, account: Account, charges: tuple[Charge, ...], standing: Standing, now: float
    ) -> Admission:
        """Reserve all of it in both counts, or nothing."""
        for charge in charges:
            seen = self._limits.pop((charge.scope_key, charge.limit.key), None)
            if seen is not None:
                self._memory.saw_spent(charge.limit, _since(charge.scope_key), _missing(*seen, now), now)
        return _told(self._memory.admit(account, _twice(charges, standing), now))

    # -- what the store must be told

    @property
    def owes(self) -> bool:
        """Whether anybody spent here what the store does not know."""
        return bool(self._owed)

    def owe(self, account: Account, charges: tuple[Charge, ...]) -> None:
        """Keep for the store what an account spent."""
        owed = self._owed.get(account)
        for charge in charges:
            if charge.scope_key == EVERYBODY.scope and account != EVERYBODY:
                self.owe(EVERYBODY, (charge,))
                continue
            if charge.limit.unit == "streams" or not charge.amount > 0.0:
                continue
            if owed is None:
                if len(self._owed) >= _OWED:
                    self.lost += 1
                    return
                owed = self._owed[account] = {}
            place = charge.scope_key, charge.limit.key
            before = owed.get(place)
            owed[place] = charge if before is None else charge._replace(amount=charge.amount + before.amount)

    def take_owed(self) -> tuple[Account, tuple[Charge, ...]] | None:
        """What one account spent, given out of our hands; `owe` takes it back."""
        if not self._owed:
            return None
        account, owed = self._owed.popitem(last=False)
        return account, tuple(owed.values())


def _twice(charges: tuple[Charge, ...], standing: Standing) -> tuple[Charge, ...]:
    """Each charge at its price, on what this process granted ever and on what was granted since the store was seen."""
    return tuple(
        [
            Charge(charge.limit, scope, units_of(charge, standing))
            for charge in charges
            for scope in (charge.scope_key, _since(charge.scope_key))
        ]
    )


def _since(scope_key: str) -> str:
    return scope_key.replace(":", _SINCE, 1)


def _told(answer: Admission) -> Admission:
    """An answer to charges that stood twice, as the one to those that were asked: of each limit the lesser rest."""
    limits = zip(answer.limits[::2], answer.limits[1::2], strict=True)
    return answer._replace(limits=tuple([min(pair, key=lambda state: state.remaining) for pair in limits]))


def _missing(state: LimitState, seen_at: float, now: float) -> float:
    """Units that were gone and are not back; what comes back in steps counts as gone until it is whole."""
    limit, passed_s = state.limit, max(0.0, now - seen_at)
    if passed_s >= state.reset_s:
        return 0.0
    back = 0.0 if limit.window == "sliding" else passed_s * limit.amount / limit.per_s
    return max(0.0, limit.burst - state.remaining - back)


def _keep(seen: OrderedDict[_Key, _Seen], key: _Key, value: _Seen) -> None:
    seen[key] = value
    seen.move_to_end(key)
    if len(seen) > _SEEN:
        seen.popitem(last=False)
