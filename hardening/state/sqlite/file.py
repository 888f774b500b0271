"""The database file: made, opened and checked; its faults in words, and the one clock of its processes."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from hardening.clock import Clock
from hardening.errors import StateError

APPLICATION_ID = 0x68_64_6E_67
"""What `file` and SQLite's own tools know one of our databases by: "hdng"."""

VERSION = 4
"""Of the tables; 1 had no blocks, 2 no flags and 3 no records, and all are brought to this when they are opened."""

_OLDEST = (3, 37)  # strict tables, RETURNING
_PAGE_BYTES = 1024  # a row or two change in a call, and whole pages are written
_OPENING_S = 5.0  # others that write, or several workers that make the file one after the other
_LOOK_S = 0.001  # SQLite's own waits grow to 100 ms, and beside busy writers the late never find a gap
_BEHIND_S = 5.0  # how far the clock of a boot may stand behind what was written, before it is another's
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")

_SCHEMA = """
begin immediate;
create table if not exists scopes (
  id integer primary key, key text not null unique, requests integer not null, first_seen real not null,
  seen_at real not null, whole_at real not null, leases integer not null, buckets text not null,
  record text, until real not null default 0, clean_at real not null default 0
) strict;
create table if not exists leases (
  token integer primary key, expires_at real not null, claim text not null
) strict;
create table if not exists facts (name text primary key, value any not null) strict, without rowid;
create table if not exists blocks (
  key text primary key, until real not null, reason text not null
) strict, without rowid;
create table if not exists flags (
  key text primary key, until real not null, band text not null, risk real not null, reason text not null default ''
) strict, without rowid;
create trigger if not exists scope_added after insert on scopes
  begin update facts set value = value + 1 where name = 'scopes'; end;
create trigger if not exists scope_gone after delete on scopes
  begin update facts set value = value - 1 where name = 'scopes'; end;
insert or ignore into facts values ('scopes', 0), ('seen', 0.0);
commit;
"""

_ADDED = (
    ("scopes", "record text"),
    ("scopes", "until real not null default 0"),
    ("scopes", "clean_at real not null default 0"),
    ("flags", "reason text not null default ''"),
)
"""Columns that tables of earlier versions lack."""

_SAYS = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_READONLY: "cannot be written",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed",
    sqlite3.SQLITE_PERM: "may not be opened by this user",
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another process",
}


def is_busy(fault: sqlite3.Error) -> bool:
    """Whether somebody else writes at this moment."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


class StateFile(NamedTuple):
    """Where the database is; opening makes it, readable by this user alone, if need be."""

    path: Path

    def connect(self) -> sqlite3.Connection:
        """A connection that never waits, in autocommit, to a database of this version; opening it does wait.

        Raises:
            StateError: it cannot be opened or written, is none of ours, or stays locked for 5 s.
        """
        if sqlite3.sqlite_version_info < _OLDEST:
            found, oldest = sqlite3.sqlite_version, ".".join(map(str, _OLDEST))
            raise self.fault(f"needs SQLite {oldest}, this Python comes with {found}")
        try:
            self._create()
            connection = sqlite3.connect(
                self.path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as fault:
            raise self.explained(fault) from fault
        except FileNotFoundError as fault:
            folder = self.path.parent
            raise self.fault(
                f"cannot be made: there is no folder {folder}; make it, or name another"
            ) from fault
        except OSError as fault:
            raise self.fault(f"cannot be made: {fault.strerror}") from fault
        return connection

    def identity(self) -> tuple[int, int] | None:
        """Which file this is now; None where there is none. Raises OSError."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def log_bytes(self) -> int:
        """How long the log is."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def sync_log(self) -> None:
        """Let what was written outlast a loss of power. Raises OSError."""
        # SQLite keeps no locks on the log, so another descriptor of it may be closed.
        log = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(log)
        finally:
            os.close(log)

    @property
    def _log(self) -> Path:
        return self.path.with_name(self.path.name + "-wal")

    def explained(self, fault: sqlite3.Error) -> StateError:
        """The fault in words of ours, for SQLite's may quote what was written."""
        code = getattr(fault, "sqlite_errorcode", 0)
        return self.fault(
            _SAYS.get(code & 0xFF, f"failed with {getattr(fault, 'sqlite_errorname', 'an error')}")
        )

    def fault(self, what: str) -> StateError:
        """An error about this file."""
        return StateError(f"state: {self.path} {what}")

    def _create(self) -> None:
        # Only where there is none: to open and close a file that SQLite has open drops SQLite's locks on it.
        if not self.path.exists():
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                return

    def _prepare(self, connection: sqlite3.Connection) -> None:
        run = _when_free(connection.execute)
        (application,) = run("pragma application_id").fetchone()
        (version,) = run("pragma user_version").fetchone()
        (tables,) = run("select count(*) from sqlite_schema").fetchone()
        if application != APPLICATION_ID and tables:
            raise self.fault("is a database of another program")
        if version > VERSION:
            raise self.fault(f"is of version {version}, this hardening reads up to {VERSION}")
        run(f"pragma page_size = {_PAGE_BYTES}")
        (mode,) = run("pragma journal_mode = wal").fetchone()
        if mode != "wal":
            raise self.fault("is on a file system without shared memory, which several workers need")
        run("pragma synchronous = normal")
        # A checkpoint syncs: it has its own thread.
        run("pragma wal_autocheckpoint = 0")
        if version < VERSION:
            self._bring_up(connection)
        # Whether it may be written shows now, not at the first request.
        run("begin immediate")
        run("update facts set value = value")
        run("rollback")

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        """Make the tables of this version, or add what those of an earlier one lack; one process at a time."""
        run = connection.execute
        _when_free(connection.executescript)(_SCHEMA)
        _when_free(run)("begin immediate")
        try:
            for table, column in _ADDED:
                known = run(f"select name from pragma_table_info('{table}')").fetchall()  # noqa: S608
                if (column.split()[0],) not in known:
                    run(f"alter table {table} add column {column}")
            run(f"pragma application_id = {APPLICATION_ID}")
            run(f"pragma user_version = {VERSION}")
            run("commit")
        except BaseException:
            run("rollback")
            raise


def clock_offset(connection: sqlite3.Connection, clock: Clock) -> float:
    """What to add to the machine's monotonic clock, in every process that has the database open.

    The monotonic clock is one for all processes, and nobody sets it. It begins anew with each boot:
    there the dates decide how long the machine was down, but the database's time never goes back.
    """
    run = connection.execute
    _when_free(run)("begin immediate")
    try:
        stored = dict(
            run("select name, value from facts where name in ('boot', 'offset', 'seen')").fetchall()
        )
        boot, monotonic, seen = _boot_id(), clock.monotonic(), float(stored["seen"])
        offset = float(stored.get("offset", 0.0))
        if stored.get("boot") != boot or monotonic + offset < seen - _BEHIND_S:
            offset = max(clock.wall(), seen) - monotonic
            facts = [("boot", boot), ("offset", offset), ("seen", monotonic + offset)]
            connection.executemany("insert or replace into facts values (?, ?)", facts)
        run("commit")
    except BaseException:
        run("rollback")
        raise
    return offset


def _when_free(act: Callable[_P, _Answer]) -> Callable[_P, _Answer]:
    """`act`, as soon as nobody else writes: it looks as often as they do who wait in line, for 5 s."""

    def waiting(*arguments: _P.args, **named: _P.kwargs) -> _Answer:
        until = time.monotonic() + _OPENING_S
        while True:
            try:
                return act(*arguments, **named)
            except sqlite3.OperationalError as fault:
                if not is_busy(fault) or time.monotonic() >= until:
                    raise
            time.sleep(_LOOK_S * random.uniform(0.5, 1.5))

    return waiting


def _boot_id() -> str:
    """What this boot of the machine goes by; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
