"""A FastAPI app whose model is the teacher: OpenAI chat completions and Anthropic messages.

    uvicorn --app-dir examples teacher.app:app
    curl localhost:8000/v1/chat/completions -H 'content-type: application/json' \\
         -d '{"model": "teacher", "messages": [{"role": "user", "content": "What is 15% of 80?"}]}'

prints one JSON object with `reasoning_content` and `content`; nothing of it is hardened.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

from teacher import anthropic_messages, openai_chat
from teacher.anthropic_messages import MessagesRequest
from teacher.openai_chat import ChatRequest

SSE = {"cache-control": "no-cache", "content-type": "text/event-stream; charset=utf-8"}


def create_app(*, delay_s: float = 0.0, clock: Callable[[], float] = time.time) -> FastAPI:
    """The app; `delay_s` is how long the teacher thinks about each token."""
    app = FastAPI(title="teacher", docs_url=None, redoc_url=None)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: ChatRequest) -> Response:
        lesson, created = request.lesson(delay_s), int(clock())
        if request.stream:
            return StreamingResponse(openai_chat.chunks(request, lesson, created), headers=SSE)
        return JSONResponse(await openai_chat.completion(request, lesson, created))

    @app.post("/v1/messages", response_model=None)
    async def messages(request: MessagesRequest) -> Response:
        lesson = request.lesson(delay_s)
        if request.stream:
            return StreamingResponse(anthropic_messages.events(request, lesson), headers=SSE)
        return JSONResponse(await anthropic_messages.whole(request, lesson))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    app.add_exception_handler(RequestValidationError, unreadable)
    return app


async def unreadable(request: Request, fault: Exception) -> Response:
    """A 400 in the shape of the API that was asked."""
    first = fault.errors()[0] if isinstance(fault, RequestValidationError) else {"loc": (), "msg": str(fault)}
    where = ".".join(str(part) for part in first["loc"][1:]) or None
    text = f"{where}: {first['msg']}" if where else str(first["msg"])
    if request.url.path.endswith("/messages"):
        return JSONResponse(anthropic_messages.error(text), 400)
    return JSONResponse(openai_chat.error(text, where), 400)


app = create_app()
