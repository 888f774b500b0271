"""A request whose account the app names: it waits for `admit`, and so does every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from starlette.types import Message

from hardening.asgi.case import Case
from hardening.asgi.response import Response
from hardening.asgi.watched import Watched
from hardening.errors import AccountError, Refused
from hardening.facts import Account, Decision, Refusal

_NOT_ADMITTED = Refusal(403, "forbidden", "this request was not admitted")
_REDIRECT = 300


class Desk(Protocol):
    """What a deferred request asks of its responder."""

    def vouched(self, named: Account | str) -> Account:
        """The account that the app names. Raises AccountError."""
        ...

    async def decide(self) -> None:
        """Reserve, decide, or refuse; open the exchange. Raises nothing but a cancellation."""
        ...

    def not_admitted(self, refusal: Refusal) -> None:
        """Report an answer without an account; refuse it where the policy enforces."""
        ...

    def open_response(self) -> Response | Watched:
        """What the app's answer goes through, as decided."""
        ...

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal, and settle."""
        ...

    async def early(self, message: Message) -> None:
        """Take a message that stands before any answer."""
        ...


class Deferral:
    """The seat of a request in the app, and the app's `send` until it is decided.

    A refused request is answered with its refusal, whatever the app says, and whether or not it
    caught `Refused`.
    """

    def __init__(self, case: Case, desk: Desk) -> None:
        self._case = case
        self._desk = desk
        self._named: Account | None = None
        self._response: Response | Watched | None = None
        self._over = False
        # Whoever comes while another asks the store waits for that answer.
        self._deciding = asyncio.Lock()

    @property
    def decision(self) -> Decision | None:
        """What happens to the request; None before the app has named the account."""
        return None if self._named is None else self._case.decision

    async def admit(self, named: Account | str) -> Decision:
        """The Decision for this account.

        Raises:
            Refused: the policy, a limit or a fault of ours refuses the request.
            AccountError: the account may not be named so, another was named before, or it is too late.
        """
        account = self._desk.vouched(named)
        async with self._deciding:
            await self._decide_once(account)
        if self._case.refusal is not None:
            raise Refused(self._case.refusal)
        return self._case.decision

    async def _decide_once(self, account: Account) -> None:
        if self._named is None:
            if self._over or self._response is not None:
                raise AccountError("admit: found an answer that has begun; allowed is to call it before that")
            self._case.account = account
            await self._desk.decide()
            self._named = account
        elif account != self._named:
            raise AccountError("admit: found another account than before; a request has one")

    # -- the app's `send`

    @property
    def answered(self) -> int | None:
        """The app's own status, where its answer was let out."""
        return None if self._response is None else self._response.answered

    @property
    def status(self) -> int:
        """The status that left."""
        return 0 if self._response is None else self._response.status

    @property
    def body_s(self) -> float:
        """Seconds spent on the body."""
        return 0.0 if self._response is None else self._response.body_s

    def send(self, message: Message) -> Awaitable[None]:
        """Take one message of the app; what is awaited is what leaves for it."""
        if self._response is not None:
            return self._response.send(message)
        return self._first(message)

    async def app_returned(self) -> None:
        """End what the app left open, or answer with the refusal that it kept to itself."""
        await (self._refused() if self._response is None else self._response.app_returned())

    async def app_raised(self) -> None:
        """End an open stream, or answer with the refusal; where there is neither, what stands outside answers."""
        await (self._refused() if self._response is None else self._response.app_raised())

    def close(self) -> None:
        """Let nothing more leave, and nobody be admitted any more."""
        self._over = True
        if self._response is not None:
            self._response.close()

    async def _first(self, message: Message) -> None:
        """Any message before the head has left: the head itself must be admitted."""
        if self._over:
            return
        if message["type"] != "http.response.start" and self._case.refusal is None:
            await self._desk.early(message)
            return
        async with self._deciding:
            if self._named is None and message.get("status", 0) < _REDIRECT:
                self._desk.not_admitted(_NOT_ADMITTED)
            if self._case.refusal is None:
                self._response = self._desk.open_response()
        await (self._refused() if self._response is None else self._response.send(message))

    async def _refused(self) -> None:
        if not self._over and self._case.refusal is not None:
            self._over = True
            await self._desk.refuse(self._case.refusal)
