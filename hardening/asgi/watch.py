"""Looks at the files of a policy by their content, and hands over what they say once it has settled.

Modification times and notifications are not used: a ConfigMap is swapped by a symlink, and network
file systems show a new content late, in pieces, or under an old time.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from hardening.asgi.service import Options, where
from hardening.errors import HardeningError, PolicyError, StartError
from hardening.observe import LOG
from hardening.policy import Holder, Policy
from hardening.policy.load import ReadFile, Source, read_file, read_policy

POLL_S = 1.0
"""Seconds between two looks. What two in a row find is taken; new parents must be found twice too, so a
change is in force after three seconds at most, and the time to load it."""

Load = Callable[[ReadFile], Policy]
"""Loads the policy through this reader of files."""

Digests = dict[Path, bytes]
"""The SHA-256 of each file that a load has read; empty for one that could not be read."""


class Watch:
    """The files of one policy, and what was last made of them.

    A change counts once two looks in a row have found the same bytes in every file, parents
    included, and just these bytes were compiled: so a file that is being written is not taken by
    halves. A file that is missing is a content like any other. The thread of `start` begins anew in
    a forked process, ends with `stop` or with this object, and keeps no process alive.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._concluded: Digests = {}
        self._pending: Digests | None = None
        self._holder: Holder | None = None
        self._stopping: threading.Event | None = None

    def first(self) -> Policy:
        """The policy as it stands, which the files are compared with from now on.

        Raises:
            PolicyError: they hold none.
        """
        reading = _Reading()
        policy = self._load(reading.read)
        self._concluded = reading.digests
        return policy

    def start(self, holder: Holder) -> None:
        """Look at the files from a thread of its own, for `holder`."""
        self._holder = holder
        self._stopping = threading.Event()
        running.add(self)
        threading.Thread(
            target=_run, args=(weakref.ref(self), self._stopping), name="hardening-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """Look no more."""
        running.discard(self)
        if self._stopping is not None:
            self._stopping.set()

    def poll(self, holder: Holder) -> None:
        """Look once; a content that has settled is handed to `holder`, or told to it as a fault."""
        files = self._concluded if self._pending is None else self._pending
        seen = {path: _digest(path) for path in files}
        if seen == self._concluded:
            self._pending = None
        elif seen != self._pending:
            self._pending = seen
        else:
            self._attempt(seen, holder)

    def _attempt(self, seen: Digests, holder: Holder) -> None:
        """Load what has settled; where the load reads more files, or other bytes, those must settle too."""
        reading = _Reading()
        found: Policy | HardeningError
        try:
            found = self._load(reading.read)
        except HardeningError as fault:
            found = fault
        except Exception as fault:  # noqa: BLE001  a fault that nobody foresaw changes no policy either
            found = StartError(f"internal fault: {where(fault)}")
        if not reading.digests.items() <= seen.items():
            self._pending = reading.digests
            return
        self._concluded, self._pending = reading.digests or seen, None
        if isinstance(found, HardeningError):
            holder.reject(found)
        else:
            with suppress(HardeningError):  # told by the holder, who keeps what he has
                holder.take(found)

    def start_again(self) -> None:
        """Go on in a forked process, which has no thread yet."""
        if self._holder is not None:
            self.start(self._holder)

    def look(self) -> None:
        """Poll for the holder of `start`; what nobody foresaw is logged by kind and place."""
        if self._holder is not None:
            try:
                self.poll(self._holder)
            except Exception as fault:  # noqa: BLE001  the next look may find what this one could not
                LOG.error("the policy could not be looked at: %s", where(fault))


def named_policy(options: Options, read: ReadFile) -> Policy:
    """The policy that the code or the environment names.

    Raises:
        PolicyError, StartError: it cannot be read, or none is named.
    """
    named = options.policy or options.environment.get("HARDENING_POLICY")
    if not named:
        raise StartError("no policy: pass policy=... or set HARDENING_POLICY (a path, or a preset's name)")
    if not isinstance(named, str | Path):
        kind = type(named).__name__
        raise StartError(f"policy: found {kind}, allowed is a path, a preset's name or a Policy")
    return read_policy(named, options.environment, read)


class _Reading:
    """A reader of files that notes what it read."""

    def __init__(self) -> None:
        self.digests: Digests = {}

    def read(self, path: Path) -> Source:
        self.digests[path] = b""
        source = read_file(path)
        self.digests[path] = sha256(source.data).digest()
        return source


def _digest(path: Path) -> bytes:
    reading = _Reading()
    with suppress(PolicyError):
        reading.read(path)
    return reading.digests[path]


def _run(watch: weakref.ref[Watch], stopping: threading.Event) -> None:
    while not stopping.wait(POLL_S):
        watched = watch()
        if watched is None:
            return
        watched.look()
        del watched  # or waiting would keep it alive


running: weakref.WeakSet[Watch] = weakref.WeakSet()
"""The watches of this process that have a thread."""


def _after_fork() -> None:
    for watch in tuple(running):
        watch.start_again()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
