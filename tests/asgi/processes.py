"""Servers as processes of their own, on loopback."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.asgi.chat import BODY

WAIT_S = 60.0


class Server:
    """A server process; `port` is where it listens, `log` what it said until then."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log = ""
        self.port = 0
        self.to_close: list[http.client.HTTPConnection | http.client.HTTPResponse] = []

    def wait_until(self, ready: str) -> None:
        """Read what the server says until it serves, or ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line
            found = re.search(r"(?:running on|Listening at:) http://127\.0\.0\.1:(\d+)", line)
            self.port = int(found[1]) if found else self.port
            if self.port and ready in line:
                self.reach()
                return

    def reach(self) -> None:
        """Knock until somebody opens: a worker says that it has started just before it listens."""
        end = time.monotonic() + WAIT_S
        while self.process.poll() is None and time.monotonic() < end:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return

    def ask(self, body: bytes = BODY, path: str = "/v1/chat/completions") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        self.to_close.append(connection)
        connection.request("POST" if body else "GET", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        self.to_close.append(
            response
        )  # to which the connection hands its socket where the server is about to close
        return response

    def stop(self) -> int:
        self.process.terminate()
        assert self.process.stderr is not None
        self.log += self.process.stderr.read()
        return self.process.wait(WAIT_S)


@contextmanager
def started(command: Sequence[str], ready: str, **environment: str) -> Iterator[Server]:
    """The module that `command` names, running and saying `ready`, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    running = Server(process)
    try:
        running.wait_until(ready)
        yield running
    finally:
        for one in running.to_close:
            one.close()
        if process.poll() is None:
            running.stop()
        assert process.stderr is not None
        process.stderr.close()
