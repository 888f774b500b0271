"""`HardeningMiddleware`: which request is ours, and what has to be ready before it is answered."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prometheus_client import REGISTRY
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.asgi import own_limits
from hardening.asgi.admission import DEFERRED, SEATS, Deferred
from hardening.asgi.case import MARK, Case
from hardening.asgi.counting import Counter
from hardening.asgi.deferred import DeferredResponder
from hardening.asgi.elsewhere import Sniffing, bodiless, is_asked_only, route_of
from hardening.asgi.entrance import Entrance
from hardening.asgi.inforce import InForce, QuietPaths
from hardening.asgi.judge import AppSignal
from hardening.asgi.refusals import refuse
from hardening.asgi.responder import Responder
from hardening.asgi.service import Identify, OnReceipt, Options, Service, service_of, where
from hardening.asgi.watch import Watch, named_policy
from hardening.clock import SystemClock
from hardening.errors import HardeningError, StartError
from hardening.facts import Refusal
from hardening.observe import LOG
from hardening.policy import DoorTerms, Policy
from hardening.state import StateStore
from hardening.wire.doors import Door

_NOT_READY = Refusal(503, "unavailable", "this service is not ready: its policy could not be started", 30.0)
_NO_DOOR = Refusal(403, "forbidden", "this path is not open")
_BUILT_IN = Entrance(DoorTerms({}, "report"), enforced=True)
_NONE_QUIET = QuietPaths()
_COUNTED_S = 5.0  # a tokenizer is loaded in a quarter of a second
_OVER = ("lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed")


class HardeningMiddleware:
    """Pure ASGI middleware that cuts model responses to a policy, per account.

    Args:
        app: the ASGI app to stand before.
        policy: a policy file or a preset's name, which are watched for changes, or a `Policy`, which
            changes by its `reload`; else HARDENING_POLICY names a file or preset.
        identify: tells the account of a scope: an `Account`, an id, or None for unknown. Or
            `DEFERRED`: the app calls `admit` in the middle of the request.
        state: a store of limits and standing in place of the one that the policy names.
        signals: further signals of risk, objects with a `name` that are called with `SignalFacts` and answer in nats.
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
        signals: Sequence[AppSignal] = (),
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
        self.watch: Watch | None = None
        """What looks at the policy's files; None before the start, and for a `Policy`, which is a value."""
        self._is_deferred = identify is DEFERRED
        self._uncounted: threading.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ours, pass everything else untouched."""
        service = self.service
        quiet = _NONE_QUIET if service is None else service.in_force.quiet
        try:
            known = scope["path"] in quiet.paths[scope["method"]]
        except KeyError:
            known = False
        if known and scope.get("root_path", "") == quiet.root:
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
        service = self.service or self._started()
        if self._is_deferred:
            self._expect_admit(scope)
        if service is None:
            await self._not_ready(_door(scope, None), scope, receive, send)
            return
        in_force = service.in_force
        door, shadow = _door(scope, in_force), in_force.policy.mode == "shadow"
        if door is None and own_limits.is_asked(in_force, scope):
            await own_limits.tell(
                service, in_force, scope, bodiless(send) if scope["method"] == "HEAD" else send
            )
        elif door is None:
            await self._no_door(service, in_force, scope, receive, send)
        elif scope["method"] == "OPTIONS" or in_force.policy.digest in scope.get(MARK, ()):
            # The same policy further out acts already: two would charge twice.
            await self.app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self.app(scope, receive, send if shadow else bodiless(send))
        elif door.codec is not None:
            if self._uncounted is not None:
                await self._until_counted(self._uncounted)
            case = Case(door, door.codec, in_force, service.next_id(), service.now())
            kind = Counter if door.counts else DeferredResponder if self._is_deferred else Responder
            await kind(service, case, scope=scope, receive=receive, send=send).respond(self.app)
        elif shadow:
            await self.app(scope, receive, send)
        else:
            # A door whose format is not built: closed, for what leaves there cannot be read.
            service.notices.closed(door.name)
            await refuse(send, None, _NO_DOOR)

    async def _not_ready(self, door: Door | None, scope: Scope, receive: Receive, send: Send) -> None:
        """503 at every door; without a policy any path that takes a request may be one."""
        if is_asked_only(scope["method"]) and door is None:
            await self.app(scope, receive, send)
        else:
            await refuse(send, door, _NOT_READY)

    async def _no_door(
        self, service: Service, in_force: InForce, scope: Scope, receive: Receive, send: Send
    ) -> None:
        path, root, method = scope["path"], scope.get("root_path", ""), scope["method"]
        policy = in_force.policy

        def seen() -> None:
            if not self._is_deferred:
                in_force.quiet.add(method, path, root)

        if is_asked_only(method) or in_force.entrance.leaves_alone(path, root):
            seen()
        elif policy.doors.unknown == "block" and policy.mode == "enforce":
            service.notices.blocked(path)
            await refuse(send, None, _NO_DOOR)
            return
        else:
            send = Sniffing(send, report=lambda: service.notices.unclaimed(route_of(scope)), seen=seen).send
        await self.app(scope, receive, send)

    def _expect_admit(self, scope: Scope) -> None:
        """Let the app call `admit` on every path: where nothing is decided it then says so."""
        scope.setdefault(SEATS, ())

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deny a websocket whose words would have to be read here."""
        service = self._started()
        if self._is_deferred:
            self._expect_admit(scope)
        entrance = _BUILT_IN if service is None else service.in_force.entrance
        if entrance.websocket(scope["path"], scope.get("root_path", "")) == "passed":
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not open"})

    # -- start and stop

    def _started(self) -> Service | None:
        """The service; where no lifespan came, made now, while the plain twins serve."""
        if self.service is None and self.fault is None and self._open():
            self._warm_beside()
            self._watch_beside()
        return self.service

    def _open(self) -> bool:
        """Make the service, or keep why it cannot be made."""
        self._retire()  # a lifespan may begin after requests that came without one
        self.fault = None
        with self._failing():
            given = self.options.policy
            if isinstance(given, Policy):
                self.service = service_of(given, self.options)
            else:
                self.watch = Watch(partial(named_policy, self.options))
                self.service = Service(self.options, self.watch.first())
        return self.fault is None

    def _watch_beside(self) -> None:
        """Look at the policy's files from now on."""
        if self.watch is not None and self.service is not None:
            self.watch.start(self.service)

    def _warm_beside(self) -> None:
        if self.service is not None:
            self._uncounted = self.service.counted
        threading.Thread(target=self._warm, name="hardening-warm", daemon=True).start()

    async def _until_counted(self, counted: threading.Event) -> None:
        """Wait, where no lifespan did, for the tokenizer alone: the same trace shall get the same summary."""
        if not counted.is_set():
            await asyncio.to_thread(counted.wait, _COUNTED_S)
        self._uncounted = None

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
        self._retire()
        LOG.error("hardening cannot start: %s", self.fault)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start before the app and stop after it."""
        message = await receive()
        if self._open():
            await asyncio.to_thread(self._warm)
        if self.fault is not None:
            await send({"type": "lifespan.startup.failed", "message": str(self.fault)})
            return
        self._watch_beside()
        first: list[Message] = [message]

        async def app_receive() -> Message:
            return first.pop() if first else await receive()

        async def app_send(message: Message) -> None:
            if message["type"] in _OVER:
                await self._close()
            await send(message)

        await self.app(scope, app_receive, app_send)

    async def _close(self) -> None:
        service = self._retire()
        if service is not None:
            await service.close()

    def _retire(self) -> Service | None:
        """The service, if there is one, which from now on begins nothing and hears of no change."""
        watch, self.watch = self.watch, None
        service, self.service = self.service, None
        if watch is not None:
            watch.stop()
        if service is not None:
            service.retire()
        return service


def _door(scope: Scope, in_force: InForce | None) -> Door | None:
    """The door that a request knocks at; without a policy a built-in one."""
    entrance = _BUILT_IN if in_force is None else in_force.entrance
    return entrance.door(scope["path"], scope.get("root_path", ""), scope.get("method", ""))
