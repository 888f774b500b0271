"""What the app hears while it waits: the server, our stop, or its own cancellation, never somebody else's."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from starlette.types import Message

from hardening.asgi.inbound import Inbound


async def silent() -> Message:
    """A server that says nothing more."""
    return await asyncio.get_running_loop().create_future()


async def asked(inbound: Inbound) -> None:
    """Take the body, so that the next call waits for the server."""
    assert (await inbound.receive())["type"] == "http.request"


def test_a_stop_is_heard_as_a_disconnect_by_who_waits_and_who_comes_later() -> None:
    async def run() -> list[Message]:
        inbound = Inbound(b"", silent)
        await asked(inbound)
        waiting = asyncio.create_task(inbound.receive())
        await asyncio.sleep(0)
        inbound.stop()
        inbound.stop()
        return [await waiting, await inbound.receive()]

    assert asyncio.run(run()) == [{"type": "http.disconnect"}] * 2


def test_a_stop_and_a_cancelled_group_in_one_breath_end_the_group_only() -> None:
    async def run() -> str:
        inbound = Inbound(b"", silent)
        await asked(inbound)
        async with anyio.create_task_group() as group:

            async def stream() -> None:
                await asyncio.sleep(0)
                inbound.stop()
                group.cancel_scope.cancel()

            group.start_soon(stream)
            await inbound.receive()
        return "went on"

    assert asyncio.run(run()) == "went on"


def test_an_app_that_is_cancelled_leaves_no_task_behind() -> None:
    async def run() -> set[asyncio.Task[object]]:
        inbound = Inbound(b"", silent)
        await asked(inbound)
        waiting = asyncio.create_task(inbound.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()


def test_what_the_server_says_reaches_the_app_and_a_departure_is_remembered() -> None:
    async def left() -> Message:
        return {"type": "http.disconnect"}

    async def run() -> bool:
        inbound = Inbound(b"", left)
        await asked(inbound)
        assert not inbound.gone
        assert (await inbound.receive())["type"] == "http.disconnect"
        return inbound.gone

    assert asyncio.run(run())
