"""What becomes of each route of an app, by the policies that stand before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hardening.asgi.entrance import Entrance, Passage
from hardening.asgi.service import Options
from hardening.asgi.watch import named_policy
from hardening.cli.apps import Entry
from hardening.policy import Policy
from hardening.policy.load import read_file

SHOWN: tuple[Passage, ...] = ("hardened", "blocked", "reported", "passed")
"""The order in which routes are told."""

_STRICTEST: tuple[Passage, ...] = ("blocked", "hardened", "reported", "passed")
# The last words of paths at which models answer, in the APIs that are known and those that imitate them.
_LIKE_A_DOOR = re.compile(
    r"(?:^|[/:._-])(?:completions?|complete|generate(?:content)?|streamgeneratecontent|chat|messages?"
    r"|embed(?:dings?|content)?|responses?|infer(?:ence)?|invoke|invocations|predict(?:ions?)?"
    r"|converse|conversations?|prompt|ask)(?:[/._-]?stream)?(?:/\{[^/]*\})*/?$"
)
_ANY_PATH = re.compile(r"\{[^/{}]*:path\}$")


@dataclass(frozen=True, slots=True)
class Line:
    """A route with those of its methods that are treated alike; no methods for one that takes any.

    `policies` stand before it, the outermost first; `format` is what its door speaks; `doors` are those
    that some of its paths are, where it has parameters.
    """

    path: str
    methods: tuple[str, ...]
    websocket: bool
    passage: Passage
    format: str | None
    policies: tuple[str, ...]
    doors: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Screen:
    """A policy before a route, and the mount below which it stands."""

    policy: Policy
    entrance: Entrance
    root: str

    def passage(self, path: str, method: str, *, websocket: bool) -> Passage:
        """What this policy makes of a request."""
        if websocket:
            return self.entrance.websocket(path, self.root)
        return self.entrance.passage(path, self.root, method)


@dataclass(frozen=True, slots=True)
class Listing:
    """The routes of an app, and the policies before them, the outermost first."""

    policies: tuple[Policy, ...]
    lines: tuple[Line, ...]


def listed(entries: Sequence[Entry], instead: Policy | None) -> Listing:
    """What becomes of every route; `instead` is a policy that stands in the place of the app's own.

    Raises:
        PolicyError, StartError: a policy of the app cannot be used, or it names none.
    """
    guards = dict.fromkeys(guard for entry in entries for guard in entry.guards)
    screens = {guard: _screen(instead or _policy(guard.middleware.options), guard.root) for guard in guards}
    outermost = (_screen(instead, ""),) if instead is not None and not guards else ()
    lines = [
        line
        for entry in entries
        for line in _lines(entry, outermost or tuple(screens[guard] for guard in entry.guards))
    ]
    policies = dict.fromkeys(screen.policy for screen in outermost or screens.values())
    return Listing(tuple(policies), tuple(sorted(lines, key=_order)))


def _policy(options: Options) -> Policy:
    """What a middleware that has not started will act by."""
    given = options.policy
    return given if isinstance(given, Policy) else named_policy(options, read_file)


def _order(line: Line) -> tuple[int, str, tuple[str, ...]]:
    return SHOWN.index(line.passage), line.path, line.methods


def _screen(policy: Policy, root: str) -> Screen:
    return Screen(policy, Entrance(policy.doors, enforced=policy.mode == "enforce"), root)


def _lines(entry: Entry, screens: tuple[Screen, ...]) -> Iterator[Line]:
    """One line for each way in which methods of a route are treated, the strictest first."""
    methods = entry.methods or frozenset(("POST",))
    shown = methods - {"HEAD"} if "GET" in methods else methods
    treated = {
        method: _strictest(
            screen.passage(entry.path, method, websocket=entry.websocket) for screen in screens
        )
        for method in shown
    }
    for passage in _STRICTEST:
        alike = tuple(sorted(method for method in shown if treated[method] == passage))
        if alike:
            yield Line(
                path=entry.path,
                methods=alike if entry.methods else (),
                websocket=entry.websocket,
                passage=passage,
                format=_format(entry.path, alike[0], screens) if passage != "passed" else None,
                policies=tuple(dict.fromkeys(screen.policy.name for screen in screens)),
                doors=_doors(entry, screens),
                warnings=tuple(_warnings(entry, alike, passage, screens)),
            )


def _strictest(passages: Iterator[Passage]) -> Passage:
    return min(passages, key=_STRICTEST.index, default="passed")


def _format(path: str, method: str, screens: tuple[Screen, ...]) -> str | None:
    """What the door of a path speaks, where any of the policies sees one."""
    for screen in screens:
        door = screen.entrance.door(path, screen.root, method)
        if door is not None:
            if door.by_body:
                return "by its body"
            return screen.policy.doors.own.get(door.name) if door.codec is None else door.codec.name
    return None


def _doors(entry: Entry, screens: tuple[Screen, ...]) -> tuple[str, ...]:
    """The doors that some paths of a route with parameters are."""
    if "{" not in entry.path or entry.websocket:
        return ()
    found: dict[str, str | None] = {}
    for screen in screens:
        for name in screen.entrance.names:
            path = _filled(entry.path, name)
            door = screen.entrance.door(path, screen.root) if path else None
            if door is not None and door.name == name:
                found[name] = None if door.codec is None else door.codec.name
    longer = {
        name
        for name, format in found.items()
        for end, other in found.items()
        if end != name and name.endswith(end) and format == other
    }
    return tuple(name for name in found if name not in longer)


def _filled(template: str, door: str) -> str | None:
    """The template with its last parameters filled so that it ends like the door; None where it cannot."""
    if _ANY_PATH.search(template):
        return _ANY_PATH.sub("", template).rstrip("/") + door
    segments, ends = template.split("/"), door.strip("/").split("/")
    last = segments[-len(ends) :]
    if len(last) < len(ends) or not any(part.startswith("{") for part in last):
        return None
    if any(part != end and not part.startswith("{") for part, end in zip(last, ends, strict=True)):
        return None
    return "/".join([*segments[: -len(ends)], *ends])


def _warnings(
    entry: Entry, methods: tuple[str, ...], passage: Passage, screens: tuple[Screen, ...]
) -> Iterator[str]:
    """What an operator should look at: paths at which a model may answer in full."""
    if passage in ("hardened", "blocked") or not (entry.websocket or set(methods) - {"GET", "OPTIONS"}):
        return
    if any(screen.entrance.leaves_alone(entry.path, screen.root) for screen in screens):
        return  # the policy says so by name
    any_path = _ANY_PATH.search(entry.path) is not None
    if not (any_path or _LIKE_A_DOOR.search(entry.path.lower())):
        return
    what = "takes any path" if any_path else "looks like a model's door"
    if not screens:
        yield f"{entry.path} {what}, and no HardeningMiddleware stands before it"
    elif entry.websocket:
        yield f"{entry.path} {what}, and what a websocket says is not read: name it under `doors`, which closes it"
    elif any_path:
        yield f"{entry.path} {what}: those that are no door pass unread; close them with `unknown: block`"
    else:
        yield f"{entry.path} {what} and passes unread: name its format under `doors`, or `pass`"
