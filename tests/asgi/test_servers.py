"""Real servers on loopback: each way to start, to fail, to serve and to stop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardening.testing import find_leaks
from tests.asgi.chat import ASKED, HIDE, TRACE
from tests.asgi.processes import WAIT_S, Server, started

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn and signals")]

APP = "tests.asgi.served:app"
UVICORN = ["uvicorn", APP, "--port", "0", "--timeout-graceful-shutdown", "1"]
GUNICORN = [
    "gunicorn",
    APP,
    "-b",
    "127.0.0.1:0",
    "-k",
    "uvicorn_worker.UvicornWorker",
    "--graceful-timeout",
    "1",
]
KEY = {"HARDENING_KEY": "a key for tests, and for nothing else"}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(HIDE)
    return path


@contextmanager
def server(way: str, **environment: str) -> Iterator[Server]:
    ready = "Application startup" if "workers" in way else "running on" if "uvicorn" in way else "Listening"
    with started(WAYS[way], ready, **environment) as running:
        yield running


WAYS = {
    "uvicorn auto": [*UVICORN, "--lifespan", "auto"],
    "uvicorn on": [*UVICORN, "--lifespan", "on"],
    "uvicorn off": [*UVICORN, "--lifespan", "off"],
    "uvicorn 2 workers": [*UVICORN, "--workers", "2", "--no-access-log"],
    "uvicorn 4 workers": [*UVICORN, "--workers", "4"],
    "gunicorn": [*GUNICORN, "-w", "4"],
    "gunicorn preload": [*GUNICORN, "-w", "4", "--preload"],
}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "uvicorn 2 workers"])
def test_each_way_to_serve_hardens_and_stops_cleanly(way: str, policy: Path) -> None:
    with server(way, HARDENING_POLICY=str(policy), **KEY) as running:
        for _ in range(8):
            answer = running.ask()
            assert answer.status == 200
            assert find_leaks(answer.read(), TRACE) == []
        assert running.ask(b"", "/health").status == 200
        assert running.stop() in (0, -15)
    assert "Traceback" not in running.log


@pytest.mark.parametrize("way", ["uvicorn auto", "uvicorn on", "gunicorn preload"])
def test_each_way_fails_at_the_start_with_the_whole_reason(way: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nname: bad\nmode: loud\ndefaults: {reasonings: {}}\n")
    with server(way, HARDENING_POLICY=str(path), **KEY) as running:
        assert running.process.wait(WAIT_S) != 0
        assert running.process.stderr is not None
        running.log += running.process.stderr.read()
    assert "bad.yaml:3:7" in running.log
    assert "bad.yaml:4:12" in running.log


def test_without_lifespan_a_failed_start_answers_503(tmp_path: Path) -> None:
    with server("uvicorn off", HARDENING_POLICY=str(tmp_path / "missing.yaml")) as running:
        assert running.ask().status == 503
        assert running.ask(b"", "/health").status == 200


def test_several_workers_without_a_key_do_not_start(policy: Path) -> None:
    with server("gunicorn", HARDENING_POLICY=str(policy)) as running:
        assert running.process.wait(WAIT_S) != 0
        assert running.process.stderr is not None
        assert "4 workers and no key" in running.log + running.process.stderr.read()


def test_a_server_that_is_told_to_stop_settles_its_open_streams(policy: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    body = json.dumps({**ASKED, "model": "endless"}).encode()
    with server("uvicorn on", HARDENING_POLICY=str(policy), HARDENING_AUDIT=str(audit), **KEY) as running:
        answers = [running.ask(body) for _ in range(3)]
        for answer in answers:
            while b"are " not in answer.readline():
                pass
        running.stop()
    receipts = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [receipt["outcome"] for receipt in receipts] == ["error"] * 3
