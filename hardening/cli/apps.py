"""Imports an app as a server does, and lists its routes with the middlewares that stand before each.

Starlette and what is built on it say what they hold: `user_middleware`, `routes`, wrapped apps as `.app`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from hardening.asgi.middleware import HardeningMiddleware

_MAX_WRAPPERS = 64
ANYTHING = "/{path:path}"
"""What stands for the paths of an app that does not list its routes."""


class AppError(LookupError):
    """The app cannot be had; the text is one sentence that quotes nothing of what was raised."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One of our middlewares on the way to a route, and the mount below which it stands."""

    middleware: HardeningMiddleware
    root: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A route by its whole path, mounts included; `methods` is None where it takes any."""

    path: str
    methods: frozenset[str] | None
    websocket: bool
    guards: tuple[Guard, ...]


def load_app(target: str, folder: Path, *, factory: bool) -> object:
    """The app that `module:attribute` names, seen from `folder`.

    Raises:
        AppError: it cannot be imported, found or made.
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise AppError(f"{target}: found no module:attribute, such as main:app")
    if module.endswith(".py"):
        name = module.removesuffix(".py").replace("/", ".")
        raise AppError(f"{target}: found a file; name its module: {name}:{attribute}")
    sys.path.insert(0, str(folder.resolve()))
    with contextlib.redirect_stdout(sys.stderr):  # what the app prints is not the report
        app = _imported(module)
        for name in attribute.split("."):
            if not hasattr(app, name):
                raise AppError(f"{target}: the module has no `{name}`")
            app = getattr(app, name)
        if factory:
            return _made(app, target)
    if inspect.isfunction(app) and not inspect.signature(app).parameters:
        raise AppError(f"{target}: found a function without arguments; if it makes the app, add --factory")
    if not callable(app):
        raise AppError(f"{target}: found {type(app).__name__}, which is no ASGI app")
    return app


def _imported(module: str) -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as fault:
        raise AppError(
            f"{module} cannot be imported: {_where(fault)}: no module `{fault.name or ''}`"
        ) from None
    except (Exception, SystemExit) as fault:  # noqa: BLE001  an app may raise anything while it is imported
        raise AppError(f"{module} cannot be imported: {_where(fault)}") from None


def _made(factory: object, target: str) -> object:
    if not callable(factory) or hasattr(factory, "routes"):
        kind = type(factory).__name__
        raise AppError(f"{target}: found {kind}, which is no factory; for an app leave out --factory")
    try:
        app: object = factory()
    except (Exception, SystemExit) as fault:  # noqa: BLE001  as above
        raise AppError(f"{target} makes no app: {_where(fault)}") from None
    return app


def _where(fault: BaseException) -> str:
    """The kind of an error and the line that raised it; never its text, which may hold a secret."""
    if isinstance(fault, SyntaxError) and fault.filename:
        return f"{type(fault).__name__} at {Path(fault.filename).name}:{fault.lineno}"
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename[0] != "<"]
    outside = [frame for frame in frames[1:] if Path(frame.filename) != Path(importlib.__file__)]
    place = f" at {Path(outside[-1].filename).name}:{outside[-1].lineno}" if outside else ""
    return type(fault).__name__ + place


def entries(app: object, prefix: str = "", guards: tuple[Guard, ...] = ()) -> Iterator[Entry]:
    """Every route of an app, in its order, those of mounted apps included."""
    app, guards = _through(app, prefix, guards)
    routes = getattr(app, "routes", None)
    if routes is None:
        yield Entry(prefix + ANYTHING, None, False, guards)
        return
    for path, methods, route in _flat(routes):
        whole = prefix + path
        if isinstance(route, Mount):
            yield from entries(route.app, whole.rstrip("/"), guards)
        elif isinstance(route, Host):
            yield from entries(route.app, prefix, guards)
        else:
            inner = _through(getattr(route, "app", None), prefix, guards)[1]
            known = isinstance(route, Route | WebSocketRoute)
            websocket = isinstance(route, WebSocketRoute)
            yield Entry(whole if known else prefix + ANYTHING, methods, websocket, inner)


def _flat(routes: Sequence[object]) -> Iterator[tuple[str, frozenset[str] | None, object]]:
    """Path, methods and route of each; routers that newer FastAPI includes lazily are opened."""
    lister = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    for found in routes if lister is None else lister(routes):
        methods = getattr(found, "methods", None)
        route = getattr(found, "original_route", found)
        yield getattr(found, "path", None) or "", frozenset(methods) if methods else None, route


def _mounted(kind: type[HardeningMiddleware], app: Any, middleware: Any) -> HardeningMiddleware:
    """The middleware as a framework would make it. Raises AppError where it does not take what it is given."""
    try:
        return kind(app, *middleware.args, **middleware.kwargs)
    except TypeError as fault:
        raise AppError(f"the app cannot start: {fault}") from None


def _through(app: Any, prefix: str, guards: tuple[Guard, ...]) -> tuple[Any, tuple[Guard, ...]]:
    """The app inside all wrappers, and the guards with those among the wrappers."""
    found = list(guards)
    for _ in range(_MAX_WRAPPERS):
        if isinstance(app, HardeningMiddleware):
            found.append(Guard(app, prefix))
        for middleware in getattr(app, "user_middleware", ()):
            kind = middleware.cls
            if isinstance(kind, type) and issubclass(kind, HardeningMiddleware):
                found.append(Guard(_mounted(kind, app, middleware), prefix))
        if isinstance(app, Router):
            found += _through(app.middleware_stack, prefix, ())[1]
        inner = getattr(app, "app", None)
        if hasattr(app, "routes") or not callable(inner):
            break
        app = inner
    return app, tuple(found)
