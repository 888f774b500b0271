"""Answers a request whose account the app names, by `admit`, while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from starlette.types import Message

from hardening.asgi.admission import Seat
from hardening.asgi.case import admit
from hardening.asgi.control import Way
from hardening.asgi.deferral import Deferral
from hardening.asgi.inbound import Inbound
from hardening.asgi.responder import Responder
from hardening.asgi.response import Response
from hardening.asgi.watched import Watched
from hardening.asking import not_allowed
from hardening.errors import Refused
from hardening.facts import Account, Refusal, Usage
from hardening.observe import LOG

_TOO_LATE = Refusal(403, "forbidden", "this request was over before it was admitted")


class DeferredResponder(Responder):
    """A `Responder` that decides when the app says who asks; the `Desk` of its `Deferral`."""

    _final: ClassVar[bool] = False
    _inbound: Inbound | None = None

    async def _prepared(self) -> bytes:
        """The body as it is read while nothing is decided: unpacked where the policy may act."""
        case = self._case
        return case.body if case.decision.acts else case.received

    def _opened(self, inbound: Inbound) -> tuple[Way, Seat]:
        self._inbound = inbound
        deferral = Deferral(self._case, self)
        return deferral, deferral

    def _is_answered(self, fault: Exception) -> bool:
        return self._case.refusal is not None and _is_refused(fault)

    # -- what the deferral asks of us

    def vouched(self, named: Account | str) -> Account:
        """The account that the app names. Raises AccountError."""
        return self._case.in_force.identifier.vouched(self._scope, named)

    async def decide(self) -> None:
        """Reserve, decide, or refuse; the app reads an edited body where it has not read the other."""
        case, began = self._case, self.now()
        try:
            await admit(case, self._service)
            if case.refusal is None:
                self._offer(await super()._prepared())
        except Exception as fault:  # noqa: BLE001  our own fault inside of the app: the policy says what follows
            if self._lets_through(fault):
                case.decision = replace(case.decision, enforced=False)
            else:
                case.refusal = Refusal(500, "internal", "the request cannot be handled")
        case.before_s += self.now() - began
        if self._over:
            await self._give_back()

    def _offer(self, body: bytes) -> None:
        """Let the app read the edited body; a switch that it has read already can only be refused."""
        case, exchange = self._case, self._exchange
        if self._inbound is None or not case.decision.acts or case.refusal is not None:
            return
        if not self._inbound.offer(body) and exchange is not None and exchange.forced is not None:
            case.refusal = not_allowed(exchange.forced)

    async def _give_back(self) -> None:
        """The app ended while a task of it still waited for us: nothing may stay reserved."""
        self._case.refusal = self._case.refusal or _TOO_LATE
        self._settle(Usage(), self._case.refusal.status, lambda: None)
        if self._settling is not None:
            await self._settling

    def not_admitted(self, refusal: Refusal) -> None:
        """Report an answer without an account; refuse it where the policy enforces."""
        case = self._case
        case.reasons.append("not_admitted")
        self._service.metrics.alarm("not_admitted")
        LOG.error("%s: the app answered without `await hardening.admit(...)`", case.door.name)
        if self._case.in_force.policy.mode == "enforce":
            case.refusal = refusal
        else:
            case.would_refuse = refusal

    def open_response(self) -> Response | Watched:
        """What the app's answer goes through, as decided; without an account, by the closed terms."""
        assert self._inbound is not None
        if self._exchange is None:
            self._exchange = self._open_exchange()
        return self._open_response(self._exchange, self._inbound)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal, and settle."""
        await self._refuse(refusal)
        if self._inbound is not None:
            self._inbound.stop()  # last: an app that hears of it may cancel the task that runs here

    async def early(self, message: Message) -> None:
        """Take a message before the head: nobody has read what it carries, so it leaves in shadow only."""
        if self._case.in_force.policy.mode == "shadow":
            await self._send(message)


def _is_refused(fault: BaseException) -> bool:
    """Whether it is nothing but our refusal, as it was raised or as a group of tasks wraps it."""
    if isinstance(fault, BaseExceptionGroup):
        return fault.split(Refused)[1] is None
    return isinstance(fault, Refused)
