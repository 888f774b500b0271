"""What operators ask of a Redis or Valkey server or cluster; the acts are those of `lua/`.

An id does not tell its organisation, which names the hash tag of its keys. So to find an account all
keys are walked over, some hundred thousand in a second: an operator can wait, a request never does that.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import AsyncIterator, Sequence

from hardening.facts import EVERYBODY, Limit
from hardening.state.accounts import OWN, AccountState, belongs
from hardening.state.redis import LEASES, REMEMBERED_S, keys_of, tag_of
from hardening.state.redis_link import Link
from hardening.state.redis_script import script
from hardening.state.redis_url import read_url
from hardening.state.redis_wire import Act, block_of, flag_of, head, looked, packed
from hardening.state.standing import Record

_DEADLINE_S = 5.0
_NO_LEASE = bytes(8)
_SERVER_TIME = -1.0
_GLOB = re.compile(r"([\\\[\]*?^])")
_ESCAPED = r"\\\1"

_Places = dict[str, list[str]]
"""Scopes of an account by the root that they lie below."""


class RedisAccounts:
    """`Accounts` on Redis or Valkey, for one event loop; `close` lets go of the connections.

    Args:
        url: the address of the store.
        own_clock: False takes the caller's `now` for the time, and keeps every key: for tests.

    Raises:
        StateError: the address cannot be used; nothing is opened before the first call.
    """

    def __init__(self, url: str, *, own_clock: bool = True) -> None:
        place = read_url(url)
        self._link = Link(place, script(), deadline_s=_DEADLINE_S)
        self._prefix = place.prefix
        self._own_clock = own_clock

    async def page(self, after: str, count: int, now: float) -> tuple[AccountState, ...]:
        """The accounts that come next; see `Accounts.page`."""
        ids: list[str] = []
        places: dict[str, _Places] = {}
        async for root, scope in self._walk("account:*"):
            id = scope.removeprefix(OWN)
            if id not in places:
                if id <= after or (len(ids) == count and id > ids[-1]):
                    continue
                insort(ids, id)
                places[id] = {}
                if len(ids) > count:
                    del places[ids.pop()]
            if id in places:
                places[id][root] = [scope]
        return tuple([await self._done("look", id, places[id], now) for id in ids])

    async def find(self, id: str, now: float) -> AccountState | None:
        """One account; see `Accounts.find`."""
        return await self._act("look", id, now)

    async def shared(self, now: float) -> AccountState:
        """Limits that all callers share; see `Accounts.shared`."""
        return await self._done("look", "", {tag_of(EVERYBODY.network): [EVERYBODY.scope]}, now)

    async def reset(self, id: str, now: float) -> AccountState | None:
        """Make all limits of an account whole; see `Accounts.reset`."""
        return await self._act("reset", id, now)

    async def forget(self, id: str, now: float) -> AccountState | None:
        """Forget what an account has asked; see `Accounts.forget`."""
        return await self._act("forget", id, now)

    async def grant(self, id: str, limits: Sequence[Limit], units: float, now: float) -> AccountState | None:
        """Give units of limits back to an account; see `Accounts.grant`."""
        return await self._act("grant", id, now, charges=packed((limit, units) for limit in limits))

    async def block(
        self, id: str, reason: str, for_s: float, now: float, org: str | None = None
    ) -> AccountState:
        """Refuse an account from now on; see `Accounts.block`."""
        return await self._done("block", id, await self._marked(id, org), now, mark=block_of(reason, for_s))

    async def flag(
        self,
        id: str,
        band: str,
        risk: float,
        for_s: float,
        now: float,
        org: str | None = None,
        reason: str = "",
    ) -> AccountState:
        """Put an account into a band from now on; see `Accounts.flag`."""
        places = await self._marked(id, org)
        return await self._done("flag", id, places, now, mark=flag_of(band, risk, for_s, reason))

    async def unflag(self, id: str, now: float) -> AccountState | None:
        """Take an account out of its band; see `Accounts.unflag`."""
        return await self._act("flag", id, now, mark=flag_of("", 0.0, 0.0))

    async def unblock(self, id: str, now: float) -> AccountState | None:
        """Let an account ask again; see `Accounts.unblock`."""
        return await self._act("block", id, now, mark=block_of("", 0.0))

    async def close(self) -> None:
        """Let go of every connection."""
        await self._link.close()

    async def _act(
        self, act: Act, id: str, now: float, *, charges: bytes = b"", mark: bytes = b""
    ) -> AccountState | None:
        places = await self._places(id)
        return await self._done(act, id, places, now, charges=charges, mark=mark) if places else None

    async def _done(
        self, act: Act, id: str, places: _Places, now: float, *, charges: bytes = b"", mark: bytes = b""
    ) -> AccountState:
        """What the script did and found below each root, as one account."""
        found = AccountState(id, 0, 0.0, now)
        first = head(_NO_LEASE, _SERVER_TIME if self._own_clock else now, 0.0, REMEMBERED_S, proven=True)
        for root, scopes in places.items():
            arguments = [act, first, *[charges] * len(scopes), mark]
            raw = await self._link.call(keys_of(self._prefix, root, scopes), arguments)
            _, here = looked(raw, id, scopes)
            found = AccountState(
                id,
                found.requests + here.requests,
                max(found.age_s, here.age_s),
                here.now,
                found.limits + here.limits,
                here.block or found.block,
                here.flag or found.flag,
                max((one for one in (here.record, found.record) if one), key=_risk, default=None),
            )
        return found

    async def _marked(self, id: str, org: str | None) -> _Places:
        """Where to say something of an account: wherever it has state, and below its organisation."""
        places = await self._places(id)
        if org is not None or not places:
            places.setdefault(tag_of(id if org is None else org), [OWN + id])
        return places

    async def _places(self, id: str) -> _Places:
        """Where an account has state, its own scope first."""
        places: _Places = {}
        async for root, scope in self._walk(f"*:{_GLOB.sub(_ESCAPED, id)}*"):
            if belongs(scope, id):
                scopes = places.setdefault(root, [OWN + id])
                if scope not in scopes:
                    scopes.append(scope)
        return places

    async def _walk(self, pattern: str) -> AsyncIterator[tuple[str, str]]:
        """The root and scope of every key of ours whose scope matches; of leases none."""
        begin = f"{self._prefix}:{{"
        async for key in self._link.keys_like(f"{_GLOB.sub(_ESCAPED, begin)}*}}:{pattern}"):
            root, _, scope = key.decode("utf-8", "replace").removeprefix(begin).partition("}:")
            # A key or model that callers call "leases" has a state all the same.
            if not scope.endswith(LEASES) or (scope.count("\n") == 1 and not scope.startswith(OWN)):
                yield root, scope


def _risk(record: Record) -> float:
    return record.risk
