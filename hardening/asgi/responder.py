"""One request at a claimed door: the case, the app between our `receive` and `send`, the bill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening.asgi.admission import SEATS, Decided, Seat
from hardening.asgi.allowance import Allowance, less
from hardening.asgi.body import BodyTooLarge, ClientGone
from hardening.asgi.case import Case, fill, inner_scope, share_routing
from hardening.asgi.control import Extension, Way
from hardening.asgi.headers import Headers, disclosure
from hardening.asgi.inbound import Inbound, Replay
from hardening.asgi.receipts import Spent, receipt_of, usage_of
from hardening.asgi.refusals import TELL_LENGTH, refusal_messages
from hardening.asgi.response import Response
from hardening.asgi.service import Service
from hardening.asgi.signed import body_is_signed
from hardening.asgi.studying import in_slices
from hardening.asgi.watched import Watched
from hardening.errors import WireError
from hardening.exchange import Exchange, Settlement
from hardening.facts import Account, Outcome, Refusal, Usage
from hardening.identity import ANONYMOUS
from hardening.policy import bound, settled
from hardening.state import Evidence
from hardening.state.standing import REPEATED_NATS

_TEXT_BYTES_PER_TOKEN = 4.0  # of English; other text has fewer
_UNTOLD = Settlement(Usage(), "none", (), ())
_SIGNED = Refusal(
    400,
    "pinned",
    "the body is signed, so it cannot be cut to what is allowed here; ask for less, or leave it unsigned",
)


class Responder:
    """Answers one request; the `Control` of its own response."""

    _final: ClassVar[bool] = True  # whether the body that the app is given stays so

    def __init__(self, service: Service, case: Case, *, scope: Scope, receive: Receive, send: Send) -> None:
        self._service = service
        self._scope = scope
        self._receive = receive
        self._send = send
        self._case = case
        self._exchange: Exchange | None = None
        self._allowance: Allowance | None = None
        self._response: Way | None = None
        self._over = False
        self._settling: asyncio.Future[None] | None = None
        self.now = service.now

    async def respond(self, app: ASGIApp) -> None:
        """Answer the request, with the app or in its place."""
        case, body = self._case, b""
        try:
            await fill(case, self._service, self._scope, self._receive)
            if case.refusal is None:
                try:
                    body = await self._prepared()
                except asyncio.CancelledError:  # between two seals: what was reserved is not owed
                    await self.over("disconnected")
                    raise
        except ClientGone:
            return
        except BodyTooLarge as fault:
            await self._too_large(app, fault)
            return
        except Exception as fault:  # noqa: BLE001  our own fault before the app: the policy says what follows
            if self._lets_through(fault):
                await self._let_through(app)
                return
            case.refusal = Refusal(500, "internal", "the request cannot be handled")
        if case.refusal is not None:
            await self._refuse(case.refusal)
        else:
            await self._answer(app, body)

    def _lets_through(self, fault: Exception) -> bool:
        """Whether the app may answer although we failed before it."""
        return self.passes(fault) or self._case.in_force.policy.mode == "shadow"

    async def _let_through(self, app: ASGIApp) -> None:
        """Let the app answer as if we were not there; what was reserved is settled."""
        case = self._case
        receive = Inbound(case.received, self._receive).receive if case.has_body else self._receive
        try:
            await app(self._scope, receive, self._send)
        finally:
            await self.over("error")

    async def _too_large(self, app: ASGIApp, fault: BodyTooLarge) -> None:
        limit = self._case.in_force.policy.runtime.max_body
        self._service.notices.unread(self._case.door.name)
        if self._case.in_force.policy.mode == "enforce":
            message = f"the request body is larger than {limit:,} bytes"
            await self._refuse(Refusal(413, "too_large", message))
        else:
            await app(self._scope, Replay(fault.taken, self._receive).receive, self._send)

    async def _refuse(self, refusal: Refusal) -> None:
        self._case.refusal = refusal
        try:
            for message in self.refusal(refusal):
                await self._send(message)
        finally:
            await self.over("refused")

    async def _prepared(self) -> bytes:
        """Open the exchange; the body that the app will read, unless the case is refused for what stands in it."""
        case = self._case
        exchange = self._exchange = self._open_exchange()
        asked = exchange.request(case.body) if case.readable else case.body
        if isinstance(asked, Generator):
            asked = await in_slices(asked, self.now)
        if isinstance(asked, Refusal):
            case.refusal = asked
            return case.received
        if not case.decision.acts and (asked is case.body or body_is_signed(self._scope)):
            return case.received
        if asked is not case.received and body_is_signed(self._scope):
            return self._as_signed(asked)
        return asked

    def _as_signed(self, asked: bytes) -> bytes:
        """The body as it was signed; where less would have to be asked, the case is refused."""
        case = self._case
        if asked is not case.body:
            case.reasons.append("signed_body")
            case.refusal = _SIGNED
        return case.received

    async def _answer(self, app: ASGIApp, body: bytes) -> None:
        """Call the app; whatever becomes of it, the lease is settled once and nothing keeps running."""
        case = self._case
        inbound = Inbound(body, self._receive)
        digest = self._case.in_force.policy.digest
        scope = inner_scope(self._scope, case, body, digest=digest, final=self._final)
        response, seat = self._opened(inbound)
        self._response = response
        scope[SEATS] = (*scope.get(SEATS, ()), seat)
        case.before_s = self.now() - case.began - case.waited_s
        self._service.entered(stream=case.facts.stream)
        try:
            await app(scope, inbound.receive, response.send)
            await response.app_returned()
        except Exception as fault:
            await response.app_raised()
            if not self._is_answered(fault):
                raise
        finally:
            response.close()
            inbound.stop()
            try:
                await self.over("disconnected" if inbound.gone else "error")
            finally:
                self._service.left(stream=case.facts.stream)
                # No circle: what a request held is freed here, not by a collection in a later one.
                self._response = self._exchange = self._allowance = None
                share_routing(scope, self._scope)

    def _opened(self, inbound: Inbound) -> tuple[Way, Seat | Decided]:
        """What the app's answer goes through, and what the app may ask of it."""
        assert self._exchange is not None
        return self._open_response(self._exchange, inbound), Decided(self._case.decision)

    def _is_answered(self, fault: Exception) -> bool:
        """Whether what the app raised was our own word, and ends here."""
        return False

    def _open_response(self, exchange: Exchange, inbound: Inbound) -> Response | Watched:
        if self._hardens(exchange):
            return Response(exchange=exchange, control=self, inbound=inbound, send=self._send)
        return Watched(exchange=exchange, control=self, send=self._send)

    def _hardens(self, exchange: Exchange) -> bool:
        """Whether the answer may not leave as it comes; what was sealed stays hidden in shadow too."""
        return self._case.decision.acts or exchange.restores

    def _open_exchange(self) -> Exchange:
        case, service = self._case, self._service
        return Exchange(
            case.codec,
            case.facts,
            case.decision,
            case.in_force.tools,
            reserved_tokens=case.claim.completion_reserve if case.admission.lease else None,
            bound=self._bound(),
            # Learned from whole requests, which may be padded: nobody makes his own answers cheaper by that.
            bytes_per_token=min(service.ratio.of(case.account.scope), _TEXT_BYTES_PER_TOKEN),
            began=case.began,
            noise_key=case.in_force.noise_key(case.decision, case.facts, case.account),
            covering=case.in_force.covering(case.decision, case.facts, case.account),
            owner=_owner(case.account),
        )

    def _bound(self) -> int | None:
        """The longest answer to ask for, where the limits give less than the policy; a signed body stays as it is."""
        case = self._case
        most = bound(case.claim, case.admission, case.decision, case.facts)
        return None if most is not None and body_is_signed(self._scope) else most

    # -- what the response asks of us

    @property
    def told(self) -> Headers:
        """What a response says of itself: `x-hardening`, and what is left of the caller's limits."""
        if not self._case.decision.disclose or self._exchange is None:
            return []
        policy = self._case.in_force.policy
        treatment: dict[str, str | int | float | bool] = dict(self._exchange.treatment)
        if policy.preset:
            treatment["policy"] = policy.name
        return [*disclosure(treatment), *self._limits]

    @property
    def _limits(self) -> Headers:
        """What is left to the account; of the pool of a network nothing, for that tells of its neighbours."""
        case = self._case
        if not (case.account.proven and case.claim.enforced and case.decision.disclose):
            return []
        # What all callers share tells of the others, as the pool of a network does.
        states = tuple([state for state in case.admission.limits if state.limit.by != "all"])
        # What is left now, less what was left before, is what an answer came to: one of any rule, of any account
        # that shares the limit.
        if case.in_force.policy.hides_lengths:
            states = tuple(state for state in states if state.limit.unit not in TELL_LENGTH)
        return case.codec.rate_limits(states, self._service.clock.wall())

    @property
    def hides_lengths(self) -> bool:
        """Whether headers that count tokens must go."""
        decision = self._case.decision
        return decision.acts and decision.usage != "keep"

    def passes(self, fault: Exception) -> bool:
        """Whether the policy lets what follows `fault` leave unhardened; counts and reports the fault."""
        service = self._service
        if isinstance(fault, WireError):
            service.notices.unread(self._case.door.name)
            self._case.reasons.append("unreadable_response")
            return self._case.in_force.policy.on_failure.unreadable == "pass"
        service.faulted(fault)
        self._case.reasons.append("internal_fault")
        return self._case.in_force.policy.on_failure.internal == "pass"

    def refusal(self, refusal: Refusal) -> list[Message]:
        """The messages of a refusal in the shape of the door's API."""
        limits = self._limits if refusal.kind in ("rate_limit", "quota") else []
        return refusal_messages(self._case.codec, refusal, self._case.request_id, limits)

    def last_words(self, refusal: Refusal) -> bytes:
        """The end of a stream that has begun, with the format's own error."""
        assert self._exchange is not None
        return self._exchange.fail(self.now(), refusal, self._case.request_id)

    async def extended(self) -> Extension:
        """Reserve what the exchange owes, or say how the answer goes on without."""
        assert self._exchange is not None
        if self._allowance is None:
            self._allowance = Allowance(self._service, self._case, self._exchange)
        return await self._allowance.extended()

    async def over(self, outcome: Outcome) -> None:
        """Settle and write the receipt; only the first call counts, all return when it is done."""
        if not self._over:
            self._over = True
            self._bill(outcome)
        if self._settling is not None:
            # Whoever waits here may be cancelled by an app that has what it wanted; the settling goes on.
            await asyncio.shield(self._settling)

    def _bill(self, outcome: Outcome) -> None:
        ended = self.now()
        case, service = self._case, self._service
        settlement = _UNTOLD if self._exchange is None else self._exchange.settlement()
        if settlement.unknown:
            service.notices.drifted(case.codec.name, settlement.unknown)
        sent = 0 if self._response is None else self._response.status
        status = (sent or 500) if case.refusal is None else case.refusal.status
        if self._response is not None and self._response.answered is not None:
            case.in_force.identifier.answered(case.account, self._response.answered, ended)
        usage = usage_of(case, settlement, status)
        if settlement.source == "usage":
            service.ratio.learn(case.account.scope, case.facts.prompt_bytes, usage.prompt)
        if outcome in ("complete", "cut"):
            service.lengths.learn(case.account.scope, usage.completion // max(case.facts.choices, 1))
        body_s = 0.0 if self._response is None else self._response.body_s

        def report() -> None:
            after_s = self.now() - ended
            spent = Spent(settlement, usage, status=status, outcome=outcome, body_s=body_s, after_s=after_s)
            service.observe(receipt_of(case, service, spent))

        self._settle(usage, status, report, settlement)

    def _settle(
        self, usage: Usage, status: int, report: Callable[[], None], settlement: Settlement = _UNTOLD
    ) -> None:
        """Tell the store what was used, then `report`; at once, or in a task where the store must be awaited."""
        case = self._case
        lease = case.admission.lease
        if lease is None or case.store is None:
            report()
            return
        if self._allowance is not None:
            usage = less(usage, self._allowance.paid)
        actual, evidence = settled(case.claim, usage), None
        if case.refusal is not None or (case.account.proven and status in (401, 403)):
            # Whoever is refused with a proven account's name may not be that account.
            actual = tuple(one._replace(amount=0.0) for one in actual)
        else:
            evidence = self._evidence(settlement)
        try:
            done = case.store.settle(lease, actual, evidence, self.now())
        except Exception as fault:  # noqa: BLE001  as in case.py
            self._service.store_failed("settle", fault)
        else:
            if isawaitable(done):
                self._settling = asyncio.ensure_future(self._settled(done, report))
                return
        report()

    def _evidence(self, settlement: Settlement) -> Evidence | None:
        """What the request and its answer say of its account; None where nobody is judged."""
        case, judge = self._case, self._service.judge
        if judge is None or not case.is_judged:
            return None
        answered = {}
        if settlement.coverage:
            answered["coverage"] = settlement.coverage
        if "overlap" in settlement.reasons:
            answered["overlap"] = REPEATED_NATS
        return judge.evidence(
            case.in_force.policy, case.account, case.job, answered, case.standing, entered=case.entered
        )

    async def _settled(self, done: Awaitable[None], report: Callable[[], None]) -> None:
        try:
            await done
        except Exception as fault:  # noqa: BLE001  as in case.py
            self._service.store_failed("settle", fault)
        report()


def _owner(account: Account) -> str:
    """Who can use the seals in an answer: the organisation, else the account, and of strangers those of one network."""
    if account.org is not None:
        return f"org:{account.org}"
    return account.scope if account.id == ANONYMOUS else f"account:{account.id}"
