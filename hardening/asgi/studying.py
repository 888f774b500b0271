"""What an exchange learns of its request while the app works: in slices between which the loop serves others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hardening.exchange import Exchange

_SLICE_S = 0.0005


async def study(exchange: Exchange, clock: Callable[[], float]) -> None:
    """Let the exchange learn all that it wants to know before its response starts."""
    until = clock() + _SLICE_S
    while exchange.study():
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _SLICE_S
