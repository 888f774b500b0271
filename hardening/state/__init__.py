"""Limits and standing of accounts: the store protocol, its arithmetic, the stores."""

from __future__ import annotations

from hardening.errors import StateError
from hardening.state.accounts import Accounts, AccountState, Block, Flag, Kept
from hardening.state.guarded import FOREIGN_DEADLINE_S, GuardedStore
from hardening.state.local import LocalShare
from hardening.state.memory import MemoryStore
from hardening.state.redis_url import read_url
from hardening.state.sqlite import SqliteAccounts, SqliteStore
from hardening.state.standing import Evidence
from hardening.state.store import HeldStore, ReadableStore, StateStore

__all__ = [
    "FOREIGN_DEADLINE_S",
    "AccountState",
    "Accounts",
    "Block",
    "Evidence",
    "Flag",
    "GuardedStore",
    "HeldStore",
    "Kept",
    "LocalShare",
    "MemoryStore",
    "ReadableStore",
    "SqliteAccounts",
    "SqliteStore",
    "StateStore",
    "check_address",
    "open_accounts",
    "open_store",
]

_SQLITE = "sqlite:///"
_REDIS = ("redis", "rediss", "redis+cluster", "rediss+cluster")


def open_store(url: str) -> StateStore:
    """The store that `url` names; connects to nothing yet.

    `sqlite:///state.db` is a path below the working directory, `sqlite:////var/lib/state.db` one from
    the root.

    Raises:
        StateError: no store is known by this address, or it cannot be used; its text
            shows the scheme only, for an address may hold a password.
    """
    if url == "memory://":
        return MemoryStore()
    if url.startswith(_SQLITE):
        return SqliteStore(_sqlite_path(url.removeprefix(_SQLITE)))
    scheme, separator, _ = url.partition("://")
    if scheme in _REDIS:
        return _redis(url)
    found = f"{scheme}://..." if separator else "an address without ://"
    allowed = ", ".join(("memory://", "sqlite:///PATH", *(f"{one}://HOST" for one in _REDIS)))
    raise StateError(f"state: found {found}, allowed are {allowed}")


def check_address(url: str) -> None:
    """Raise what `open_store` would raise for this address, whichever client libraries are installed.

    Raises:
        StateError: no store is known by it, or it says what cannot be kept.
    """
    if url.partition("://")[0] in _REDIS:
        read_url(url)
    else:
        open_store(url)


def open_accounts(url: str) -> Accounts:
    """What operators ask of the store that `url` names; connects to nothing yet.

    Raises:
        StateError: as `open_store`; or the store lives in its process, where nobody else can ask it.
    """
    store = open_store(url)
    if isinstance(store, MemoryStore):
        raise StateError(
            "state: memory:// is kept inside each process, which no command reaches; allowed are the other stores"
        )
    if isinstance(store, SqliteStore):
        return SqliteAccounts(_sqlite_path(url.removeprefix(_SQLITE)))
    from hardening.state.redis_accounts import RedisAccounts

    return RedisAccounts(url)


def _sqlite_path(path: str) -> str:
    if not path or path.endswith("/") or any(character in path for character in "?#\0"):
        raise StateError(
            "state: found sqlite:/// with no path of a file, allowed is sqlite:///PATH without ? and #"
        )
    return path


def _redis(url: str) -> StateStore:
    """The store on Redis; its client library is only imported where it is used."""
    try:
        from hardening.state.redis import RedisStore
        from hardening.state.shared import SharedLimits
    except ModuleNotFoundError as fault:
        if fault.name != "redis":
            raise
        scheme = url.partition("://")[0]
        raise StateError(
            f"state: {scheme}:// needs the package redis: pip install 'hardening[redis]'"
        ) from None
    return SharedLimits(RedisStore(url))
