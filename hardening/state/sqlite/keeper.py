"""The thread that brings the log to disk and keeps it short, and forgets scopes that say nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from hardening.errors import StateError
from hardening.state.sqlite.file import StateFile

_TICK_S = 1.0
"""How often; also what a loss of power can take, for that long the log is not synced."""

_LONG_LOG_BYTES = 32 << 20
"""The length at which the log is written into the file; to begin it anew keeps others from writing for a sync or two."""

_WALKED, _FORGOTTEN = 512, 256  # scopes looked at, and the most of them that go, in one statement
_FULL = 0.9  # of `max_accounts`, above which scopes are forgotten
_BUSY_MS = 500


class Keeper:
    """Looks after the file every second, on a connection of its own that may wait.

    What fails is tried again a second later, and counted in `faults`; a call that needs what failed
    says so itself. All that is written is written by single statements: with several, this thread
    could wait for the interpreter while it keeps others from writing.
    """

    def __init__(self, file: StateFile, now: Callable[[], float], *, max_accounts: int) -> None:
        self.faults = 0
        self.has_lost_file = False
        """Whether the file was removed or replaced: what is written since then nobody else will see."""
        self._file = file
        self._identity = file.identity()
        self._now = now
        self._most = int(max_accounts * _FULL)
        self._hand = 0
        self._reader = 0
        self._version = -1
        self._is_dirty = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hardening-state", daemon=True)

    def start(self) -> None:
        """Begin to look after the file."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close its connection; waits."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._stopped.wait(_TICK_S):
            try:
                self.has_lost_file = self.has_lost_file or self._file.identity() != self._identity
                if self.has_lost_file:
                    continue
                if connection is None:
                    connection = self._file.connect()
                    connection.execute(f"pragma busy_timeout = {_BUSY_MS}")
                self.look(connection)
            except (OSError, sqlite3.Error, StateError):
                self.faults += 1
        if connection is not None:
            connection.close()

    def look(self, connection: sqlite3.Connection) -> None:
        """Bring to disk what was written, and forget scopes while there are too many; without news, nothing."""
        run = connection.execute
        (version,) = run("pragma data_version").fetchone()
        if version == self._version:
            if self._is_dirty:
                self._shorten(connection)
            return
        self._version, self._is_dirty = version, True
        facts = dict(run("select name, value from facts where name in ('seen', 'scopes')").fetchall())
        if 0.0 <= self._now() - facts["seen"] < _TICK_S / 2:
            return  # another process has just done it
        self._file.sync_log()
        run("update facts set value = ? where name = 'seen'", (self._now(),))
        if self._file.log_bytes() > _LONG_LOG_BYTES:
            self._shorten(connection)
        self._forget(connection, facts["scopes"])
        self._drop_old_records(connection)

    def _shorten(self, connection: sqlite3.Connection) -> None:
        """Write the log into the file and begin it anew."""
        run = connection.execute
        run("pragma wal_checkpoint(passive)").fetchone()  # the most of it, while others write
        busy, _, _ = run("pragma wal_checkpoint(truncate)").fetchone()
        self._is_dirty = bool(busy)
        # Whoever writes first in a new log waits for the disk: it shall not be a loop.
        run("update facts set value = ? where name = 'seen'", (self._now(),))

    def _forget(self, connection: sqlite3.Connection, known: int) -> None:
        """While there are too many, delete scopes that are whole: of those looked at the least used half."""
        for _ in range(1 + known // _WALKED):
            if known <= self._most or self._stopped.is_set():
                return
            known -= self._forget_some(connection)

    def _drop_old_records(self, connection: sqlite3.Connection) -> None:
        """Delete what requests have said and what was kept long enough, from some accounts at a time."""
        (last,) = connection.execute(
            "select max(id) from (select id from scopes where id > ? order by id limit ?)",
            (self._reader, _WALKED),
        ).fetchone()
        begin, self._reader = self._reader, last or 0
        if last is not None:
            connection.execute(
                "update scopes set record = null where id > ? and id <= ? and record is not null and until <= ?",
                (begin, last, self._now()),
            )

    def _forget_some(self, connection: sqlite3.Connection) -> int:
        now = self._now()
        last, found = connection.execute(
            "select max(id), count(*) from (select id from scopes where id > ? order by id limit ?)",
            (self._hand, _WALKED),
        ).fetchone()
        begin, self._hand = self._hand, last if found == _WALKED else 0
        # Seldom asked and long ago goes first: a day of absence counts like half the requests.
        gone = connection.execute(
            "delete from scopes where id in ("
            " select id from (select * from scopes where id > ? order by id limit ?)"
            " where leases = 0 and whole_at <= ? and clean_at <= ?"
            " order by requests / (1 + (? - seen_at) / 86400), seen_at limit ?)",
            (begin, _WALKED, now, now, now, _FORGOTTEN),
        ).rowcount
        return int(gone)
