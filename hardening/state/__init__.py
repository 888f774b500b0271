"""Limits and standing of accounts: the store protocol, its arithmetic, the stores."""

from __future__ import annotations

from hardening.errors import StateError
from hardening.state.memory import MemoryStore
from hardening.state.sqlite import SqliteStore
from hardening.state.store import Evidence, HeldStore, StateStore

__all__ = ["Evidence", "HeldStore", "MemoryStore", "SqliteStore", "StateStore", "open_store"]

_SQLITE = "sqlite:///"


def open_store(url: str) -> StateStore:
    """The store that `url` names; connects to nothing yet.

    `sqlite:///state.db` is a path below the working directory, `sqlite:////var/lib/state.db` one from
    the root.

    Raises:
        StateError: no store is known by this address; its text shows the scheme only, for an
            address may hold a password.
    """
    if url == "memory://":
        return MemoryStore()
    if url.startswith(_SQLITE):
        return SqliteStore(_sqlite_path(url.removeprefix(_SQLITE)))
    scheme, separator, _ = url.partition("://")
    found = f"{scheme}://..." if separator else "an address without ://"
    raise StateError(f"state: found {found}, allowed are memory:// and sqlite:///PATH")


def _sqlite_path(path: str) -> str:
    if not path or path.endswith("/") or any(character in path for character in "?#\0"):
        raise StateError(
            "state: found sqlite:/// with no path of a file, allowed is sqlite:///PATH without ? and #"
        )
    return path
