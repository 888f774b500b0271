"""Receipts as JSON Lines: a bounded queue and one writer thread; no request ever waits for it."""

from __future__ import annotations

import atexit
import dataclasses
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

import orjson

from hardening.facts import LimitState, Receipt

_MODEL_CHARS = 256
"""Characters of a model's name that are written: a caller chose them."""

_PIPE_BYTES = 4096
"""What a pipe takes in one piece (PIPE_BUF on Linux), so that lines of several workers never mix."""

_GATHER_S = 0.05
"""How long the writer lets receipts gather, so that a busy app wakes it seldom."""

_STDOUT = 1

_Queue = SimpleQueue[Receipt | None]


_NAMES = tuple(field.name for field in dataclasses.fields(Receipt))


def to_line(receipt: Receipt) -> bytes:
    """The receipt as one line of JSON, with its newline."""
    fields: dict[str, object] = {name: getattr(receipt, name) for name in _NAMES}
    moment = datetime.fromtimestamp(receipt.time, UTC).isoformat(timespec="microseconds")
    fields["time"] = moment.replace("+00:00", "Z")
    fields["model"] = receipt.model[:_MODEL_CHARS]
    fields["limits"] = [_left(state) for state in receipt.limits]
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A name with a lone surrogate must not keep its request out of the audit.
        text = json.dumps(fields, ensure_ascii=False, default=dataclasses.asdict, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


def _left(state: LimitState) -> dict[str, object]:
    return {"name": state.limit.name, "remaining": state.remaining, "reset_s": state.reset_s}


class AuditWriter:
    """Writes receipts to a file or to stdout from a thread of its own.

    The thread starts with the first receipt; again after a fork and after `close`. The file is
    opened for every batch, so rotation needs no signal. Receipts are lost, counted and told to
    `on_drop` when the queue is full or the target does not take them; `on_drop` may be called
    in the thread.
    """

    def __init__(
        self,
        target: Literal["stdout"] | Path,
        *,
        max_pending: int = 4096,
        on_drop: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.dropped = 0
        """Receipts that were lost."""
        self._target = target
        self._max_pending = max_pending
        self._on_drop = on_drop
        self._dropping = threading.Lock()
        self._torn = False
        self._pid = 0
        self._queue: _Queue = SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raise OSError where nothing could be written now; makes the file where there is none."""
        self._open().close()

    def put(self, receipt: Receipt) -> None:
        """Hand over a receipt; never waits and never raises."""
        if (self._pid != os.getpid() and not self._start()) or self._queue.qsize() >= self._max_pending:
            self._drop(1)
        else:
            self._queue.put(receipt)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is pending, for at most `timeout_s`; what then remains is dropped and counted."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        self._pid = 0
        self._closing.set()
        self._queue.put(None)
        thread.join(timeout_s)
        atexit.unregister(self.close)
        if thread.is_alive():
            self._drop(sum(item is not None for item in _drain(self._queue)))
            self._queue.put(None)

    def _start(self) -> bool:
        """Start the writer of this process; what a parent had pending is the parent's to write."""
        self._dropping = threading.Lock()
        self._queue = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._queue, self._closing), name="hardening-audit", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            # No thread can be had, in an interpreter that ends for one; the receipt is counted as lost.
            return False
        self._pid = os.getpid()
        atexit.register(self.close)
        return True

    def _run(self, queue: _Queue, closing: threading.Event) -> None:
        last = False
        while not last:
            first = queue.get()
            closing.wait(_GATHER_S)
            batch = [first, *_drain(queue)]
            last = None in batch
            self._write(self._lines(batch))

    def _lines(self, batch: list[Receipt | None]) -> list[bytes]:
        lines = []
        for receipt in batch:
            if receipt is not None:
                try:
                    lines.append(to_line(receipt))
                except (TypeError, ValueError, OverflowError):
                    self._drop(1)
        return lines

    def _write(self, lines: list[bytes]) -> None:
        """Write whole lines, a pipe's piece at a time; what the target does not take is dropped."""
        try:
            with self._open() as target:
                while lines:
                    count = _fitting(lines)
                    self._write_piece(target, b"".join(lines[:count]))
                    del lines[:count]
        except OSError:
            self._drop(len(lines))

    def _write_piece(self, target: FileIO, piece: bytes) -> None:
        # After a write that broke off inside a line, the next one starts on a line of its own.
        rest = memoryview(b"\n" + piece if self._torn else piece)
        while rest:
            written = target.write(rest)
            if not written:
                raise BlockingIOError(f"the audit target took {written} bytes")
            rest = rest[written:]
            self._torn = bool(rest)

    def _open(self) -> FileIO:
        if self._target == "stdout":
            return FileIO(_STDOUT, "w", closefd=False)
        return FileIO(self._target, "a")

    def _drop(self, count: int) -> None:
        with self._dropping:
            self.dropped += count
        if count:
            self._on_drop(count)


def _drain(queue: _Queue) -> list[Receipt | None]:
    """All that is pending now."""
    drained: list[Receipt | None] = []
    try:
        while True:
            drained.append(queue.get_nowait())
    except Empty:
        return drained


def _fitting(lines: list[bytes]) -> int:
    """How many of `lines` one piece takes; at least one."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if size > _PIPE_BYTES:
            return max(1, count)
    return len(lines)
