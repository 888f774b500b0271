"""Limits and standing of accounts: the store protocol, its arithmetic, the stores."""

from __future__ import annotations

from hardening.errors import StateError
from hardening.state.memory import MemoryStore
from hardening.state.store import Evidence, StateStore

__all__ = ["Evidence", "MemoryStore", "StateStore", "open_store"]


def open_store(url: str) -> StateStore:
    """The store that `url` names; connects to nothing yet.

    Raises:
        StateError: no store is known by this address; its text shows the scheme only, for an
            address may hold a password.
    """
    if url == "memory://":
        return MemoryStore()
    scheme, separator, _ = url.partition("://")
    found = f"{scheme}://..." if separator else "an address without ://"
    raise StateError(f"state: found {found}, allowed is memory://")
