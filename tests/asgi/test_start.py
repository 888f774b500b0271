"""Starting: never in the constructor, whole at lifespan, lazily without one, and never open when it failed."""

from __future__ import annotations

import json
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from hardening import HardeningMiddleware, PolicyError, StartError, kernels
from hardening.asgi.secret import worker_count
from hardening.clock import SystemClock
from hardening.scoring import tokens
from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.chat import BODY, HIDE, TRACE, stream, whole
from tests.asgi.driver import ask, replies, run

KEYS = [
    ({"HARDENING_KEY": "short"}, "found 5 bytes in HARDENING_KEY, at least 32 are needed; `openssl rand"),
    ({"HARDENING_KEY_FILE": "/nowhere/key"}, "cannot be read"),
    ({"WEB_CONCURRENCY": "4"}, "4 workers"),
]


def options() -> dict[str, Any]:
    """What `harden` gives, for places that make the middleware themselves."""
    environment = {"HARDENING_KEY": "k" * 32}
    return {"identify": None, "state": None, "clock": SystemClock(), "environment": environment}


async def lifespan(app: Any, *told: str) -> list[Message]:
    said: list[Message] = []
    messages = [{"type": f"lifespan.{name}"} for name in told]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return said


def leaking() -> Any:
    return replies([whole()], kind=b"application/json")


def starlette(**parts: Any) -> Starlette:
    async def chat(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse(json.loads(whole()))

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])], **parts)


@pytest.fixture
def bad_policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nname: bad\nmode: loud\ndefaults: {reasonings: {}}\n")
    return path


@pytest.mark.parametrize("place", ["no-folder/audit.jsonl", ""])
def test_receipts_that_have_no_place_are_told_at_the_start_and_not_lost_in_silence(
    tmp_path: Path, place: str
) -> None:
    target = tmp_path / place
    hardened = harden(
        leaking(), HIDE, environment={"HARDENING_KEY": "k" * 32, "HARDENING_AUDIT": str(target)}
    )
    (failed,) = run(lifespan(hardened, "startup"))
    assert failed["type"] == "lifespan.startup.failed"
    assert f"audit: {target} cannot be written: " in failed["message"]
    assert "HARDENING_AUDIT" in failed["message"]


def test_a_database_without_a_folder_names_the_folder(tmp_path: Path) -> None:
    state = f"sqlite:///{tmp_path}/none/state.db"
    hardened = harden(leaking(), HIDE, environment={"HARDENING_KEY": "k" * 32, "HARDENING_STATE": state})
    (failed,) = run(lifespan(hardened, "startup"))
    assert f"there is no folder {tmp_path}/none; make it" in failed["message"]


def test_making_one_never_raises_and_starts_nothing(bad_policy: Path) -> None:
    threads, files = threading.active_count(), set(Path("/proc/self/fd").iterdir())
    for policy in ("baseline", "no-such-preset", bad_policy, None):
        HardeningMiddleware(leaking(), policy)
    assert threading.active_count() == threads
    assert set(Path("/proc/self/fd").iterdir()) == files


def test_a_bad_policy_fails_the_lifespan_with_every_fault_and_the_app_is_not_started(
    bad_policy: Path,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("started")

    hardened = harden(app, bad_policy)
    (said,) = run(lifespan(hardened, "startup"))
    assert said["type"] == "lifespan.startup.failed"
    assert isinstance(hardened.fault, PolicyError)
    assert f"{bad_policy}:3:7" in said["message"]
    assert f"{bad_policy}:4:12" in said["message"]


@pytest.mark.parametrize(("environment", "words"), KEYS)
def test_a_key_that_cannot_serve_fails_the_lifespan(environment: dict[str, str], words: str) -> None:
    hardened = harden(leaking(), HIDE, environment=environment)
    if "WEB_CONCURRENCY" not in environment:
        hardened = harden(leaking(), "baseline", environment=environment)
    (said,) = run(lifespan(hardened, "startup"))
    assert said["type"] == "lifespan.startup.failed"
    assert words in said["message"]


def test_an_address_that_cannot_be_kept_fails_the_lifespan_without_its_password() -> None:
    environment = {"HARDENING_STATE": "redis://:sekret@host?retry=3", "HARDENING_KEY": "k" * 32}
    hardened = harden(leaking(), "baseline", environment=environment)
    (said,) = run(lifespan(hardened, "startup"))
    assert said["type"] == "lifespan.startup.failed"
    assert "sekret" not in said["message"]


def test_a_store_that_cannot_be_opened_fails_the_lifespan(tmp_path: Path) -> None:
    environment = {"HARDENING_STATE": f"sqlite:///{tmp_path}/none/state.db", "HARDENING_KEY": "k" * 32}
    (said,) = run(lifespan(harden(leaking(), "baseline", environment=environment), "startup"))
    assert said["type"] == "lifespan.startup.failed"
    assert "none/state.db cannot be made" in said["message"]


def test_a_shared_store_without_a_key_fails_the_lifespan(tmp_path: Path) -> None:
    environment = {"HARDENING_STATE": f"sqlite:///{tmp_path}/state.db"}
    (said,) = run(lifespan(harden(leaking(), "baseline", environment=environment), "startup"))
    assert said["message"] == "found a sqlite store and no key: set HARDENING_KEY or HARDENING_KEY_FILE"
    assert list(tmp_path.iterdir()) == []


def test_the_lifespan_opens_the_store_and_closes_it(tmp_path: Path) -> None:
    environment = {"HARDENING_STATE": f"sqlite:///{tmp_path}/state.db", "HARDENING_KEY": "k" * 32}
    open_while_serving: list[bool] = []

    @asynccontextmanager
    async def own(app: Starlette) -> Any:
        open_while_serving.append((tmp_path / "state.db-wal").exists())
        yield

    hardened = harden(starlette(lifespan=own), "baseline", environment=environment)
    assert list(tmp_path.iterdir()) == []
    run(lifespan(hardened, "startup", "shutdown"))
    assert open_while_serving == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def test_several_workers_on_memory_are_told_that_each_counts_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hardening")
    environment = {"WEB_CONCURRENCY": "4", "HARDENING_KEY": "k" * 32}
    shared = {**environment, "HARDENING_STATE": f"sqlite:///{tmp_path}/state.db"}
    told = []
    for chosen in (environment, shared):
        caplog.clear()
        run(lifespan(harden(starlette(), HIDE, environment=chosen), "startup", "shutdown"))
        told.append("each of 4 workers counts for itself" in caplog.text)
    assert told == [True, False]


def test_without_a_policy_the_start_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARDENING_POLICY", raising=False)
    (said,) = run(lifespan(HardeningMiddleware(leaking()), "startup"))
    assert "HARDENING_POLICY" in said["message"]


def test_a_policy_of_another_kind_is_told() -> None:
    (said,) = run(lifespan(HardeningMiddleware(leaking(), 3), "startup"))  # type: ignore[arg-type]
    assert said["message"] == "policy: found int, allowed is a path, a preset's name or a Policy"


def test_receipts_that_cannot_be_written_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"HARDENING_AUDIT": f"file:{tmp_path}/none/receipts"}
    hardened = harden(leaking(), HIDE, environment=environment)
    for _ in range(2):
        run(ask(hardened, BODY))
        assert hardened.service is not None
        assert hardened.service.audit is not None
        hardened.service.audit.close()
    assert hardened.options.registry.get_sample_value("hardening_receipts_dropped_total") == 2
    assert caplog.text.count("receipts are lost") == 1


def test_by_import_path_the_environment_names_the_policy() -> None:
    hardened = harden(leaking(), "unused", environment={"HARDENING_POLICY": "strict"})
    hardened.options = replace(hardened.options, policy=None)
    assert find_leaks(run(ask(hardened, BODY)).body, TRACE) == []
    assert hardened.service is not None
    assert hardened.service.in_force.policy.name == "strict"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_without_lifespan_a_failed_start_closes_every_door_in_its_own_shape(
    bad_policy: Path, method: str
) -> None:
    hardened = harden(leaking(), bad_policy)
    answer = run(ask(hardened, BODY, path="/v1/messages", method=method))
    assert answer.status == 503
    assert json.loads(answer.body)["type"] == "error"
    assert "policy.yaml" not in answer.body.decode()
    assert isinstance(hardened.fault, PolicyError)


def test_a_failed_start_leaves_what_only_asks_alone_and_closes_paths_that_may_be_doors(
    bad_policy: Path,
) -> None:
    hardened = harden(leaking(), bad_policy)
    assert run(ask(hardened, path="/health", method="GET")).status == 200
    assert run(ask(hardened, BODY, path="/api/chat")).status == 503


def test_any_other_fault_at_the_start_closes_the_doors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: str) -> Any:
        raise ZeroDivisionError("sk-secret")

    monkeypatch.setattr("hardening.asgi.service.open_store", broken)
    hardened = harden(leaking(), HIDE)
    assert run(ask(hardened, BODY)).status == 503
    assert isinstance(hardened.fault, StartError)
    assert "sk-secret" not in str(hardened.fault)


@pytest.mark.parametrize(("preset", "status"), [("strict", 503), ("baseline", 200)])
def test_without_a_tokenizer_strict_does_not_start_and_baseline_estimates(
    preset: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str = "") -> Any:
        raise StartError("rank file o200k_base cannot be read")

    monkeypatch.setattr("hardening.scoring.tokens.load", missing)
    caplog.set_level("INFO", "hardening")
    hardened = harden(leaking(), preset)
    said = run(lifespan(hardened, "startup")) if preset == "strict" else []
    if preset == "baseline":
        hardened._open()
        hardened._warm()
    assert "o200k_base" in caplog.text
    assert [message["type"] for message in said] == (["lifespan.startup.failed"] if status == 503 else [])
    assert run(ask(hardened, BODY)).status == status


def test_the_lifespan_starts_us_first_and_stops_us_last(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[object] = []

    @asynccontextmanager
    async def own(app: Starlette) -> Any:
        heard.append(hardened.service is not None)
        yield
        heard.append(hardened.service is not None)

    hardened = harden(starlette(lifespan=own), HIDE)
    caplog.set_level("INFO", "hardening")
    for _ in range(2):
        said = run(lifespan(hardened, "startup", "shutdown"))
        assert [message["type"] for message in said] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        assert hardened.service is None
    assert heard == [True] * 4
    lines = [record.getMessage() for record in caplog.records if record.name == "hardening"]
    assert len([line for line in lines if "kernels=warm in" in line and "policy=hide" in line]) == 2


def test_an_app_without_lifespan_is_told_so_by_itself_and_we_serve() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "no lifespan here"
        await leaking()(scope, receive, send)

    hardened = harden(app, HIDE)
    with pytest.raises(AssertionError, match="no lifespan"):
        run(lifespan(hardened, "startup"))
    assert find_leaks(run(ask(hardened, BODY)).body, TRACE) == []


@pytest.mark.parametrize("mounted", ["inside", "around"])
def test_a_mounted_app_that_gets_no_lifespan_is_hardened_from_its_first_request(mounted: str) -> None:
    if mounted == "inside":
        inner = starlette(middleware=[Middleware(Hardened, policy="strict", **options())])
        app: Any = Starlette(routes=[Mount("/llm", inner)])
    else:
        app = Starlette(routes=[Mount("/llm", harden(starlette(), HIDE))])
    answer = run(ask(app, BODY, path="/llm/v1/chat/completions"))
    assert answer.status == 200
    assert find_leaks(answer.body, TRACE) == []
    assert "x-hardening" in answer.headers


def test_add_middleware_of_a_framework_takes_it_as_it_is() -> None:
    app = starlette()
    app.add_middleware(Hardened, policy="strict", **options())
    answer = run(ask(app, BODY))
    assert find_leaks(answer.body, TRACE) == []


@pytest.mark.parametrize(
    ("environment", "argv", "count"),
    [
        ({}, ["/usr/bin/gunicorn", "-w", "4", "m:app"], 4),
        ({}, ["gunicorn", "-w4"], 4),
        ({}, ["/venv/uvicorn/__main__.py", "--workers=3"], 3),
        ({"WEB_CONCURRENCY": "2"}, ["python"], 2),
        ({"GUNICORN_CMD_ARGS": "--workers 5"}, ["gunicorn"], 5),
        ({}, ["pytest", "-w", "9"], 1),
        ({"WEB_CONCURRENCY": "auto"}, [], 1),
        ({}, ["/venv/bin/vllm", "serve", "m", "--api-server-count", "4"], 4),
        ({}, ["vllm", "serve", "m", "-asc=2"], 2),
        ({}, ["vllm", "serve", "m", "-asc", "x"], 1),
        ({}, ["vllm", "serve", "m", "--data_parallel_size=3"], 3),
        ({}, ["/venv/bin/litellm", "--num_workers", "8"], 8),
    ],
)
def test_workers_are_counted_where_a_known_server_says(environment: Any, argv: list[str], count: int) -> None:
    assert worker_count(environment, argv) == count


def test_without_lifespan_a_summary_waits_for_the_tokenizer_and_for_no_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches a first summary that is another than every later one of the same trace."""
    loaded, over = threading.Event(), threading.Event()

    class Counter:
        @staticmethod
        def count(text: str) -> int:
            return 10_000  # nothing fits, so that a summary shows that another counter was asked

    def load() -> type[Counter]:
        assert loaded.wait(30)
        return Counter

    def compiled() -> None:
        assert over.wait(30)
        raise StartError("only now")

    monkeypatch.setattr(tokens, "load", load)
    monkeypatch.setattr(kernels, "warm", compiled)
    monkeypatch.setattr(Hardened, "_warm_beside", HardeningMiddleware._warm_beside)
    policy = HIDE.replace("show: none", "show: summary")
    trace = "I need to find how many apples Tom has for himself after the gift. "
    lately = threading.Timer(0.1, loaded.set)
    lately.start()
    told = run(ask(harden(replies(stream(trace=trace)), policy), BODY)).body
    over.set()
    lately.join()
    monkeypatch.undo()
    control = run(ask(harden(replies(stream(trace=trace)), policy), BODY)).body
    assert (b"apples" in control, b"apples" in told) == (True, False)
