"""Starlette: an app of its own speaks the OpenAI chat format, the middleware hardens it.

    python examples/starlette_app.py

prints what a caller gets to see of the thinking, and the answer:

    the model thought 851 characters, the caller sees 63:
    I have to find the change that comes back, no more and no less.
    The change is $28. (**28**)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from teacher import teach

from hardening import HardeningMiddleware

QUESTION = "Tom buys 4 pens at $3 each and 2 pads at $5 each. He pays with $50. How much change does he get?"


def sse(question: str) -> Iterator[str]:
    """The teacher's tokens as chat completion chunks."""
    chunk: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "teacher",
    }
    for token in teach(question):
        field = "reasoning_content" if token.part == "reasoning" else "content"
        choice = {"index": 0, "delta": {field: token.text}, "finish_reason": None}
        yield f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n"
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield f"data: {json.dumps(chunk | {'choices': [last]})}\n\ndata: [DONE]\n\n"


async def chat(request: Request) -> StreamingResponse:
    """Answer the last message."""
    body = await request.json()
    return StreamingResponse(sse(body["messages"][-1]["content"]), media_type="text/event-stream")


app = Starlette(
    routes=[Route("/v1/chat/completions", chat, methods=["POST"])],
    middleware=[Middleware(HardeningMiddleware, policy="baseline")],
)


def main() -> None:
    """Ask the app once, in this process."""
    from starlette.testclient import TestClient

    seen = {"reasoning_content": "", "content": ""}
    body = {"model": "teacher", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(app) as client:
        for line in client.post("/v1/chat/completions", json=body).iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    for field in seen:
                        seen[field] += choice["delta"].get(field) or ""
    thought = sum(len(token.text) for token in teach(QUESTION) if token.part == "reasoning")
    print(f"the model thought {thought} characters, the caller sees {len(seen['reasoning_content'])}:")
    print(seen["reasoning_content"].strip())
    print(seen["content"])


if __name__ == "__main__":
    main()
