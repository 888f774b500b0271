"""The examples for model servers: each is short, named in the docs, and runs where the suite has what it needs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from demo_parts.server import serving
from teacher import teach
from teacher.app import create_app

from hardening.testing import find_leaks

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / "examples" / "servers"
EXAMPLES = sorted(path for path in SERVERS.iterdir() if path.is_file())
QUESTION = "Mara has 14 apples. She eats 5 and buys 2 bags of 6 apples. How many apples are left?"
TRACE = "".join(token.text for token in teach(QUESTION) if token.part == "reasoning")
START_S = 60.0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_runs_as_it_stands_and_is_named_in_the_docs(example: Path) -> None:
    text = example.read_text("utf-8")
    assert text.count("\n") <= 80
    assert f"examples/servers/{example.name}" in (ROOT / "docs" / "mounting.md").read_text("utf-8")
    if example.suffix == ".sh":
        assert os.access(example, os.X_OK)
        subprocess.run(["sh", "-n", str(example)], check=True)
    else:
        compile(text, example.name, "exec")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """The proxy of the example before the teacher."""
    with serving(create_app()) as upstream:
        port = free_port()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "HARDENING_POLICY": "strict"}
        command = [str(SERVERS / "proxy.sh"), upstream, "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            base, ends = f"http://127.0.0.1:{port}", time.monotonic() + START_S
            while not is_up(base):
                assert process.poll() is None, "the proxy ended"
                assert time.monotonic() < ends, "the proxy did not answer"
                time.sleep(0.1)
            yield base
        finally:
            process.terminate()
            process.wait(20)


def is_up(base: str) -> bool:
    try:
        return httpx.get(f"{base}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_proxy_example_hides_the_trace_of_the_server_behind_it(proxy: str, stream: bool) -> None:
    body = {"model": "t", "stream": stream, "messages": [{"role": "user", "content": QUESTION}]}
    answer = httpx.post(f"{proxy}/v1/chat/completions", json=body, timeout=60.0)
    assert answer.status_code == 200
    assert answer.headers["x-hardening"].startswith("reasoning=none")
    assert find_leaks(answer.content, TRACE) == []
    assert b"21" in answer.content
