"""`hardening serve` as a process before a real model server, asked by an official client."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator

import openai
import pytest
import uvicorn
from typer.testing import CliRunner

from hardening.cli import app
from hardening.testing import find_leaks
from tests.asgi.processes import Server, started
from tests.exchanges import ANSWER, TRACE
from tests.laws.upstream import model_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

KEY = {"HARDENING_KEY": "a key for tests, and for nothing else"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(model_server, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def serve(upstream: str, *options: str) -> list[str]:
    return ["hardening", "serve", "--upstream", upstream, "--port", "0", *options]


def said(running: Server, model: str) -> tuple[str, str]:
    """Answer and reasoning, streamed."""
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{running.port}/v1", api_key="sk-x", max_retries=0
    ) as client:
        chunks = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "?"}], stream=True
        )
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    return "".join(delta.content or "" for delta in deltas), reasoning


def test_what_a_server_streams_leaves_hardened(upstream: str) -> None:
    with started(serve(upstream, "--policy", "strict"), "running on", **KEY) as running:
        answer, reasoning = said(running, "plain")
        assert answer == ANSWER
        assert find_leaks(reasoning.encode(), TRACE) == []
        assert running.stop() in (0, -signal.SIGTERM)  # uvicorn hands the signal on
    assert "hardening" in running.log
    assert "policy=strict" in running.log


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--upstream", "model:8000"], "http(s)://HOST"),
        (["--upstream", "http://model", "--policy", "no-such"], "cannot be read"),
        (["--upstream", "http://model", "--workers", "2"], "2 workers and no key"),
        (["--upstream", "http://model", "--port", "99999"], "65535"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(options: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr
