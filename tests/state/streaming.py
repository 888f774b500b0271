"""An app for real servers whose answers take their time: `uvicorn tests.state.streaming:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from hardening import HardeningMiddleware
from tests.asgi.chat import chunk


async def chat(request: Request) -> StreamingResponse:
    """Words without an end, twenty a second."""

    async def told() -> AsyncIterator[bytes]:
        while True:
            yield chunk({"content": "word "})
            await asyncio.sleep(0.05)

    return StreamingResponse(told(), media_type="text/event-stream")


inner = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
app = HardeningMiddleware(inner, identify=lambda scope: "acct_7")
