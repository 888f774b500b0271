"""Rooms import from lower levels only, and the core neither waits, opens, logs nor looks at the time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hardening"

LEVELS = {
    **dict.fromkeys(("errors", "clock", "facts", "events", "noise_key"), 0),
    **dict.fromkeys(("wire", "kernels", "policy", "state", "identity", "observe"), 1),
    **dict.fromkeys(("scoring", "transform"), 2),
    "exchange": 3,
    "asgi": 4,
    **dict.fromkeys(("testing", "__init__"), 5),
    "redteam": 6,
    "cli": 7,
}
PARTS = {
    "__main__": "cli",
    "asking": "exchange",
    "rewrite": "exchange",
    "ending": "exchange",
    "numbers": "exchange",
    "lanes": "exchange",
    "moulds": "exchange",
    "reply": "exchange",
    "sealed": "exchange",
    "restoring": "exchange",
}  # modules that belong to a room of another name
EDGE = {"state", "observe", "asgi", "redteam", "cli"}
FORBIDDEN_IN_CORE = {"asyncio", "logging", "selectors", "signal", "socket", "subprocess", "time"}
ONLY_IN = {"numba": "kernels.jit", "redis": "state"}
ENVIRONMENT = {"environ", "environb", "getenv", "putenv"}


def room_of(module: str) -> str:
    """The room of a dotted name below the package: `wire.sse` is in `wire`, `__main__` belongs to `cli`."""
    first = module.split(".")[0]
    return PARTS.get(first, first)


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import in a file, wherever it stands."""
    here = ["hardening", *module.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + is_package] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            if source == "hardening":
                for alias in node.names:
                    yield node.lineno, f"hardening.{alias.name}"
            else:
                yield node.lineno, source


def wrong_levels(module: str, tree: ast.AST, is_package: bool) -> Iterator[str]:
    """Imports of a room at the same or a higher level."""
    room = room_of(module)
    for line, name in imported(tree, module, is_package):
        if name == "hardening.__version__" or name.split(".")[0] != "hardening":
            continue
        other = room_of(name.partition(".")[2] or "__init__")
        target = LEVELS.get(other, LEVELS["__init__"])  # a public name of the package itself
        if other != room and not target < LEVELS[room] and LEVELS[room] + target > 0:
            yield f"{module}:{line} (level {LEVELS[room]}) imports {name} (level {target})"


def wrong_libraries(module: str, tree: ast.AST, is_package: bool) -> Iterator[str]:
    """Imports that the core may not have, and libraries outside the one place that may use them."""
    core = room_of(module) not in EDGE
    for line, name in imported(tree, module, is_package):
        library = name.split(".")[0]
        if core and library in FORBIDDEN_IN_CORE and (module, library) != ("clock", "time"):
            yield f"{module}:{line} is core and imports {library}"
        place = ONLY_IN.get(library)
        if place and module != place and not module.startswith(f"{place}."):
            yield f"{module}:{line} imports {library}, which only {place} may"


def environment_reads(module: str, tree: ast.AST) -> Iterator[str]:
    """Looks at the process environment from the core."""
    if room_of(module) in EDGE:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            names = {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names}
        else:
            continue
        for name in sorted(names & ENVIRONMENT):
            yield f"{module}:{node.lineno} is core and reads os.{name}"


def faults(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Everything in one file that breaks the order of the rooms."""
    tree = ast.parse(source)
    return [
        *wrong_levels(module, tree, is_package),
        *wrong_libraries(module, tree, is_package),
        *environment_reads(module, tree),
    ]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its dotted name; a room's `__init__` goes by the room's name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts), path


@pytest.mark.parametrize(
    ("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_module_imports_only_what_its_level_allows(module: str, path: Path) -> None:
    assert room_of(module) in LEVELS, f"{module}: a new room needs a level in design and in this test"
    package = path.name == "__init__.py" and module != "__init__"
    assert faults(module, path.read_text(encoding="utf-8"), is_package=package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("facts", "from hardening.wire import sse"),
        ("wire.sse", "from hardening.transform.summary import Summariser"),
        ("wire.sse", "from hardening.policy import load_policy"),
        ("wire.sse", "import hardening.policy.model"),
        ("wire.sse", "from ..policy import model"),
        ("wire.sse", "from hardening import Policy"),
        ("wire.sse", "def f():\n    from hardening.asgi import middleware"),
        ("wire.sse", "if TYPE_CHECKING:\n    from hardening.exchange import Exchange"),
        ("transform.seal", "from hardening import scoring"),
        ("exchange", "from hardening.asgi.responder import Responder"),
        ("exchange", "import hardening"),
        ("redteam.run", "from hardening.cli import main"),
        ("wire.sse", "import asyncio"),
        ("exchange", "from time import monotonic"),
        ("facts", "import time"),
        ("policy.load", "import logging.handlers"),
        ("policy.load", "import os\nNAME = os.environ['X']"),
        ("policy.load", "from os import getenv"),
        ("transform.logprobs", "import numba"),
        ("kernels.scan", "from numba import njit"),
        ("asgi.middleware", "import redis.asyncio"),
    ],
)
def test_the_law_sees_a_breach(module: str, source: str) -> None:
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("events", "from hardening.facts import Usage"),
        ("clock", "import time"),
        ("kernels.jit", "import numba"),
        ("asgi.middleware", "from hardening import __version__"),
        ("state.redis", "import asyncio, time, redis.asyncio"),
        ("wire.sse", "from .frame import Frame"),
        ("exchange", "from hardening.wire import codec\nfrom hardening.transform import summary"),
        ("__main__", "from hardening.cli import main"),
        ("asgi.middleware", "import asyncio, os\nos.environ.get('HARDENING_POLICY')"),
        ("policy.load", "import os\nos.fspath('x')"),
    ],
)
def test_the_law_lets_through_what_is_in_order(module: str, source: str) -> None:
    assert faults(module, source) == []


def test_a_relative_import_in_a_room_is_read_from_that_room() -> None:
    assert faults("wire", "from . import sse", is_package=True) == []
    assert faults("wire", "from ..policy import model", is_package=True) != []
