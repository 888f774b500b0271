"""The demonstration as a program, and its claims against sessions in which something went wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from demo_parts import claims
from demo_parts.session import Session, run

Way = tuple[Literal["openai", "anthropic"], bool]
DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(DEMO), *options], capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def session() -> Session:
    return run()


def failing(session: Session) -> set[str]:
    """The names of the checks that do not hold."""
    checks = (
        claims.untouched,
        claims.no_trace,
        claims.no_equation,
        claims.same_answer,
        claims.few_alternatives,
        claims.refused,
    )
    return {check.__name__ for check in checks if not check(session).holds}


def test_every_claim_holds(session: Session) -> None:
    assert [claim.text for claim in claims.check(session) if not claim.holds] == []


def test_without_hardening_the_claims_about_the_ordinary_account_fail(session: Session) -> None:
    broken = replace(session, ordinary=session.bare)
    assert failing(broken) == {"no_trace", "no_equation", "few_alternatives"}


def test_a_trace_in_one_hidden_field_is_noticed(session: Session) -> None:
    way: Way = ("openai", True)
    trace = session.bare[way].reasoning
    late = (
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"extra": trace[:60]}}]}).encode() + b"\n\n"
    )
    reply = replace(session.ordinary[way], chunks=(*session.ordinary[way].chunks, late))
    assert failing(replace(session, ordinary={**session.ordinary, way: reply})) == {"no_trace"}


def test_one_changed_byte_for_the_internal_account_is_noticed(session: Session) -> None:
    way: Way = ("anthropic", False)
    reply = replace(session.internal[way], chunks=(session.internal[way].body + b" ",))
    assert failing(replace(session, internal={**session.internal, way: reply})) == {"untouched"}


def test_a_changed_answer_is_noticed(session: Session) -> None:
    way: Way = ("anthropic", True)
    reply = replace(session.ordinary[way], answer="42")
    assert failing(replace(session, ordinary={**session.ordinary, way: reply})) == {"same_answer"}


@pytest.mark.parametrize("change", [{"limited": "ordinary"}, {"model_calls_refused": 1}])
def test_an_account_that_is_served_over_its_limit_is_noticed(
    session: Session, change: dict[str, Any]
) -> None:
    changes = {name: getattr(session, str(other), other) for name, other in change.items()}
    assert failing(replace(session, **changes)) == {"refused"}


def test_every_hardened_request_left_a_receipt(session: Session) -> None:
    outcomes = [receipt.outcome for receipt in session.receipts]
    assert (outcomes.count("complete"), outcomes.count("refused"), len(outcomes)) == (9, 4, 13)


def test_the_program_shows_checks_and_writes_a_page_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "deep" / "demo.html"
    done = demo("--page", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("holds") >= 6
    assert "FAILS" not in done.stdout
    assert "Added per chunk" in done.stdout
    text = page.read_text("utf-8")
    assert "6 of 6 claims hold" in text
    assert not re.search(r"<script|<link|@import|url\(|\b(?:src|href)=|https?://", text)


def test_a_taken_port_gets_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo("--serve", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"demo: port {port} on 127.0.0.1 is not free")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["uvicorn", "openai", "rich"])
def test_a_missing_package_gets_a_sentence(package: str, tmp_path: Path) -> None:
    program = (
        f"import sys, runpy; sys.modules[{package!r}] = None; sys.path.insert(0, {str(DEMO.parent)!r}); "
        f"sys.argv = ['demo', '--page', {str(tmp_path / 'demo.html')!r}]; "
        f"runpy.run_path({str(DEMO)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (
        2,
        f"demo: the package {package} is missing; scripts/install brings it.\n",
    )


def test_a_page_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = demo("--page", str(tmp_path / "file" / "demo.html"))
    assert done.returncode == 2
    assert done.stderr.startswith("demo: cannot write ")
    assert done.stderr.count("\n") == 1


def test_serving_stays_up_answers_and_ends_on_an_interrupt() -> None:
    with subprocess.Popen(
        [sys.executable, str(DEMO), "--serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in its background has interrupts ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as server:
        assert server.stdout is not None
        try:
            lines = iter(server.stdout.readline, "")
            printed = []
            for line in lines:
                printed.append(line)
                if line.startswith("serving on"):
                    break
            address = re.search(r"http://127\.0\.0\.1:\d+", printed[-1])
            assert address is not None
            assert "".join(printed).count("curl -N") == 3
            with urllib.request.urlopen(f"{address[0]}/health", timeout=10) as answer:
                assert json.load(answer) == {"status": "ok"}
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
