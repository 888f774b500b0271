"""Keeps an app waiting between two pieces of its answer: by its `send`, so nothing piles up here."""

from __future__ import annotations

import asyncio

from hardening.asgi.beats import Beats
from hardening.asgi.control import Control, Extension
from hardening.asgi.inbound import Inbound
from hardening.exchange import Exchange

# How often a rest looks whether its client is still there, and the least that a refused answer rests.
_LOOK_S, _SHORTEST_S = 1.0, 0.05


class Resting:
    """The rests of one answer; heart-beats leave meanwhile where the head is out."""

    __slots__ = ("_beats", "_control", "_exchange", "_inbound", "over")

    def __init__(self, exchange: Exchange, control: Control, beats: Beats, inbound: Inbound) -> None:
        self._exchange = exchange
        self._control = control
        self._beats = beats
        self._inbound = inbound
        self.over = False
        """Whether the answer has ended: then nobody is kept waiting."""

    async def rest(self, seconds: float, *, silent: bool = False) -> None:
        """Let time pass; who has left is not waited for. `silent` where nothing may leave."""
        now = self._control.now
        until = now() + seconds
        if seconds <= 0.0:
            return
        if not silent:
            self._exchange.rest(now())
            self._beats.arm()
        while self._goes_on and (left_s := until - now()) > 0.0:  # noqa: ASYNC110  a gone client is told to nobody
            await asyncio.sleep(min(left_s, _LOOK_S))
        self._exchange.go_on()

    async def until_granted(self, wait_s: float) -> bool:
        """Ask for more as often as it takes; False where the limits will not refill in time."""
        extension = Extension(granted=False, wait_s=wait_s)
        while self._goes_on and not extension.granted:
            if extension.wait_s is None:
                return False
            await self.rest(max(extension.wait_s, _SHORTEST_S))
            extension = await self._control.extended()
        return True

    @property
    def _goes_on(self) -> bool:
        return not (self.over or self._inbound.gone)
