"""An app for real servers: FastAPI with our middleware, named by the environment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from hardening import HardeningMiddleware
from tests.asgi.chat import stream

HELD_UNTIL = Path(os.environ.get("TEST_HELD_UNTIL", "nowhere"))

app = FastAPI()
app.add_middleware(HardeningMiddleware)


@app.post("/v1/chat/completions")
async def chat(request: Request) -> StreamingResponse:
    """The recorded chat; after half of its answer `endless` stays silent, `held` until a file is there."""
    asked = await request.json()

    async def frames() -> AsyncIterator[bytes]:
        for frame in stream():
            yield frame
            if b'"content": "are ' in frame:
                if asked["model"] == "endless":
                    await asyncio.Event().wait()
                # A file, for it has to reach several workers.
                while asked["model"] == "held" and not HELD_UNTIL.exists():  # noqa: ASYNC110, ASYNC240
                    await asyncio.sleep(0.01)

    return StreamingResponse(frames(), media_type="text/event-stream", headers={"x-worker": str(os.getpid())})


@app.get("/health")
async def health() -> dict[str, str]:
    """Tells that the app is up."""
    return {"status": "up"}


@app.get("/metrics")
async def metrics() -> Response:
    """The metrics of all workers, which PROMETHEUS_MULTIPROC_DIR brings together."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type="text/plain")
