"""A server that this run started: its log, how long it took to answer, and its end by its own process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_S = 300.0
_END_S = 20.0
_LOOK_S = 0.25


class ServerError(Exception):
    """A server that did not start; the text says where its log is."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server on loopback; `started_s` until it answered."""

    base: str
    started_s: float
    log: Path


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: list[str], *, port: int, ready: str, log: Path, environment: Mapping[str, str]
) -> Iterator[Running]:
    """The server of a command line, from its first answer at the path `ready` until the block ends.

    Raises:
        ServerError: it ended, or answered nothing within five minutes.
    """
    began, base = time.monotonic(), f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,  # so that its own workers end with it
        )
        try:
            while not _answers(base + ready):
                if process.poll() is not None or time.monotonic() - began > _START_S:
                    raise ServerError(f"{Path(command[0]).name} did not start, see {log}")
                time.sleep(_LOOK_S)
            yield Running(base, time.monotonic() - began, log)
        finally:
            _end(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0).status_code < 500
    except httpx.HTTPError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(_END_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait(_END_S)
