"""An app for real servers: FastAPI with our middleware, named by the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from hardening import HardeningMiddleware
from tests.asgi.chat import stream

app = FastAPI()
app.add_middleware(HardeningMiddleware)


@app.post("/v1/chat/completions")
async def chat(request: Request) -> StreamingResponse:
    """The recorded chat; the model `endless` stays silent after half of its answer."""
    asked = await request.json()

    async def frames() -> AsyncIterator[bytes]:
        for frame in stream():
            yield frame
            if asked["model"] == "endless" and b'"content": "are ' in frame:
                await asyncio.Event().wait()

    return StreamingResponse(frames(), media_type="text/event-stream")


@app.get("/health")
async def health() -> dict[str, str]:
    """Tells that the app is up."""
    return {"status": "up"}
