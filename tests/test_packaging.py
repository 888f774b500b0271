"""What is built and shipped: the wheel alone mounts, and presets are found wherever the package lies."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PRESETS = ("baseline", "embeddings", "observe", "strict")

START = """
import site, sys
place, *libraries = {paths!r}
sys.path[:0] = [place]
sys.path += libraries
site.addsitedir(place)
"""
ONLY = """
import importlib.metadata
allowed = set({allowed!r})
of = importlib.metadata.packages_distributions()
class Wall:
    def find_spec(self, name, path=None, target=None):
        owners = {{owner.lower().replace("_", "-") for owner in of.get(name.partition(".")[0], [])}}
        if owners and not owners & allowed:
            raise ModuleNotFoundError(f"{{name}} is not among the dependencies of the wheel", name=name)
sys.meta_path.insert(0, Wall())
"""
MOUNT = """
import asyncio, json
from hardening import HardeningMiddleware

TRACE = "first I multiply the seven boxes by the twelve pears and then I add two"
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
    "message": {"role": "assistant", "content": "86", "reasoning_content": TRACE}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29}}

async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(ANSWER).encode()})

async def ask():
    sent = []
    async def receive():
        return {"type": "http.request", "body": b'{"model": "m", "messages": []}', "more_body": False}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "root_path": "", "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"authorization", b"Bearer a")],
        "client": ("192.0.2.1", 5), "server": ("test", 80), "extensions": {}, "state": {}}
    await HardeningMiddleware(app, policy="strict")(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return {"status": sent[0]["status"], "headers": dict((k.decode(), v.decode()) for k, v in sent[0]["headers"]),
        "content": json.loads(body)["choices"][0]["message"]["content"], "leak": TRACE[:20] in body.decode()}

print(json.dumps(asyncio.run(ask())))
"""


def python(code: str) -> str:
    """What a fresh interpreter prints that sees nothing but the standard library at its start."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(place: Path) -> str:
    """The first lines of a program for which the package is installed in `place`."""
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return START.format(paths=[str(place), *sorted(libraries)])


def core(wheel: Path) -> list[str]:
    """Every distribution that installing the wheel without extras brings, the wheel itself included."""
    found = {"hardening"}
    waiting = importlib.metadata.Distribution.at(next(wheel.glob("*.dist-info"))).requires or []
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += importlib.metadata.requires(name) or []
    return sorted(found)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this tree, made without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, as an installer would lay it down."""
    place = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(place)
    return place


@pytest.fixture(scope="session")
def sdist(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    place = tmp_path_factory.mktemp("sdist")
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(place, filter="data")
    return next(place.iterdir())


@pytest.fixture(scope="session")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An editable installation of this tree."""
    folder, place = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("editable")
    code = f"import hatchling.build as b; b.build_editable({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(place)
    return place


def files(place: Path) -> set[str]:
    """The relative names of all files below a folder."""
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}


def test_the_wheel_holds_the_package_and_the_presets_and_nothing_else(wheel: Path) -> None:
    names = files(wheel)
    assert {"hardening/__init__.py", "hardening/py.typed", "hardening/state/lua/act.lua"} <= names
    assert {f"hardening/_policies/{name}/policy.yaml" for name in PRESETS} <= names
    assert {"hardening/_policies/policy.v1.schema.json", "hardening/_claims.json"} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hardening"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_is_needed_to_build_and_test(sdist: Path) -> None:
    names = files(sdist)
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert {"tests/test_packaging.py", "scripts/test", "policies/strict/policy.yaml"} <= names
    assert {"docs", "examples", "bench", "requirements"} <= {name.split("/")[0] for name in names}


def test_a_wheel_made_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=sdist, capture_output=True, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        assert set(archive.namelist()) == files(wheel)


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable", "checkout"])
def test_presets_are_found_where_the_package_lies(kind: str, request: pytest.FixtureRequest) -> None:
    place = ROOT if kind == "checkout" else request.getfixturevalue(kind)
    code = "from hardening import find_preset; import json\n"
    code += f"print(json.dumps([str(find_preset(name)) for name in {PRESETS!r}]))"
    home = ROOT if kind == "editable" else place
    for name, found in zip(PRESETS, json.loads(python(start(place) + code)), strict=True):
        assert Path(found).is_relative_to(home), kind
        assert (Path(found) if Path(found).is_file() else Path(found) / "policy.yaml").read_bytes() == (
            ROOT / "policies" / name / "policy.yaml"
        ).read_bytes()


def test_the_wheel_without_extras_is_enough_to_mount(wheel: Path) -> None:
    answer = json.loads(python(start(wheel) + ONLY.format(allowed=core(wheel)) + MOUNT))
    assert answer["status"] == 200
    assert answer["content"] == "86"
    assert not answer["leak"]
    assert "reasoning=" in answer["headers"]["x-hardening"]


def test_the_wall_of_that_test_keeps_an_extra_out(wheel: Path) -> None:
    code = start(wheel) + ONLY.format(allowed=core(wheel))
    code += "try:\n    import httpx\nexcept ModuleNotFoundError:\n    print('kept out')"
    assert python(code).strip() == "kept out"


def test_the_command_of_the_wheel_is_there(wheel: Path) -> None:
    entry = next(iter(importlib.metadata.Distribution.at(next(wheel.glob("*.dist-info"))).entry_points))
    assert entry.name == "hardening"
    assert callable(entry.load())
