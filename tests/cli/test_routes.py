"""`hardening routes`: real apps, what stands before each of their routes, and apps that cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import Result

from hardening.cli.listing import _LIKE_A_DOOR
from tests.cli.test_commands import as_process, ran

FASTAPI = """
import os
from fastapi import APIRouter, FastAPI, WebSocket
from hardening import HardeningMiddleware

print("noise of the app")
router = APIRouter(prefix="/v1")

@router.post("/chat/completions")
@router.post("/generate")
@router.get("/models")
def answer(): ...

@router.websocket("/messages")
async def talk(websocket: WebSocket): ...

outer = APIRouter(prefix="/llm")
outer.include_router(router)
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(outer)

@app.api_route("/v1/messages", methods=["GET", "POST"])
@app.get("/chat")
@app.post("/chat/{session}")
@app.post("/health")
@app.post("/api/generate")
@app.post("/raw/generate")
def other(): ...

sub = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
sub.post("/v1/infer")(other)
sub.post("/chat/completions")(other)
app.mount("/sub", sub)
"""
POLICY = """
version: 1
name: mine
doors: {/api/generate: bedrock_converse, "/raw/*": pass}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    known, path = set(sys.modules), list(sys.path)
    (tmp_path / "mine.yaml").write_text(POLICY)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def told(result: Result) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Passage and format by path and method."""
    report = orjson.loads(result.stdout)
    return {
        (line["path"], method): (line["passage"], line["format"])
        for line in report["routes"]
        for method in (["websocket"] if line["websocket"] else line["methods"] or ["any"])
    }


def warned(result: Result) -> list[str]:
    return [line.removeprefix("warning: ") for line in result.stdout.splitlines() if "warning: " in line]


def test_every_route_of_a_fastapi_app_with_what_becomes_of_it(place: Path) -> None:
    code = FASTAPI + "app.add_middleware(HardeningMiddleware, policy='mine.yaml')\n"
    (place / "fast_app.py").write_text(code)
    result = ran("routes", "fast_app:app", "--json")
    assert result.exit_code == 0
    assert told(result) == {
        ("/llm/v1/chat/completions", "POST"): ("hardened", "openai_chat"),
        ("/llm/v1/generate", "POST"): ("reported", None),
        ("/llm/v1/models", "GET"): ("passed", None),
        ("/llm/v1/messages", "websocket"): ("blocked", "anthropic_messages"),
        ("/v1/messages", "POST"): ("hardened", "anthropic_messages"),
        ("/v1/messages", "GET"): ("hardened", "anthropic_messages"),
        ("/chat", "GET"): ("passed", None),
        ("/chat/{session}", "POST"): ("reported", None),
        ("/health", "POST"): ("reported", None),
        ("/api/generate", "POST"): ("blocked", "bedrock_converse"),
        ("/raw/generate", "POST"): ("passed", None),
        ("/sub/v1/infer", "POST"): ("reported", None),
        ("/sub/chat/completions", "POST"): ("hardened", "openai_chat"),
    }
    assert orjson.loads(result.stdout)["policies"][0]["name"] == "mine"
    assert "noise of the app" in result.stderr


def test_what_looks_like_a_door_and_is_none_is_warned_of(place: Path) -> None:
    code = FASTAPI + "app.add_middleware(HardeningMiddleware, policy='mine.yaml')\n"
    (place / "fast_doors.py").write_text(code)
    result = ran("routes", "fast_doors:app")
    assert [warning.split()[0] for warning in warned(result)] == [
        "/chat/{session}",
        "/llm/v1/generate",
        "/sub/v1/infer",
    ]
    assert result.exit_code == 0
    assert ran("routes", "fast_doors:app", "--strict").exit_code == 1
    assert ran("routes", "fast_doors:app", "--strict", "--policy", "strict").exit_code == 0
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("policy mine ")
    assert second.split() == ["hardened", "POST", "/llm/v1/chat/completions", "(openai_chat)"]


LIKE_A_DOOR = """
/v1/completions /v1/responses /generate /generate_stream /infer /v2/models/{m}/infer /invocations /predict
/model/{id}/converse-stream /v1beta/models/{m}:generateContent /models/{m}:streamGenerateContent
/api/chat /chat/stream /chat/{id} /messages /v1/embeddings /api/embed
"""
UNLIKE_A_DOOR = "/health /v1/models /chats /export /login /completions-report /regenerate /chat/{id}/title /"


def test_the_names_of_model_doors_are_known() -> None:
    assert [path for path in LIKE_A_DOOR.split() if not _LIKE_A_DOOR.search(path.lower())] == []
    assert [path for path in UNLIKE_A_DOOR.split() if _LIKE_A_DOOR.search(path.lower())] == []


NESTED = """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from hardening import HardeningMiddleware

async def other(request): ...
async def plain(scope, receive, send): ...
def ours(policy): return [Middleware(GZipMiddleware), Middleware(HardeningMiddleware, policy)]
def posts(*paths): return [Route(path, other, methods=["POST"]) for path in paths]

chat = "/v1/chat/completions"
app = Starlette(routes=[
    Mount("/app", app=Starlette(routes=posts(chat, "/x"), middleware=ours("strict"))),
    Mount("/mount", routes=posts(chat), middleware=ours("strict")),
    Mount("/router", app=Router(routes=posts(chat), middleware=ours("baseline"))),
    Mount("/own", app=GZipMiddleware(HardeningMiddleware(Starlette(routes=posts("/assistant")), "own.yaml"))),
    Mount("/plain", app=plain),
    Host("api.example.org", app=Router(routes=posts("/host" + chat))),
    Route("/route", other, methods=["POST"], middleware=ours("strict")),
    *posts("/bare" + chat),
])
around = HardeningMiddleware(app, policy="observe")
catching = Starlette(routes=posts("/{path:path}", "/v1/{kind}/completions"), middleware=ours("baseline"))
"""


def test_the_middleware_is_found_wherever_it_stands(place: Path) -> None:
    (place / "nested_app.py").write_text(NESTED)
    (place / "own.yaml").write_text("version: 1\ndoors: {/assistant: openai_chat}\n")
    chat = "/v1/chat/completions"
    assert told(ran("routes", "nested_app:app", "--json")) == {
        (f"/app{chat}", "POST"): ("hardened", "openai_chat"),
        ("/app/x", "POST"): ("blocked", None),
        (f"/mount{chat}", "POST"): ("hardened", "openai_chat"),
        (f"/router{chat}", "POST"): ("hardened", "openai_chat"),
        ("/own/assistant", "POST"): ("hardened", "openai_chat"),
        ("/plain/{path:path}", "any"): ("passed", None),
        (f"/host{chat}", "POST"): ("passed", None),
        ("/route", "POST"): ("blocked", None),
        (f"/bare{chat}", "POST"): ("passed", None),
    }
    assert [warning.split(", ")[0] for warning in warned(ran("routes", "nested_app:app"))] == [
        f"/bare{chat} looks like a model's door",
        f"/host{chat} looks like a model's door",
        "/plain/{path:path} takes any path",
    ]


def test_an_outer_one_acts_beside_the_inner_ones_and_a_given_policy_instead_of_all(place: Path) -> None:
    (place / "around_app.py").write_text(NESTED)
    (place / "own.yaml").write_text("version: 1\ndoors: {/assistant: openai_chat}\n")
    around = ran("routes", "around_app:around", "--json")
    assert told(around)["/bare/v1/chat/completions", "POST"] == ("hardened", "openai_chat")
    assert told(around)["/app/x", "POST"] == ("blocked", None)
    line = next(line for line in orjson.loads(around.stdout)["routes"] if line["path"] == "/app/x")
    assert line["policies"] == ["observe", "strict"]
    instead = ran("routes", "around_app:around", "--json", "--policy", "strict")
    assert told(instead)["/own/assistant", "POST"] == ("blocked", None)
    assert [policy["name"] for policy in orjson.loads(instead.stdout)["policies"]] == ["strict"]


def test_a_route_that_takes_any_path_says_which_of_them_are_doors(place: Path) -> None:
    (place / "any_app.py").write_text(NESTED)
    (place / "own.yaml").write_text("version: 1\n")
    doors = {
        line["path"]: line["doors"]
        for line in orjson.loads(ran("routes", "any_app:catching", "--json").stdout)["routes"]
    }
    assert {"/chat/completions", "/v1/messages"} <= set(doors["/{path:path}"])
    assert "/chat/completions" in doors["/v1/{kind}/completions"]
    assert "/v1/messages" not in doors["/v1/{kind}/completions"]
    assert "hardened where it ends in /chat/completions" in ran("routes", "any_app:catching").stdout


def test_the_policy_may_stand_in_the_environment(place: Path) -> None:
    (place / "env_app.py").write_text(FASTAPI + "app.add_middleware(HardeningMiddleware)\n")
    result = ran("routes", "env_app:app", "--json", env={"HARDENING_POLICY": "strict"})
    assert told(result)["/health", "POST"] == ("blocked", None)
    missing = ran("routes", "env_app:app")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert missing.stderr.splitlines()[-1].startswith("no policy: ")


def test_the_policy_may_be_an_object(place: Path) -> None:
    code = (
        "from hardening import load_policy\napp.add_middleware(HardeningMiddleware, load_policy('strict'))\n"
    )
    (place / "object_app.py").write_text(FASTAPI + code)
    assert told(ran("routes", "object_app:app", "--json"))["/health", "POST"] == ("blocked", None)


QUIET = "from fastapi import FastAPI\nfrom hardening import HardeningMiddleware\napp = FastAPI()\n"
UNUSABLE = {
    "raises": ("import os\nos.environ['NO_SUCH_GEHEIM']\n", "app", "KeyError at raises.py:2"),
    "raises_deep": ("import helper_of_mine\n", "app", "ValueError at helper_of_mine.py:1"),
    "no_library": ("\nimport no_such_thing.at_all\n", "app", "no_library.py:2: no module `no_such_thing`"),
    "wrong_syntax": ("app = (\n", "app", "SyntaxError at wrong_syntax.py:1"),
    "leaves": ("import sys\nsys.exit('geheim')\n", "app", "SystemExit at leaves.py:2"),
    "no_attribute": ("app = 1\n", "ap", "the module has no `ap`"),
    "no_asgi": ("app = 1\n", "app", "found int, which is no ASGI app"),
    "a_factory": ("def app(): ...\n", "app", "add --factory"),
    "misspelt": (
        QUIET + "app.add_middleware(HardeningMiddleware, polcy='geheim')\n",
        "app",
        "argument 'polcy'",
    ),
    "no_policy": (
        QUIET + "app.add_middleware(HardeningMiddleware, policy=3)\n",
        "app",
        "policy: found int",
    ),
    "no_middleware": ("async def app(scope, receive, send): ...\n", "app", "found no HardeningMiddleware"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_app_that_cannot_be_had_is_told_in_one_sentence(place: Path, name: str) -> None:
    code, attribute, says = UNUSABLE[name]
    (place / f"{name}.py").write_text(code)
    (place / "helper_of_mine.py").write_text("int('geheim')\n")
    result = ran("routes", f"{name}:{attribute}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "geheim" not in result.output.lower()


def test_what_was_meant_is_said(place: Path) -> None:
    (place / "plain.py").write_text(QUIET)
    assert "name its module: src.main:app" in ran("routes", "src/main.py:app").stderr
    as_factory = ran("routes", "plain:app", "--factory")
    assert (as_factory.exit_code, as_factory.stdout) == (2, "")
    assert "found FastAPI, which is no factory; for an app leave out --factory" in as_factory.stderr
    gone = ran("routes", "plain:app", "--policy", "gone.yaml")
    assert (gone.exit_code, gone.stdout) == (2, "")
    assert gone.stderr.startswith("gone.yaml: No such file")
    assert ran("routes", "plain:app", "--app-dir", "nowhere").exit_code == 2


@pytest.mark.parametrize("target", ["no_such_module:app", "app", ":app", "main:"])
def test_a_target_that_names_no_app_exits_with_two(place: Path, target: str) -> None:
    assert ran("routes", target).exit_code == 2


def test_a_factory_is_called_and_its_fault_told(place: Path) -> None:
    (place / "made.py").write_text(
        FASTAPI
        + "def make():\n    app.add_middleware(HardeningMiddleware, policy='baseline')\n    return app\n"
        "def broken(): raise OSError('geheim')\n"
    )
    assert ran("routes", "made:make", "--factory").exit_code == 0
    broken = ran("routes", "made:broken", "--factory")
    assert broken.exit_code == 2
    assert broken.stderr.splitlines()[-1].startswith("made:broken makes no app: OSError at made.py:")


def test_faults_of_the_policy_are_findings_with_their_places(place: Path) -> None:
    (place / "mine.yaml").write_text("version: 2\n")
    (place / "faulty.py").write_text(
        FASTAPI + "app.add_middleware(HardeningMiddleware, policy='mine.yaml')\n"
    )
    for arguments in (["faulty:app"], ["faulty:app", "--policy", "mine.yaml"]):
        result = ran("routes", *arguments)
        assert result.exit_code == 1
        assert "mine.yaml:1:10: found `2`" in result.stdout
    report = orjson.loads(ran("routes", "faulty:app", "--json").stdout)
    assert (report["ok"], report["faults"][0]["line"]) == (False, 1)


def test_another_folder_and_a_process_of_its_own(place: Path) -> None:
    (place / "deep").mkdir()
    (place / "deep" / "served.py").write_text(FASTAPI)
    done = as_process(
        "-m", "hardening", "routes", "served:app", "--app-dir", "deep", "--json", "--policy", "baseline"
    )
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["ok"]
