"""`HardeningMiddleware`: which request is ours, and what has to be ready before it is answered."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import REGISTRY
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.asgi.admission import DEFERRED, SEATS, Deferred
from hardening.asgi.case import MARK, Case
from hardening.asgi.deferred import DeferredResponder
from hardening.asgi.elsewhere import Sniffing, bodiless, is_asked_only, route_of
from hardening.asgi.refusals import refusal_messages
from hardening.asgi.responder import Responder
from hardening.asgi.service import Identify, OnReceipt, Options, Service, where
from hardening.clock import SystemClock
from hardening.errors import HardeningError, StartError
from hardening.facts import Refusal
from hardening.observe import LOG
from hardening.policy import Policy
from hardening.state import StateStore
from hardening.wire.doors import Door, Doors

# Paths that are known to be no door, for each method; an app has some dozens, a scanner any number.
_QUIET_PATHS = 1024
_NOT_READY = Refusal(503, "unavailable", "this service is not ready: its policy could not be started", 30.0)
_NO_DOOR = Refusal(403, "forbidden", "this path is not open")
_BUILT_IN = Doors()
_OVER = ("lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed")


class HardeningMiddleware:
    """Pure ASGI middleware that cuts model responses to a policy, per account.

    Args:
        app: the ASGI app to stand before.
        policy: a policy file, a preset's name, or a `Policy`; else HARDENING_POLICY names it.
        identify: tells the account of a scope: an `Account`, an id, or None for unknown. Or
            `DEFERRED`: the app calls `admit` in the middle of the request.
        state: a store of limits and standing in place of the one that the policy names.
        signals: further signals of risk.
        on_receipt: is given the `Receipt` of each request; what it raises is logged.

    Making one never fails and starts nothing. What cannot be used is told at `lifespan.startup`;
    an app without lifespan answers 503 at every door.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: str | Path | Policy | None = None,
        identify: Identify | Deferred | None = None,
        state: StateStore | None = None,
        signals: tuple[object, ...] = (),
        on_receipt: OnReceipt | None = None,
    ) -> None:
        self.app = app
        self.options = Options(
            policy=policy,
            identify=identify,
            state=state,
            signals=tuple(signals),
            on_receipt=on_receipt,
            environment=os.environ,
            argv=tuple(sys.argv),
            clock=SystemClock(),
            registry=REGISTRY,
        )
        self.fault: HardeningError | None = None
        """Why the service could not be started, if it could not."""
        self.service: Service | None = None
        """What answers requests; None until the first of them, or `lifespan.startup`."""
        self._is_deferred = identify is DEFERRED
        self._quiet: dict[str, set[str]] = {}
        self._quiet_root = ""  # the mount below which these paths are no doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ours, pass everything else untouched."""
        try:
            quiet = scope["path"] in self._quiet[scope["method"]]
        except KeyError:
            quiet = False
        if quiet and scope.get("root_path", "") == self._quiet_root:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    # -- requests

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._started()
        door = self._door(scope)
        self._expect_admit(scope)
        if service is None:
            await self._not_ready(door, scope, receive, send)
        elif door is None:
            await self._no_door(service, scope, receive, send)
        elif scope["method"] == "OPTIONS" or service.policy.digest in scope.get(MARK, ()):
            # The same policy further out acts already: two would charge twice.
            await self.app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self.app(scope, receive, send if service.policy.mode == "shadow" else bodiless(send))
        elif door.codec is None:
            await self._unspoken(service, door, scope, receive, send)
        else:
            case = Case(door, door.codec, service.next_id(), service.now())
            kind = DeferredResponder if self._is_deferred else Responder
            await kind(service, case, scope=scope, receive=receive, send=send).respond(self.app)

    def _door(self, scope: Scope) -> Door | None:
        """The door of a path below the mount, else of the whole path: a mount may be part of a door's name."""
        path, service = _below_mount(scope), self.service
        doors = _BUILT_IN if service is None else service.doors
        door = doors.match(path)
        if door is not None or (service is not None and service.leaves_alone(path)):
            return door
        root = scope.get("root_path", "")
        door = doors.match(root + path) if root else None
        # Where other paths are closed it is better that these are than that they are read.
        reads = service is None or service.policy.doors.unknown == "report"
        kept = reads or scope.get("method") in ("GET", "HEAD")
        return doors.stored(path) if door is None and kept else door

    async def _not_ready(self, door: Door | None, scope: Scope, receive: Receive, send: Send) -> None:
        """503 at every door; without a policy any path that takes a request may be one."""
        if is_asked_only(scope["method"]) and door is None:
            await self.app(scope, receive, send)
        else:
            await _say(send, door, _NOT_READY)

    async def _no_door(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if not is_asked_only(method) and not service.leaves_alone(_below_mount(scope)):
            if service.policy.doors.unknown == "block" and service.policy.mode == "enforce":
                await _say(send, None, _NO_DOOR)
                return
            send = Sniffing(send, lambda: service.unclaimed(route_of(scope))).send
        if not self._is_deferred:
            self._be_quiet(method, path, scope.get("root_path", ""))
        await self.app(scope, receive, send)

    def _expect_admit(self, scope: Scope) -> None:
        """Let the app call `admit` on every path: where nothing is decided it then says so."""
        if self._is_deferred:
            scope.setdefault(SEATS, ())

    def _be_quiet(self, method: str, path: str, root: str) -> None:
        if root != self._quiet_root:
            self._quiet, self._quiet_root = {}, root
        paths = self._quiet.setdefault(method, set())
        if len(paths) >= _QUIET_PATHS:
            paths.clear()
        paths.add(path)

    async def _unspoken(
        self, service: Service, door: Door, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """A door whose format is not built: closed, for what leaves there cannot be read."""
        if service.policy.mode == "enforce":
            service.closed(door.name)
            await _say(send, None, _NO_DOOR)
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deny a websocket at a door: what it says is not read here."""
        service = self._started()
        self._expect_admit(scope)
        if self._door(scope) is None or (service is not None and service.policy.mode == "shadow"):
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not open"})

    # -- start and stop

    def _started(self) -> Service | None:
        """The service; where no lifespan came, made now, while the plain twins serve."""
        if self.service is None and self.fault is None and self._open():
            self._warm_beside()
        return self.service

    def _open(self) -> bool:
        """Make the service, or keep why it cannot be made."""
        self.fault = None
        with self._failing():
            self.service = Service(self.options)
            self._quiet = {}
        return self.fault is None

    def _warm_beside(self) -> None:
        threading.Thread(target=self._warm, name="hardening-warm", daemon=True).start()

    def _warm(self) -> None:
        """Make what was opened fast and exact; where that must not fail and does, nothing is open."""
        service = self.service
        if service is not None:
            with self._failing():
                service.warm()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Without a service no door opens: keep and log whatever is raised within."""
        try:
            yield
        except HardeningError as fault:
            self.fault = fault
        except Exception as fault:  # noqa: BLE001  a fault that nobody foresaw opens no door either
            self.fault = StartError(f"internal fault: {where(fault)}")
        else:
            return
        self.service = None
        LOG.error("hardening cannot start: %s", self.fault)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start before the app and stop after it."""
        message = await receive()
        if self._open():
            await asyncio.to_thread(self._warm)
        if self.fault is not None:
            await send({"type": "lifespan.startup.failed", "message": str(self.fault)})
            return
        first: list[Message] = [message]

        async def app_receive() -> Message:
            return first.pop() if first else await receive()

        async def app_send(message: Message) -> None:
            if message["type"] in _OVER:
                await self._close()
            await send(message)

        await self.app(scope, app_receive, app_send)

    async def _close(self) -> None:
        service, self.service = self.service, None
        if service is not None:
            await service.close()


def _below_mount(scope: Scope) -> str:
    """The path without what an outer app has mounted us under."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


async def _say(send: Send, door: Door | None, refusal: Refusal) -> None:
    for message in refusal_messages(None if door is None else door.codec, refusal, ""):
        await send(message)
