"""Limits and standing in a SQLite file: exact over all workers of one machine, kept when they end."""

from __future__ import annotations

from hardening.state.sqlite.accounts import SqliteAccounts
from hardening.state.sqlite.store import SqliteStore

__all__ = ["SqliteAccounts", "SqliteStore"]
