"""Work of an exchange that may be long: in slices between which the loop serves others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hardening.exchange import Exchange
from hardening.wire.unseal import Steps

_SLICE_S = 0.0005
_Found = TypeVar("_Found")


async def study(exchange: Exchange, clock: Callable[[], float]) -> None:
    """Let the exchange learn all that it wants to know before its response starts."""
    until = clock() + _SLICE_S
    while exchange.study():
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _SLICE_S


async def in_slices(steps: Steps[_Found], clock: Callable[[], float]) -> _Found:
    """What all steps come to; others are served before the first, for what led here may have been long."""
    await asyncio.sleep(0)
    until = clock() + _SLICE_S
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: _Found = end.value
            return found
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _SLICE_S
