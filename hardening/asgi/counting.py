"""Doors at which a request is counted and not answered: no model speaks there, so nothing is charged."""

from __future__ import annotations

from collections.abc import Generator

from hardening.asgi.responder import Responder
from hardening.asgi.signed import body_is_signed
from hardening.asgi.studying import in_slices
from hardening.exchange import Exchange
from hardening.facts import Outcome, Refusal


class Counter(Responder):
    """Hands on a request to be counted, with its seals opened as the model would get them; writes no receipt."""

    async def _prepared(self) -> bytes:
        case = self._case
        exchange = self._exchange = self._open_exchange()
        if not case.readable or body_is_signed(self._scope):
            return case.received
        asked = exchange.counted(case.body)
        if isinstance(asked, Generator):
            asked = await in_slices(asked, self.now)
        if isinstance(asked, Refusal):
            case.refusal = asked
            return case.received
        return case.received if asked is case.body else asked

    def _hardens(self, exchange: Exchange) -> bool:
        return exchange.restores

    def _bill(self, outcome: Outcome) -> None:
        """Nothing: who is counted has spent nothing, and has not been proven by it."""
